"""What a picture of some size costs to draw, and how often it is drawn for that."""

import time
from functools import cache

import torch

from deep_protection.fitting import FitTask, Recipe, fit, usable_cores
from deep_protection.restoration.presets import Preset
from deep_protection.stopping import Fixed, StopRule

TRIAL_SIDE, TRIAL_ITERATIONS = 192, 6


@cache
def seconds_a_megapixel(recipe: Recipe, device: torch.device) -> float:
    """What an iteration takes this machine for each megapixel that is drawn, on one core; measured once a process."""
    image = torch.rand(
        3, TRIAL_SIDE, TRIAL_SIDE, generator=torch.Generator("cpu").manual_seed(0), dtype=torch.float32, device="cpu"
    )

    def run(iterations: int) -> float:
        begin = time.perf_counter()
        fit(FitTask(target=image, recipe=recipe, rule=Fixed(iterations), seed=0, device=device))
        return time.perf_counter() - begin

    run(1)  # what is set up once a process
    spent = run(1 + TRIAL_ITERATIONS) - run(1)
    return max(spent, 1e-4) / TRIAL_ITERATIONS / (TRIAL_SIDE**2 / 1e6)


def planned_fits(
    preset: Preset,
    rule: StopRule,
    megapixels: float,
    *,
    device: torch.device,
    seconds: float | None = None,
    workers: int | None = None,
) -> int:
    """How many fits of an image there is time for: whole ones, for half-drawn pictures are worse than a filter's.

    Args:
        preset: it says how many there are at most.
        rule: it says how many iterations a fit has at most.
        megapixels: how much is drawn, in all tiles together.
        device: where.
        seconds: of wall time; None allows what the preset does, which allows none where a prior adds nothing.
        workers: fits at once on the CPU; None is one a core.
    """
    if seconds is None or not preset.megapixels:
        return int(min(preset.fits, preset.megapixels / megapixels)) if megapixels else 0
    at_once = (workers or usable_cores()) if device.type == "cpu" else 1
    cost = seconds_a_megapixel(preset.recipe, device) * megapixels * rule.max_iterations
    return next((fits for fits in range(preset.fits, 0, -1) if cost * fits / min(fits, at_once) <= seconds), 0)
