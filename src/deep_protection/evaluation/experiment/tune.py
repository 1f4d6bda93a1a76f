"""The choice of optimiser, activation, learning rate, width and depth of `fast`, as an experiment.

Each setting is a defence of its own, each tenth iteration a stop, so rows and reports are those of every experiment.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from deep_protection.errors import OptionError
from deep_protection.evaluation.experiment.judging import judged
from deep_protection.evaluation.experiment.optimisers import OPTIMISERS, RATES
from deep_protection.evaluation.experiment.record import environment, keep_settings
from deep_protection.evaluation.experiment.run import Report
from deep_protection.evaluation.experiment.settings import Settings
from deep_protection.evaluation.experiment.store import Store
from deep_protection.evaluation.experiment.subjects import Subjects
from deep_protection.evaluation.experiment.units import Attacked, AttackUnit, Row
from deep_protection.evaluation.experiment.worker import Worker
from deep_protection.fitting import BatchedFit, FitRequest, FitTask, result_or_raise, usable_cores, use_threads
from deep_protection.generators import FastGenerator
from deep_protection.restoration import PRESETS
from deep_protection.seeds import image_seed
from deep_protection.stopping import Fixed, Trajectory

ACTIVATIONS: dict[str, type[nn.Module]] = {"swish": nn.SiLU, "relu": nn.ReLU, "leaky": nn.LeakyReLU}
LENGTH = 100
"""Iterations of a fit, if nothing else is said."""
WIDTHS = (8, 16, 32)
"""Maps of the outermost scale; the others have twice as many."""
DEPTHS = (2, 3, 4)


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of the grid."""

    optimiser: str = "adam"
    activation: str = "swish"
    learning_rate: float = 0.01
    width: int = 16
    depth: int = 3

    @property
    def name(self) -> str:
        """What stands in the column ``defence``."""
        return f"{self.optimiser} {self.learning_rate:g}, {self.activation}, {self.width}×{self.depth}"

    def generator(self) -> type[FastGenerator]:
        """`fast`'s with these choices."""
        channels = (self.width, *(2 * self.width,) * (self.depth - 1))
        choices = {"name": self.name, "channels": channels, "activation": ACTIVATIONS[self.activation]}
        return type("Tuned", (FastGenerator,), choices)


def grid() -> list[Setting]:
    """Optimiser × activation × learning rate at the shipped size, and width × depth × learning rate with Adam."""
    first = [Setting(o, a, rate) for o, a in product(OPTIMISERS, ACTIVATIONS) for rate in RATES[o]]
    second = [Setting("adam", "swish", rate, w, d) for w, d, rate in product(WIDTHS, DEPTHS, RATES["adam"])]
    return list(dict.fromkeys([*first, *second]))


def chosen(names: list[str]) -> list[Setting]:
    """The points of the grid that have these names; all for none."""
    known = {setting.name: setting for setting in grid()}
    for name in names:
        if name not in known:
            raise OptionError(
                f"no setting {name!r} in the grid; its names are those of tune.md, such as {next(iter(known))!r}"
            )
    return [known[name] for name in names] or list(known.values())


def tune(settings: Settings, out: Path, report: Report = lambda *_: None, only: list[str] | None = None) -> None:
    """Fit the settings of the grid (``only`` those named) to every attacked image.

    What is in ``out`` already is not fitted again.
    """
    points = chosen(only or [])
    subjects = Subjects(settings, settings.inputs or out / "inputs")
    about = environment(settings)
    with Store(out) as store:
        keep_settings(settings, out)
        length = settings.iterations or LENGTH
        done = {
            (row["image"], row["attack"], row["defence"])
            for row in store.rows("results")
            if (row["seed"], row["views"], row["iterations_run"]) == (settings.seed, settings.views, length)
        }
        units = [replace(unit, attack=attack) for unit in subjects for attack in settings.attacks]
        todo = [(s, u) for u in units for s in points if (u.image, u.attack, s.name) not in done]
        for number, (setting, unit) in enumerate(todo):
            given = subjects.under(unit, unit.attack)
            rows = [{**row, **about} for row in _rows(setting, unit, given, subjects.worker, settings)]
            store.add(results=rows)
            report(number + 1, len(todo), f"{setting.name} of {unit.title}")


def _rows(setting: Setting, unit: AttackUnit, given: Attacked, worker: Worker, settings: Settings) -> Iterator[Row]:
    pixels = torch.from_numpy(given.adversarial)
    begin = time.process_time()
    trajectory = _fit(setting, pixels, settings)
    cpu = time.process_time() - begin
    outputs = torch.stack([trajectory.outputs[index] for index in range(len(trajectory))])
    probabilities = worker.probabilities(outputs, settings.views)
    last = trajectory[-1].iteration
    for index, point in enumerate(trajectory):
        yield {
            **judged(unit, given, outputs[index], probabilities[index]),
            "defence": setting.name,
            "stop": f"fixed:{point.iteration}",
            "stop_reason": trajectory.reason,
            "seed": settings.seed,
            "views": settings.views,
            "iterations_run": point.iteration,
            "iteration_chosen": point.iteration,
            "cpu_seconds": cpu * point.iteration / last,
            "seconds": point.seconds,
            "optimiser": setting.optimiser,
            "activation": setting.activation,
            "learning_rate": setting.learning_rate,
            "width": setting.width,
            "depth": setting.depth,
        }


def _fit(setting: Setting, pixels: Tensor, settings: Settings) -> Trajectory:
    recipe = replace(
        PRESETS["fast"].recipe, generator=setting.generator(), learning_rate=setting.learning_rate, checkpoint_every=10
    )
    rule = Fixed(settings.iterations or LENGTH)
    seed = image_seed(settings.seed, pixels)
    kind: type[BatchedFit] = type("Tuned", (BatchedFit,), {"optimiser": OPTIMISERS[setting.optimiser]})
    stack = kind([FitRequest(0, FitTask(target=pixels, recipe=recipe, rule=rule, seed=seed, keep_outputs=True))])
    cores = usable_cores()
    use_threads(1, cores)  # as every fit of an experiment, for rows that do not depend on the machine's cores
    try:
        while True:
            for _, outcome in stack.advance():
                return result_or_raise(outcome)
    finally:
        use_threads(cores, cores)
