"""One fit, or two shorter ones of different seeds averaged: which gives more for the same iterations?"""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from benchmarks.paired import gain
from benchmarks.rows import append, read
from deep_protection.attacks import find_attack
from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.evaluation.experiment.inputs import InputStore
from deep_protection.evaluation.experiment.pictures import labelled_pictures
from deep_protection.evaluation.experiment.plan import CLEAN
from deep_protection.evaluation.experiment.units import Attacked, AttackUnit
from deep_protection.evaluation.experiment.worker import Worker, as_array
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.fitting import FitTask, fit
from deep_protection.purification import PRESETS
from deep_protection.seeds import picture_seed
from deep_protection.stopping import Fixed, Trajectory

RESULTS = Path("docs/results/stopping/two-seeds.jsonl")
ONE, PICTURES, ANSWERS = WAYS = ("one fit", "two fits, pictures averaged", "two fits, answers averaged")
LONG, SHORT = 100, 50
"""Iterations of the one fit, and of each of the two."""


def run(images: str, inputs: Path, attacks: list[str], limit: int, out: Path = RESULTS) -> None:
    """Every recognised picture, untouched and under every attack; what is in ``out`` already is left alone."""
    torch.set_num_threads(1)
    classifier = load_classifier("lite0")
    worker = Worker("lite0", "cpu")
    store = InputStore(inputs, "lite0", lambda name: find_attack(name).parameters())
    done = {(row["image"], row["attack"]) for row in read(out)}
    pictures = labelled_pictures(images, classifier, limit)
    for number, picture in enumerate(pictures):
        clean = picture.pixels(classifier)
        with torch.no_grad():
            right = bool(classifier(clean[None]).argmax() == picture.label)
        for name in (CLEAN, *attacks) if right else ():
            if (picture.name, name) in done:
                continue
            given = clean
            if name != CLEAN:
                unit = AttackUnit(picture.name, picture.label, name, 0, right, as_array(clean))
                made = store.load(unit)
                if made is None:
                    outcome = worker(unit)
                    assert isinstance(outcome, Attacked)  # noqa: S101  (an attack's unit gives no other)
                    made = outcome
                    store.save(unit, made)
                given = torch.from_numpy(made.adversarial)
            about = {"image": picture.name, "attack": name, "label": picture.label}
            append(out, [{**about, **row} for row in _compared(given, picture.label, classifier)])
        sys.stderr.write(f"two seeds: {number + 1} of {len(pictures)} pictures\n")


def _compared(given: Tensor, label: int, classifier: Classifier) -> Iterator[dict[str, Any]]:
    one, other = _fitted(given, 0, LONG), _fitted(given, 1, SHORT)
    for index, point in enumerate(one):
        yield _row(ONE, point.iteration, [one.outputs[index]], label, classifier)
        if index < len(other):
            both = [one.outputs[index], other.outputs[index]]
            total = 2 * point.iteration
            yield _row(PICTURES, total, [torch.stack(both).mean(dim=0)], label, classifier)
            yield _row(ANSWERS, total, both, label, classifier)


def _fitted(given: Tensor, number: int, iterations: int) -> Trajectory:
    recipe = replace(PRESETS["fast"].recipe, checkpoint_every=10)
    seed = picture_seed(0, given, number)
    return fit(FitTask(target=given, recipe=recipe, rule=Fixed(iterations), seed=seed, keep_outputs=True))


@torch.no_grad()
def _row(how: str, iterations: int, outputs: list[Tensor], label: int, classifier: Classifier) -> dict[str, Any]:
    begin = time.process_time()
    chances = classifier(torch.stack(outputs)).softmax(dim=-1).mean(dim=0)
    best = chances.topk(5).indices.tolist()
    return {
        "how": how,
        "iterations": iterations,
        "top1_correct": best[0] == label,
        "top5_correct": label in best,
        "asking_seconds": round(time.process_time() - begin, 4),
    }


def table() -> str:
    """Mean over the attacks, worst attack and clean, top-1 in percent, by all iterations spent."""
    rows = read(Path(__file__).parents[1] / RESULTS)
    attacks = sorted({row["attack"] for row in rows} - {CLEAN})
    right = {(row["iterations"], row["how"], row["attack"], row["image"]): row["top1_correct"] for row in rows}
    images = sorted({row["image"] for row in rows})
    lines = []
    for spent in (20, 40, 60, 80, 100):
        for how in WAYS:
            own = {name: [right[spent, how, name, image] for image in images] for name in (*attacks, CLEAN)}
            share = {name: 100 * mean(answers) for name, answers in own.items()}
            clean = share.pop(CLEAN)
            against = {
                image: [right[spent, how, name, image] - float(right[spent, ONE, name, image]) for name in attacks]
                for image in images
            }
            lines.append(
                [
                    str(spent),
                    how,
                    f"{mean(share.values()):.1f}",
                    f"{min(share.values()):.1f}",
                    f"{clean:.1f}",
                    "" if how == ONE else " (".join(gain(against)) + ")",
                ]
            )
    made = block_markdown(Table(["iterations in all", "how", "mean", "worst", "clean", "mean against one fit"], lines))
    return (
        f"{made.rstrip()}\n\n{len(images)} pictures; in brackets the 95 % interval, paired bootstrap over pictures.\n"
    )
