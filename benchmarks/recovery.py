"""How often a defence gives the right answer back, and what it costs: baselines and our presets on the same pictures.

    python -m benchmarks recovery --images DIR

Slow peers have their own command (``long``) and write the same rows.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import rows
from benchmarks.judge import judge
from benchmarks.pictures import Subject, attacked, subjects
from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.evaluation import BASELINES
from deep_protection.fitting import FitTask, fit_all
from deep_protection.purification import PRESETS
from deep_protection.seeds import picture_seed
from deep_protection.stopping import Fixed


def run(images: Path, out: Path, methods: list[str], attacks: list[str], pictures: int, iterations: int) -> None:
    classifier = load_classifier("lite0")
    chosen = [subject for subject, _ in zip(subjects(images, classifier), range(pictures), strict=False)]
    done = {(row["method"], row["attack"], row["picture"]) for row in rows.read(out)}
    for name in attacks:
        for method in methods:
            left = [subject for subject in chosen if (method, name, subject.name) not in done]
            if not left:
                continue
            given = [attacked(subject, name, classifier) for subject in left]
            if method in BASELINES:
                made = filtered(method, left, given, classifier)
            else:
                made = fitted(method, left, given, classifier, iterations)
            rows.append(out, ({"method": method, "attack": name, **row} for row in made))
            print(f"{method} · {name}: {len(left)} pictures", flush=True)


def filtered(method: str, chosen: list[Subject], given: list[Tensor], classifier: Classifier) -> Iterator[rows.Row]:
    """A row for each picture through a baseline."""
    for subject, picture in zip(chosen, given, strict=True):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        output = BASELINES[method].apply(picture)
        cpu, seconds = time.process_time() - begin_cpu, time.perf_counter() - begin
        row = {"picture": subject.name, "iteration": 0, "cpu_seconds": round(cpu, 5), "seconds": round(seconds, 5)}
        yield {**row, **judge(output, picture, subject, classifier)}


def fitted(
    method: str, chosen: list[Subject], given: list[Tensor], classifier: Classifier, iterations: int
) -> Iterator[rows.Row]:
    """A row for each picture and checkpoint of a preset's recipe, fitted as one batch.

    Where the preset fits a picture several times, the fits' pictures are averaged checkpoint by checkpoint. CPU and
    wall seconds are the batch's, shared out evenly over its pictures and iterations.
    """
    preset = PRESETS[method]
    recipe = replace(preset.recipe, checkpoint_every=10)
    tasks = [
        FitTask(
            target=picture,
            recipe=recipe,
            rule=Fixed(iterations),
            seed=picture_seed(0, picture, number),
            keep_outputs=True,
        )
        for picture in given
        for number in range(preset.fits)
    ]
    begin, begin_cpu = time.perf_counter(), time.process_time()
    trajectories = list(fit_all(tasks, pictures_total=len(tasks)))
    share = 1 / len(given) / iterations
    cpu, seconds = (time.process_time() - begin_cpu) * share, (time.perf_counter() - begin) * share
    for number, (subject, picture) in enumerate(zip(chosen, given, strict=True)):
        fits = trajectories[number * preset.fits : (number + 1) * preset.fits]
        for index, point in enumerate(fits[0]):
            outputs = torch.stack([trajectory.outputs[index] for trajectory in fits])
            # What fewer fits would have given comes with it for the price of a classification.
            for count in sorted({min(2, preset.fits), preset.fits}):
                part = count / preset.fits
                yield {
                    "method": method if part == 1 else f"{method}, {count} fits",
                    "picture": subject.name,
                    "iteration": point.iteration,
                    "cpu_seconds": round(cpu * point.iteration * part, 4),
                    "seconds": round(seconds * point.iteration * part, 4),
                    **judge(outputs[:count].mean(dim=0), picture, subject, classifier),
                }
