"""A batch of images fitted by one recipe, and seen at every checkpoint."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from deep_protection.fitting import FitTask, Recipe, fit_all
from deep_protection.seeds import image_seed
from deep_protection.stopping import Fixed, Trajectory


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of it. Seconds are the batch's, shared out evenly over its images and iterations."""

    trajectories: list[Trajectory]
    """All fits of the first image, then all of the second, …"""
    fits: int
    cpu_seconds_an_iteration: float
    seconds_an_iteration: float

    def outputs(self, image: int) -> Iterator[tuple[int, Tensor]]:
        """Iteration and image at every checkpoint of one image, the mean of its fits."""
        own = self.trajectories[image * self.fits : (image + 1) * self.fits]
        for index, point in enumerate(own[0]):
            yield point.iteration, torch.stack([trajectory.outputs[index] for trajectory in own]).mean(dim=0)


def fit_batch(recipe: Recipe, images: list[Tensor], iterations: int, fits: int = 1) -> Batch:
    """Fit each of ``images`` (``3×H×W``) ``fits`` times for ``iterations``."""
    tasks = [
        FitTask(
            target=image,
            recipe=recipe,
            rule=Fixed(iterations),
            seed=image_seed(0, image, number),
            keep_outputs=True,
        )
        for image in images
        for number in range(fits)
    ]
    begin, begin_cpu = time.perf_counter(), time.process_time()
    trajectories = list(fit_all(tasks, images_total=len(tasks)))
    share = 1 / len(images) / iterations
    cpu, seconds = time.process_time() - begin_cpu, time.perf_counter() - begin
    return Batch(trajectories, fits, cpu * share, seconds * share)
