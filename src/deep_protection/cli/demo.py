"""``deep-protection demo``: the main job, offline, on real adversarial photographs."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from torch import Tensor

from deep_protection.attacks import ATTACKS, AttackResult, attack
from deep_protection.classifiers import Asked, Classifier, load_classifier
from deep_protection.cli import options
from deep_protection.cli.console import counting_bar, print_json, progress_bar, stdout
from deep_protection.errors import OptionError, OutputError
from deep_protection.evaluation import (
    BASELINES,
    Accuracy,
    PanelRow,
    accuracy,
    draw_panel,
    figure_class,
    imagenet_samples,
)
from deep_protection.fitting import usable_cores
from deep_protection.images import write_atomically
from deep_protection.purification import find_device, find_preset, purify

ATTACK_NAMES = ("pgd", "fgsm", "saltpepper")
RESTORED = "restored"
"""What the results call our own defence, beside the baselines' names."""


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the picture and the numbers.")] = Path("demo"),
    images: Annotated[int, typer.Option(min=1, max=20, help="How many of the 20 sample photographs to use.")] = 20,
    preset: options.Preset = "fast",
    stop: options.Stop = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Attack photographs, restore them, and see what a classifier says: table and picture.

    Takes the ImageNet photographs that foolbox carries, keeps those that lite0 gets right, attacks them with PGD
    (4/255), FGSM (8/255) and salt and pepper, and restores what the attack made wrong. Everything works offline.
    """
    settings = find_preset(preset)
    settings.rule(stop)
    where = find_device(device)
    figure_class()  # missing matplotlib is said now, not after minutes of fitting
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out} ({error.strerror}); choose another --out") from None
    model = load_classifier("lite0")
    clean, labels, taken = _recognised(model, images)
    for baseline in BASELINES.values():
        baseline(clean[:1])  # what is imported at the first call is no filter's cost, and what is missing is said now
    results: list[_Measured] = []
    rows: list[PanelRow] = []

    rule = settings.rule_asking(Asked(model), max(clean.shape[-2:]), stop)
    restore = partial(purify, preset=settings, stop=rule, seed=seed, device=where, workers=workers)
    with progress_bar("restoring clean pictures", shown=not quiet) as progress:
        results.append(_measure(model, "none", "clean", clean, labels, partial(restore, progress=progress))[0])
    for name in ATTACK_NAMES:
        made = _attacked(model, clean, labels, name, seed, shown=not quiet)
        fooled = made.success
        with progress_bar(f"restoring after {ATTACKS[name].title}", shown=not quiet) as progress:
            measured, restored = _measure(
                model,
                name,
                ATTACKS[name].title,
                made.adversarial[fooled],
                labels[fooled],
                partial(restore, progress=progress),
            )
        results.append(measured)
        rows += _panel_rows(
            model, ATTACKS[name].title, clean[fooled], made.adversarial[fooled], restored, labels[fooled]
        )
    report = {
        "classifier": model.name,
        "preset": settings.name,
        "stop": stop or settings.stop,
        "seed": seed,
        "pictures": {"taken": taken, "recognised": len(labels)},
        "results": [result.summary() for result in results],
        "cores": usable_cores(),
        "versions": {"deep-protection": version("deep-protection"), "torch": torch.__version__},
    }
    write_atomically((json.dumps(report, indent=1) + "\n").encode(), out / "results.json")
    if rows:
        heading = f"Deep Protection, preset {settings.name}: each picture restored on its own, no training"
        draw_panel(_spread(rows), out / "demo.png", heading=heading)
    if as_json:
        print_json(report)
    else:
        _print(results, taken, len(labels), out)
    return 0


def _attacked(model: Classifier, clean: Tensor, labels: Tensor, name: str, seed: int, *, shown: bool) -> AttackResult:
    """One picture after the other: a batch is no faster on a CPU, and there is progress to be seen."""
    made = []
    with counting_bar(f"attacking with {ATTACKS[name].title}", shown=shown) as report:
        for index, (picture, label) in enumerate(zip(clean.split(1), labels.split(1), strict=True)):
            report(index, len(labels), "")
            made.append(attack(model, picture, label, name, seed=seed))
    parts = {each.name: [getattr(one, each.name) for one in made] for each in fields(AttackResult)}
    return AttackResult(**{name: torch.cat(part) for name, part in parts.items() if part[0] is not None})


@dataclass(frozen=True, slots=True)
class _Score:
    """One defence on one set of pictures."""

    accuracy: Accuracy
    seconds: float
    """Wall time for all pictures together."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """One column of the table: the same pictures through every baseline, and restored."""

    attack: str
    title: str
    n: int
    scores: dict[str, _Score]

    def summary(self) -> dict[str, Any]:
        return {
            "attack": self.attack,
            "n": self.n,
            "defences": {
                name: {**score.accuracy.summary(), "seconds": round(score.seconds, 4)}
                for name, score in self.scores.items()
            },
        }


def _measure(
    model: Classifier,
    name: str,
    title: str,
    pixels: Tensor,
    labels: Tensor,
    restore: Callable[[Tensor], Tensor],
) -> tuple[_Measured, Tensor]:
    scores: dict[str, _Score] = {}
    outputs = pixels
    defences: dict[str, Callable[[Tensor], Tensor]] = {**BASELINES, RESTORED: restore}
    for defence, apply in defences.items():
        start = time.perf_counter()
        outputs = apply(pixels)
        seconds = time.perf_counter() - start
        scores[defence] = _Score(accuracy(model, outputs, labels), seconds)
    return _Measured(name, title, len(pixels), scores), outputs


def _recognised(model: Classifier, count: int) -> tuple[Tensor, Tensor, int]:
    """The sample pictures that the classifier gets right: pixels, labels, and how many were tried."""
    samples = imagenet_samples()[:count]
    pixels = torch.stack([model.preprocess(picture) for picture, _ in samples])
    labels = torch.tensor([label for _, label in samples])
    with torch.no_grad():
        right = model(pixels).argmax(dim=-1) == labels
    if not right.any():
        raise OptionError(f"lite0 gets none of the first {count} sample pictures right; use more --images")
    return pixels[right], labels[right], len(samples)


def _panel_rows(
    model: Classifier, title: str, clean: Tensor, adversarial: Tensor, restored: Tensor, labels: Tensor
) -> list[PanelRow]:
    answers = [[top[0] for top in model.top(pixels, 1)] for pixels in (clean, adversarial, restored)]
    return [
        PanelRow(
            title,
            int(labels[index]),
            clean[index],
            adversarial[index],
            restored[index],
            (answers[0][index], answers[1][index], answers[2][index]),
        )
        for index in range(len(labels))
    ]


def _spread(rows: list[PanelRow], count: int = 4) -> list[PanelRow]:
    """A few rows evenly from all of them: chosen by position, not by how well they look."""
    if len(rows) <= count:
        return rows
    return [rows[round(index * (len(rows) - 1) / (count - 1))] for index in range(count)]


def _print(results: list[_Measured], taken: int, recognised: int, out: Path) -> None:
    table = Table(title=f"lite0 recognises {recognised} of {taken} photographs; right answers, top-1 / top-5")
    table.add_column("defence")
    for result in results:
        table.add_column(f"{result.title}\nn = {result.n}", justify="right")
    table.add_column("s a picture", justify="right")
    pictures = sum(result.n for result in results)
    for defence in (*BASELINES, RESTORED):
        scores = [result.scores[defence] for result in results]
        title = BASELINES[defence].title if defence in BASELINES else "restored"
        seconds = sum(score.seconds for score in scores) / pictures if pictures else 0.0
        table.add_row(title, *(_cell(score.accuracy) for score in scores), f"{seconds:.3f}")
    stdout.print(table)
    stdout.print(
        "Oblivious attacks, made for the bare classifier. An attacker who knows of the restoration gets through far "
        "more often."
    )
    stdout.print(f"Picture and numbers are in {out}", soft_wrap=True, markup=False)


def _cell(score: Accuracy) -> str:
    return f"{score.top1 / score.n:.0%} / {score.top5 / score.n:.0%}" if score.n else "–"
