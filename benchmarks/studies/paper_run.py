"""One full fit of the published recipe to one attacked image, recorded at every checkpoint.

    python -m benchmarks paper-run

About 20 to 30 minutes on two cores. Rows are appended to ``trajectory.jsonl`` as they come, and ``--plot-only`` draws
the figure again from them.
"""

import json
import platform
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmarks.pages.webp import as_webp
from deep_protection.attacks import attack
from deep_protection.classifiers.classifier import Classifier
from deep_protection.classifiers.lite import load_lite
from deep_protection.evaluation import imagenet_samples
from deep_protection.fitting import FitTask, fit_all
from deep_protection.restoration import PRESETS
from deep_protection.seeds import image_seed
from deep_protection.stopping import Decision, Fixed, Trajectory, psnr

SHOWN = (100, 300, 600, 1000, 1750)


@dataclass
class Subject:
    """The attacked image and everything needed to judge a restoration of it."""

    classifier: Classifier
    clean: Tensor
    adversarial: Tensor
    label: int
    fooled_as: int

    def judge(self, output: Tensor) -> dict[str, Any]:
        with torch.no_grad():
            probabilities = self.classifier(output.unsqueeze(0)).softmax(-1)[0]
        return {
            "psnr_clean": psnr(output, self.clean),
            "probability_true": probabilities[self.label].item(),
            "probability_attacked": probabilities[self.fooled_as].item(),
            "top5": probabilities.topk(5).indices.tolist(),
        }


@dataclass
class Recording(Fixed):
    """``fixed:N`` that writes down every checkpoint as it comes."""

    iterations: int
    subject: Subject
    out: Path
    images: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.iterations)

    def decide(self, trajectory: Trajectory) -> Decision:
        point, output = trajectory[-1], trajectory.latest_output
        row = {
            "iteration": point.iteration,
            "loss": point.loss,
            "psnr_input": point.psnr,
            "seconds": round(point.seconds, 2),
            **self.subject.judge(output),
        }
        with (self.out / "trajectory.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        if point.iteration in SHOWN:
            self.images[point.iteration] = output.numpy().copy()
            save_images(self.out, self.subject, self.images)
        return super().decide(trajectory)


def save_images(out: Path, subject: Subject, images: dict[int, np.ndarray[Any, Any]]) -> None:
    """The attacked image and outputs on the way, 8 bits, for the figure."""
    kept = {"adversarial": subject.adversarial.numpy(), **{str(key): value for key, value in images.items()}}
    rounded: dict[str, Any] = {key: np.round(value * 255).astype(np.uint8) for key, value in kept.items()}
    np.savez_compressed(out / "images.npz", **rounded)


def subject(number: int) -> Subject:
    """The ``number``-th of foolbox's ImageNet samples under PGD 4/255."""
    classifier = load_lite()
    image, label = imagenet_samples()[number]
    clean = classifier.preprocess(image).unsqueeze(0)
    made = attack(classifier, clean, torch.tensor([label]), "pgd")
    with torch.no_grad():
        before, after = classifier(clean).argmax().item(), classifier(made.adversarial).argmax().item()
    if before != label or after == label:
        raise SystemExit(
            f"sample {number}: clean answer {before}, attacked answer {after}, label {label}; take another"
        )
    return Subject(classifier, clean[0], made.adversarial[0], label, int(after))


def run(out: Path, number: int, iterations: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "trajectory.jsonl").unlink(missing_ok=True)
    victim = subject(number)
    recipe = PRESETS["paper"].recipe
    meta = {
        "sample": number,
        "label": victim.classifier.label(victim.label),
        "attacked_as": victim.classifier.label(victim.fooled_as),
        "attack": "pgd, Linf 4/255, 40 steps",
        "recipe": repr(recipe),
        "seed": 0,
        "adversarial": victim.judge(victim.adversarial),
        "clean_probability_true": victim.judge(victim.clean)["probability_true"],
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }
    (out / "run.json").write_text(json.dumps(meta, indent=1) + "\n")
    task = FitTask(
        target=victim.adversarial,
        recipe=recipe,
        rule=Recording(iterations, victim, out),
        seed=image_seed(0, victim.adversarial),
    )
    list(fit_all([task], images_total=1))


def plot(out: Path) -> None:
    """Write ``trajectory.webp`` next to ``trajectory.jsonl``, ``run.json`` and ``images.npz``."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in (out / "trajectory.jsonl").read_text().splitlines()]
    run: dict[str, Any] = json.loads((out / "run.json").read_text())
    iterations = [row["iteration"] for row in rows]
    images = np.load(out / "images.npz")
    shown = [("adversarial", "adversarial"), *((key, f"iteration {key}") for key in images if key != "adversarial")]

    figure = Figure(figsize=(11, 8.2), dpi=110, layout="constrained")
    grid = figure.add_gridspec(3, len(shown), height_ratios=(1.05, 1, 1))
    for column, (key, title) in enumerate(shown):
        axis = figure.add_subplot(grid[0, column])
        axis.imshow(images[key].transpose(1, 2, 0))
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()

    quality = figure.add_subplot(grid[1, :])
    quality.plot(iterations, [row["psnr_input"] for row in rows], label="to the attacked input")
    quality.plot(iterations, [row["psnr_clean"] for row in rows], label="to the clean image")
    quality.set_ylabel("PSNR, dB")
    quality.legend(loc="lower right")

    belief = figure.add_subplot(grid[2, :], sharex=quality)
    belief.plot(iterations, [row["probability_true"] for row in rows], color="#1a7f37", label=f"{run['label']} (true)")
    belief.plot(
        iterations,
        [row["probability_attacked"] for row in rows],
        color="#c62828",
        label=f"{run['attacked_as']} (attack)",
    )
    belief.set_ylabel("probability")
    belief.set_xlabel("iteration")
    belief.legend(loc="center right")
    for axis in (quality, belief):
        axis.grid(alpha=0.3)
    figure.suptitle(
        f"paper preset on one image under {run['attack']}: {rows[-1]['iteration']} iterations, "
        f"{rows[-1]['seconds'] / 60:.0f} min on {run['threads']} threads",
        fontsize=11,
    )
    figure.savefig(buffer := BytesIO(), format="png")
    (out / "trajectory.webp").write_bytes(as_webp(buffer.getvalue()))
