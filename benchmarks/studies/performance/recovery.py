"""How often a defence gives the right answer back, and what it costs: baselines and our presets on the same images.

    python -m benchmarks recovery --images DIR

Slow peers have their own command (``long``) and write the same columns.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.studies.performance.batch import fit_batch
from deep_protection.errors import OptionError
from deep_protection.evaluation import BASELINES
from deep_protection.evaluation.experiment import Store, Subjects, make_settings
from deep_protection.evaluation.experiment.plan import CLEAN
from deep_protection.evaluation.experiment.record import fitting
from deep_protection.evaluation.experiment.units import AttackUnit, Row
from deep_protection.restoration import PRESETS

BATCH = 32
"""Images fitted, and written down, at a time; one where an image takes many minutes."""
KEY = ("source", "method", "of", "attack", "image", "iteration")


def run(
    images: str, inputs: Path, out: Path, methods: list[str], attacks: list[str], limit: int, iterations: int
) -> None:
    """Add to the table ``recovery`` in the folder ``out``; what is there is not measured again."""
    unknown = [method for method in methods if method not in BASELINES and method not in PRESETS]
    if unknown:
        raise OptionError(f"unknown: {', '.join(unknown)}; there are: {', '.join([*BASELINES, *PRESETS])}")
    settings = {"images": images, "attacks": [name for name in attacks if name != CLEAN], "limit": limit}
    subjects = Subjects(make_settings({**settings, "recognised": True}), inputs)
    chosen = list(subjects)
    with Store(out, {"recovery": KEY}) as store:
        for name in attacks:
            for method in methods:
                length = 0 if method in BASELINES else iterations
                key = {"source": Path(images).name, "attack": name, "method": method, "of": of_method(method)}
                known = [row for row in store.rows("recovery") if key.items() <= row.items()]
                done = {row["image"] for row in known if row["iteration"] >= length}
                left = [unit for unit in chosen if unit.image not in done]
                alone = method in PRESETS and PRESETS[method].recipe.parallel == "operators"
                size = 1 if alone else BATCH
                for batch in (left[start : start + size] for start in range(0, len(left), size)):
                    given = [torch.from_numpy(subjects.under(unit, name).adversarial) for unit in batch]
                    if method in BASELINES:
                        made = filtered(method, batch, given, subjects)
                    else:
                        made = fitted(method, batch, given, subjects, iterations)
                    store.add(recovery=[{**key, **row} for row in made])
                print(f"{method} · {name}: {len(left)} images", flush=True)


def of_method(method: str) -> str:
    """What a row was measured of, so that rows of other settings never stand for it. Peers have their name only."""
    if method in PRESETS:
        return fitting(PRESETS[method])
    return f"{getattr(BASELINES[method].apply, 'keywords', {})}" if method in BASELINES else ""


def filtered(method: str, batch: list[AttackUnit], given: list[Tensor], subjects: Subjects) -> Iterator[Row]:
    """A row for each image through a baseline."""
    BASELINES[method].apply(given[0])  # what is imported at the first call is not the filter's cost
    for unit, pixels in zip(batch, given, strict=True):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        output = BASELINES[method].apply(pixels)
        cost = {"cpu_seconds": time.process_time() - begin_cpu, "seconds": time.perf_counter() - begin}
        yield {"image": unit.image, "iteration": 0, **cost, **subjects.judge(unit, output)}


def fitted(
    method: str, batch: list[AttackUnit], given: list[Tensor], subjects: Subjects, iterations: int
) -> Iterator[Row]:
    """A row for each image and checkpoint of a preset's recipe, fitted as one batch.

    Where the preset fits an image several times, the fits' images are averaged checkpoint by checkpoint.
    """
    preset = PRESETS[method]
    made = fit_batch(replace(preset.recipe, checkpoint_every=10), given, iterations, preset.fits)
    for number, unit in enumerate(batch):
        for iteration, output in made.outputs(number):
            yield {
                "image": unit.image,
                "iteration": iteration,
                "cpu_seconds": made.cpu_seconds_an_iteration * iteration,
                "seconds": made.seconds_an_iteration * iteration,
                **subjects.judge(unit, output),
            }
