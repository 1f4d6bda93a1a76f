"""Restoring pictures: the one call that everything else is built on."""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from deep_protection.arguments import real, whole
from deep_protection.errors import OptionError
from deep_protection.fitting import FitTask, ProgressCallback, effective_precision, fit_all
from deep_protection.generators import find_generator
from deep_protection.images import Picture, Taken, take
from deep_protection.purification.devices import find_device
from deep_protection.purification.presets import Preset, find_preset
from deep_protection.purification.result import Purified
from deep_protection.purification.seen import factor_of, lost_of, psnr_to_seen
from deep_protection.purification.tiles import Mosaic, Tile, cut
from deep_protection.seeds import checked_seed, picture_seed
from deep_protection.stopping import StopRule, Trajectory


def purify(
    image: Any,
    *,
    preset: str | Preset = "fast",
    stop: str | StopRule | None = None,
    seed: int | None = 0,
    device: str | torch.device = "auto",
    seconds: float | None = None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
    return_details: bool = False,
    keep_outputs: bool = False,
) -> Any:
    """Restore a picture, a list of pictures or a batch.

    >>> import numpy as np, deep_protection as dp
    >>> dp.purify(np.zeros((16, 16, 3), np.uint8), stop="fixed:2").shape
    (16, 16, 3)

    Args:
        image: a path (a Pillow image comes back), bytes of an image file (bytes of the same format), a Pillow image,
            an ``H×W[×C]`` array, a ``[C×]H×W`` tensor, a batch of arrays ``N×H×W×C`` or tensors ``N×C×H×W``, or a list
            of any of these. Integers are uint8 or uint16, floats in ``[0, 1]``. The same type and size come back.
        preset: ``"fast"``, ``"thorough"``, ``"paper"`` or a :class:`Preset`.
        stop: when to end a fit, such as ``"fixed:200"``; None takes the preset's rule.
        seed: with the picture's content it decides all that is drawn at random; None draws a fresh one.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or any device of PyTorch's.
        seconds: wall time for the whole call; each picture gets a fair part and ends there with what it has.
        workers: pictures fitted at once on the CPU; None is one a core.
        progress: called in this thread with a :class:`Progress`.
        is_cancelled: asked at every iteration; when true, :class:`CancelledError` is raised.
        return_details: give a :class:`Purified` (or a list of them) instead of the bare picture.
        keep_outputs: keep the picture of every checkpoint in the details' trajectories.

    Raises:
        ImageError: a picture cannot be used. OptionError: an argument cannot. Nothing is fitted then.
    """
    taken = take(image)
    settings = find_preset(preset)
    rule = settings.rule(stop)
    for picture in taken.pictures:
        _refuse_tiles(picture, settings, rule, keep_outputs)
    results = purify_each(
        taken.pictures,
        total=len(taken.pictures),
        preset=settings,
        stop=rule,
        seed=seed,
        device=device,
        seconds=seconds,
        workers=workers,
        progress=progress,
        is_cancelled=is_cancelled,
        keep_outputs=keep_outputs,
    )
    if return_details:
        details = list(results)
        return details[0] if taken.single else details
    return joined(taken, results)


def joined(taken: Taken, results: Iterator[Purified]) -> Any:
    """The restored pictures in the type the caller gave; what the caller's caller should be told is a warning."""
    restored = [result.image for result in results]
    for note in dict.fromkeys(note for picture in taken.pictures for note in picture.notes):
        warnings.warn(note, stacklevel=3)
    return taken.join(restored)


def purify_each(
    pictures: Iterable[Picture],
    *,
    total: int,
    preset: str | Preset = "fast",
    stop: str | StopRule | None = None,
    seed: int | None = 0,
    device: str | torch.device = "auto",
    seconds: float | None = None,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
    keep_outputs: bool = False,
) -> Iterator[Purified]:
    """Restore ``total`` pictures one after the other, reading only a little ahead: for more than fit into memory.

    Of those that are :class:`Seen`, the whole picture is drawn.
    """
    settings = find_preset(preset)
    rule = settings.rule(stop)
    if total > 0:
        rule.for_picture(total - 1)  # an oracle that lacks labels says so before anything is fitted
    rule.check()
    run_seed = checked_seed(seed)
    where = find_device(device)
    if seconds is not None and not real(seconds, "seconds") > 0:
        raise OptionError(f"seconds must be positive, got {seconds}")
    if workers is not None:
        workers = whole(workers, "workers")
    started: deque[_Job] = deque()

    def tasks() -> Iterator[FitTask]:
        for index, picture in enumerate(pictures):
            height, width = picture.pixels.shape[-2:]
            factor = factor_of(picture)  # what is bounded is the size of what is drawn
            tiles = cut(height, width, settings.tile // factor, settings.overlap // factor)
            _refuse_tiles(picture, settings, rule, keep_outputs)
            parts = len(tiles) * settings.fits
            mosaic = Mosaic(factor * height, factor * width, settings.overlap) if parts > 1 else None
            started.append(_Job(picture, tiles, settings.fits, mosaic))
            shown = picture.target
            for tile in tiles:
                target, lost = tile.of(shown), lost_of(picture, tile)
                for number in range(settings.fits):
                    yield FitTask(
                        target=target,
                        recipe=settings.recipe,
                        rule=rule.for_picture(index),
                        seed=picture_seed(run_seed, target, number),
                        device=where,
                        keep_outputs=keep_outputs,
                        degradation=lost,
                        share=1 / parts,
                    )

    for trajectory in fit_all(
        tasks(),
        pictures_total=total,
        workers=workers,
        seconds=seconds,
        progress=progress,
        is_cancelled=is_cancelled,
    ):
        job = started[0]
        job.add(trajectory)
        if job.is_done:
            started.popleft()
            yield job.result(settings, repr(rule), run_seed, where)


def _refuse_tiles(picture: Picture, settings: Preset, rule: StopRule, keep_outputs: bool) -> None:
    """What is asked of a whole picture cannot be done in tiles."""
    height, width = picture.pixels.shape[-2:]
    most = settings.tile // factor_of(picture)
    if max(height, width) <= most:
        return
    if rule.asks_classifier or keep_outputs:
        what = f"the stop rule {rule!r} classifies" if rule.asks_classifier else "keep_outputs keeps"
        raise OptionError(
            f"{what} whole pictures, and {width}×{height} is fitted in tiles; give pictures of at most "
            f"{most} px on a side"
        )


@dataclass(slots=True)
class _Job:
    """A picture whose tiles are being fitted, each as often as the preset says."""

    picture: Picture
    tiles: list[Tile]
    fits: int
    mosaic: Mosaic | None
    trajectories: list[Trajectory] = field(default_factory=list)

    def add(self, trajectory: Trajectory) -> None:
        if self.mosaic is not None:
            tile = self.tiles[len(self.trajectories) // self.fits]
            self.mosaic.add(tile.enlarged(factor_of(self.picture)), trajectory.restored.cpu())
            if len(self.tiles) > 1:
                trajectory.outputs = {}  # the mosaic has it; hundreds of tiles are not kept twice
        self.trajectories.append(trajectory)

    @property
    def is_done(self) -> bool:
        return len(self.trajectories) == len(self.tiles) * self.fits

    def result(self, settings: Preset, stop_rule: str, seed: int, device: torch.device) -> Purified:
        restored = self.trajectories[0].restored.cpu() if self.mosaic is None else self.mosaic.pixels
        longest = max(self.trajectories, key=lambda trajectory: trajectory.iteration_chosen)
        return Purified(
            image=self.picture.rebuild(restored),
            preset=settings.name,
            generator=find_generator(settings.recipe.generator).name,
            fits=self.fits,
            seed=seed,
            stop_rule=stop_rule,
            stop_reason=longest.reason,
            iteration_chosen=longest.iteration_chosen,
            iterations_run=max(trajectory.iterations_run for trajectory in self.trajectories),
            seconds=sum(trajectory[-1].seconds for trajectory in self.trajectories),
            psnr_input=psnr_to_seen(restored, self.picture),
            rollbacks=sum(trajectory.rollbacks for trajectory in self.trajectories),
            device=str(device),
            precision=effective_precision(settings.recipe.precision, device),
            trajectories=tuple(self.trajectories),
            notes=self.picture.notes,
        )
