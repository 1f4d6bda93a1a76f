"""What the page shows before anybody clicks: one photograph, attacked and protected, and one fit that went on too long.

    python -m benchmarks story

About two minutes on two cores. Everything is computed by the service's own workers, with the page's own settings;
the long fit is that of ``python -m benchmarks paper-run``. What became of each of the twenty samples under the page's
attack goes to ``docs/results/page/samples.json``, and from there to the page as captions.
"""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import RESULTS, ROOT
from deep_protection.classifiers import class_names
from deep_protection.evaluation import sample_files
from deep_protection.images import write_atomically
from deep_protection.service.jobs.job_types import JOB_TYPES
from deep_protection.service.workers.handlers import run_jobs
from deep_protection.service.workers.worker_context import JobInput, JobOutput, WorkerContext

PAGE = ROOT / "src/deep_protection/service/page"
SAMPLE = "imagenet_09_455.jpg"
"""A bottle cap. It was chosen because both answers are easy to tell apart, and before it was protected."""
ATTACK = {"attack": "pgd", "epsilon_255": 4}
SIDE = 224
TIMES = 10


def make() -> None:
    context = WorkerContext("lite0", None, "cpu", 3600)
    files = {file.name: file.read_bytes() for file in sample_files()}
    samples = {name: outcome(context, data) for name, data in files.items()}
    write_json(samples, RESULTS / "page/samples.json")
    story, strip = told(context, files[SAMPLE])
    course, moments = long_run()
    shown = {name: {"label": row["label"], "comes_back": row["comes_back"]} for name, row in samples.items()}
    write_json({"sample": SAMPLE, "samples": shown, "protection": story, "long_run": course}, PAGE / "story.json")
    write_atomically(side_by_side(strip), PAGE / "story.webp")
    write_atomically(side_by_side(moments), PAGE / "long-run.webp")


def outcome(context: WorkerContext, data: bytes) -> dict[str, Any]:
    """The first answers to a photograph as it is, attacked, and attacked and protected."""
    attacked = run(context, "attack", data, **ATTACK)
    protected = run(context, "protect", attacked.files["result"])
    before, after = attacked.answer["before"][0], protected.answer["after"][0]
    return {
        "label": before["label"],
        "attacked": attacked.answer["after"][0]["label"],
        "protected": after["label"],
        "answer": protected.answer["explanation"]["answer"],
        "comes_back": after["index"] == before["index"],
    }


def told(context: WorkerContext, data: bytes) -> tuple[dict[str, Any], list[Image.Image]]:
    """The answers to one photograph, and its images: clean, attacked, ten times their difference, then the fit."""
    attacked = run(context, "attack", data, **ATTACK)
    protected = run(context, "protect", attacked.files["result"], frames=True)
    clean, bad = (opened(attacked.files[name]) for name in ("clean", "result"))
    change = 128 + TIMES * (np.asarray(bad, np.int16) - np.asarray(clean, np.int16))
    frames = opened(protected.files["frames"])
    fit = [frames.crop((left, 0, left + SIDE, SIDE)) for left in range(0, frames.width, SIDE)]
    kept = ("explanation", "after", "followed", "trajectory", "iteration_chosen")
    return (
        {
            "clean": attacked.answer["before"],
            "attacked": attacked.answer["after"],
            "epsilon_255": attacked.answer["epsilon_255"],
            **{name: protected.answer[name] for name in kept},
        },
        [clean, bad, Image.fromarray(change.clip(0, 255).astype(np.uint8)), *fit],
    )


def long_run() -> tuple[dict[str, Any], list[Image.Image]]:
    """The recorded fit of the published recipe: both answers at every checkpoint, and the images that were kept."""
    folder, names = RESULTS / "paper-run", class_names()
    about = json.loads((folder / "run.json").read_text())
    rows = [json.loads(line) for line in (folder / "trajectory.jsonl").read_text().splitlines()]
    with np.load(folder / "pictures.npz") as kept:
        moments = [name for name in kept.files if name.isdecimal()]
        images = [Image.fromarray(as_bytes(kept[name])) for name in ("adversarial", *moments)]
    course = [
        {
            "iteration": row["iteration"],
            "psnr": round(row["psnr_input"], 2),
            "followed": [round(row["probability_attacked"], 6), round(row["probability_true"], 6)],
            "label": names[row["top5"][0]],
        }
        for row in rows
    ]
    followed = [about["attacked_as"], about["label"]]
    return {"followed": followed, "trajectory": course, "moments": [int(name) for name in moments]}, images


def run(context: WorkerContext, kind: str, data: bytes, **options: Any) -> JobOutput:
    """One job of the service, done here."""
    given = JOB_TYPES[kind].options.model_validate(options).model_dump(exclude={"wait"})
    (outcome,) = run_jobs(context, [JobInput(id=kind, kind=kind, options=given, inputs={"image": data})])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def opened(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        return image.convert("RGB")


def as_bytes(pixels: Any) -> Any:
    """``3×H×W`` pixels, bytes or in [0, 1], as ``H×W×3`` bytes."""
    scaled = pixels if pixels.dtype == np.uint8 else (255 * pixels.clip(0, 1)).round().astype(np.uint8)
    return scaled.transpose(1, 2, 0)


def side_by_side(images: list[Image.Image]) -> bytes:
    strip = Image.new("RGB", (SIDE * len(images), SIDE))
    for number, image in enumerate(images):
        strip.paste(image, (SIDE * number, 0))
    strip.save(buffer := BytesIO(), "WEBP", quality=82, method=6)
    return buffer.getvalue()


def write_json(value: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically((json.dumps(value, indent=1) + "\n").encode(), path)
