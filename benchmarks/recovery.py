"""How often a defence gives the right answer back, and what it costs: baselines and our presets on the same pictures.

    python -m benchmarks recovery --images DIR

Slow peers have their own command (``long``) and write the same rows.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from benchmarks import rows
from benchmarks.batch import fit_batch
from benchmarks.fingerprint import of_method
from benchmarks.judge import judge
from benchmarks.pictures import Subject, attacked, first
from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.evaluation import BASELINES
from deep_protection.restoration import PRESETS

BATCH = 32
"""Pictures fitted, and written down, at a time; one where a picture takes many minutes."""


def run(images: Path, out: Path, methods: list[str], attacks: list[str], pictures: int, iterations: int) -> None:
    unknown = [method for method in methods if method not in BASELINES and method not in PRESETS]
    if unknown:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are: {', '.join([*BASELINES, *PRESETS])}")
    classifier = load_classifier("lite0")
    chosen = first(images, classifier, pictures)
    for name in attacks:
        for method in methods:
            length = 0 if method in BASELINES else iterations
            key = {"source": images.name, "attack": name, "method": method, "of": of_method(method)}
            done = {row["picture"] for row in rows.matching(out, key) if row["iteration"] >= length}
            left = [subject for subject in chosen if subject.name not in done]
            size = 1 if method in PRESETS and PRESETS[method].recipe.parallel == "operators" else BATCH
            for batch in (left[start : start + size] for start in range(0, len(left), size)):
                given = [attacked(subject, name, classifier) for subject in batch]
                if method in BASELINES:
                    made = filtered(method, batch, given, classifier)
                else:
                    made = fitted(method, batch, given, classifier, iterations)
                rows.append(out, ({**key, **row} for row in made))
            print(f"{method} · {name}: {len(left)} pictures", flush=True)


def filtered(method: str, chosen: list[Subject], given: list[Tensor], classifier: Classifier) -> Iterator[rows.Row]:
    """A row for each picture through a baseline."""
    BASELINES[method].apply(given[0])  # what is imported at the first call is not the filter's cost
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

    Where the preset fits a picture several times, the fits' pictures are averaged checkpoint by checkpoint.
    """
    preset = PRESETS[method]
    batch = fit_batch(replace(preset.recipe, checkpoint_every=10), given, iterations, preset.fits)
    for number, (subject, picture) in enumerate(zip(chosen, given, strict=True)):
        for iteration, output in batch.outputs(number):
            yield {
                "picture": subject.name,
                "iteration": iteration,
                "cpu_seconds": round(batch.cpu_seconds_an_iteration * iteration, 4),
                "seconds": round(batch.seconds_an_iteration * iteration, 4),
                **judge(output, picture, subject, classifier),
            }
