"""Restoring images: the one call that everything else is built on."""

import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, Unpack, overload

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.fitting import FitTask, effective_precision, find_device, fit_all
from deep_protection.generators import find_generator
from deep_protection.images import ImageBatch, ImageRecord, as_batch
from deep_protection.restoration.observation import factor_of, operator_of, psnr_to_observed
from deep_protection.restoration.options import FitKeywords, FitOptions
from deep_protection.restoration.presets import Preset, find_preset
from deep_protection.restoration.result import Purified
from deep_protection.restoration.tiles import Tile, TileBlender, cut_tiles
from deep_protection.seeds import checked_seed, image_seed
from deep_protection.stopping import StopRule, Trajectory

ImageFile = str | os.PathLike[str]
ImageLike = ImageFile | bytes | Image.Image | NDArray[Any] | Tensor
InMemory = TypeVar("InMemory", bytes, Image.Image, NDArray[Any], Tensor)
"""What comes back as it was given; a file comes back as a Pillow image."""
Details: TypeAlias = Any
"""A :class:`Purified` of one image, a list of them of a list or a batch."""


class PurifyKeywords(FitKeywords, total=False):
    """What :func:`purify` takes."""

    preset: str | Preset
    stop: str | StopRule | None
    keep_outputs: bool


@overload
def purify(  # type: ignore[overload-overlap]  # a str is a sequence too
    image: ImageFile, *, return_details: Literal[False] = ..., **options: Unpack[PurifyKeywords]
) -> Image.Image: ...
@overload
def purify(image: InMemory, *, return_details: Literal[False] = ..., **options: Unpack[PurifyKeywords]) -> InMemory: ...
@overload
def purify(
    image: Sequence[ImageLike], *, return_details: Literal[False] = ..., **options: Unpack[PurifyKeywords]
) -> list[ImageLike]: ...
@overload
def purify(
    image: ImageLike | Sequence[ImageLike], *, return_details: Literal[True], **options: Unpack[PurifyKeywords]
) -> Details: ...
def purify(
    image: ImageLike | Sequence[ImageLike],
    *,
    preset: str | Preset = "fast",
    stop: str | StopRule | None = None,
    return_details: bool = False,
    keep_outputs: bool = False,
    **options: Unpack[FitKeywords],
) -> object:
    """Restore an image, a list of images or a batch.

    >>> import numpy as np, deep_protection as dp
    >>> dp.purify(np.zeros((16, 16, 3), np.uint8), stop="fixed:2").shape
    (16, 16, 3)

    Args:
        image: a path (a Pillow image comes back), bytes of an image file (bytes of the same format), a Pillow image,
            an ``H×W[×C]`` array, a ``[C×]H×W`` tensor, a batch of arrays ``N×H×W×C`` or tensors ``N×C×H×W``, or a list
            of any of these. Integers are uint8 or uint16, floats in ``[0, 1]``. The same type and size come back.
        preset: ``"fast"``, ``"thorough"``, ``"paper"`` or a :class:`Preset`.
        stop: when to end a fit, such as ``"fixed:200"``; None takes the preset's rule.
        return_details: give a :class:`Purified` (or a list of them) instead of the bare image.
        keep_outputs: keep the image of every checkpoint in the details' trajectories.
        options: ``seed``, ``device``, ``seconds``, ``workers``, ``progress``, ``is_cancelled``: :class:`FitOptions`.

    Raises:
        ImageError: an image cannot be used. OptionError: an argument cannot. Nothing is fitted then.
    """
    batch = as_batch(image)
    settings, given = find_preset(preset), FitOptions(**options)
    rule = settings.rule(stop)
    for each in batch.records:
        _refuse_tiles(each, settings, rule, keep_outputs)
    results = purify_each(batch.records, len(batch.records), settings, rule, given, keep_outputs=keep_outputs)
    return finished(batch, results, return_details=return_details)


def finished(batch: ImageBatch, results: Iterator[Purified], *, return_details: bool, stacklevel: int = 3) -> object:
    """The restored images in the type the caller gave; what the caller's caller should be told is a warning."""
    every = list(results)
    if return_details:
        return every[0] if batch.single else every
    for note in dict.fromkeys(note for each in batch.records for note in each.notes):
        warnings.warn(note, stacklevel=stacklevel)
    return batch.collate([result.image for result in every])


def purify_batch(
    pixels: Tensor, preset: str | Preset, stop: str | StopRule | None = None, options: FitOptions | None = None
) -> Tensor:
    """The function under everything that takes tensors: no conversion, and nothing leaves the device.

    Args:
        pixels: ``N×3×H×W`` floats in ``[0, 1]``.
        preset: a name or a :class:`Preset`; its ``fits`` say how many restored images there are of each.
        stop: as for :func:`purify`.
        options: where and how long; None takes the defaults.

    Returns:
        ``N×fits×3×H×W``, of the type and on the device of ``pixels``. Of an image in tiles only the mean of its fits
        is kept, which then stands for each.
    """
    settings = find_preset(preset)
    rule = settings.rule(stop)
    records = [ImageRecord(each.detach().to(torch.float32)) for each in pixels]
    for each in records[:1]:  # all have one size
        _refuse_tiles(each, settings, rule, keep_outputs=False)
    results = purify_each(records, len(pixels), settings, rule, options or FitOptions())
    made = [torch.stack(result.restored_by_fit) for result in results]
    return torch.stack(made).to(pixels) if made else pixels.new_empty(0, settings.fits, *pixels.shape[1:])


def purify_each(
    images: Iterable[ImageRecord],
    total: int,
    preset: Preset,
    rule: StopRule,
    options: FitOptions,
    *,
    keep_outputs: bool = False,
) -> Iterator[Purified]:
    """Restore ``total`` images one after the other, reading only a little ahead: for more than fit into memory.

    Of those that are an :class:`Observation`, the whole image is drawn.
    """
    if total > 0:
        rule.for_image(total - 1)  # an oracle that lacks labels says so before anything is fitted
    rule.check()
    run_seed, where = checked_seed(options.seed), find_device(options.device)
    started: deque[_PendingImage] = deque()

    def tasks() -> Iterator[FitTask]:
        for index, image in enumerate(images):
            height, width = image.pixels.shape[-2:]
            factor = factor_of(image)  # what is bounded is the size of what is drawn
            tiles = cut_tiles(height, width, preset.tile // factor, preset.overlap // factor)
            _refuse_tiles(image, preset, rule, keep_outputs)
            pending = _PendingImage(image, tiles, preset)
            started.append(pending)
            shown = image.target
            for tile in tiles:
                target, operator = tile.of(shown), operator_of(image, tile)
                for number in range(preset.fits):
                    yield FitTask(
                        target=target,
                        recipe=preset.recipe,
                        rule=rule.for_image(index),
                        seed=image_seed(run_seed, target, number),
                        device=where,
                        keep_outputs=keep_outputs,
                        operator=operator,
                        share=1 / pending.parts,
                    )

    for trajectory in fit_all(
        tasks(),
        images_total=total,
        workers=options.workers,
        seconds=options.seconds,
        progress=options.progress,
        is_cancelled=options.is_cancelled,
    ):
        pending = started[0]
        pending.add(trajectory)
        if pending.is_done:
            started.popleft()
            yield pending.result(repr(rule), run_seed, where)


def _refuse_tiles(image: ImageRecord, settings: Preset, rule: StopRule, keep_outputs: bool) -> None:
    """What is asked of a whole image cannot be done in tiles."""
    height, width = image.pixels.shape[-2:]
    most = settings.tile // factor_of(image)
    if max(height, width) <= most:
        return
    if rule.asks_classifier or keep_outputs:
        what = f"the stop rule {rule!r} classifies" if rule.asks_classifier else "keep_outputs keeps"
        raise OptionError(
            f"{what} whole images, and {width}×{height} is fitted in tiles; give images of at most {most} px on a side"
        )


@dataclass(slots=True)
class _PendingImage:
    """An image whose tiles are being fitted, each as often as the preset says."""

    image: ImageRecord
    tiles: list[Tile]
    preset: Preset
    trajectories: list[Trajectory] = field(default_factory=list)
    blender: TileBlender | None = None

    def __post_init__(self) -> None:
        if self.parts > 1:
            height, width = (factor_of(self.image) * side for side in self.image.pixels.shape[-2:])
            self.blender = TileBlender(height, width, self.preset.overlap, self._device)

    @property
    def parts(self) -> int:
        """Fits in all."""
        return len(self.tiles) * self.preset.fits

    @property
    def is_done(self) -> bool:
        return len(self.trajectories) == self.parts

    @property
    def _device(self) -> torch.device:
        """The image's own: what was restored elsewhere comes back to it."""
        return self.image.pixels.device

    def add(self, trajectory: Trajectory) -> None:
        if self.blender is not None:
            tile = self.tiles[len(self.trajectories) // self.preset.fits]
            self.blender.add(tile.enlarged(factor_of(self.image)), trajectory.restored.to(self._device))
            if len(self.tiles) > 1:
                trajectory.outputs = {}  # the blender has it; hundreds of tiles are not kept twice
        self.trajectories.append(trajectory)

    def result(self, stop_rule: str, seed: int, device: torch.device) -> Purified:
        whole = self.trajectories[0].restored.to(self._device) if self.blender is None else self.blender.finish()
        longest = max(self.trajectories, key=lambda trajectory: trajectory.iteration_chosen)
        return Purified(
            image=self.image.to_original(whole),
            preset=self.preset.name,
            generator=find_generator(self.preset.recipe.generator).name,
            fits=self.preset.fits,
            seed=seed,
            stop_rule=stop_rule,
            stop_reason=longest.reason,
            iteration_chosen=longest.iteration_chosen,
            iterations_run=max(trajectory.iterations_run for trajectory in self.trajectories),
            seconds=sum(trajectory[-1].seconds for trajectory in self.trajectories),
            psnr_input=psnr_to_observed(whole, self.image),
            rollbacks=sum(trajectory.rollbacks for trajectory in self.trajectories),
            device=str(device),
            precision=effective_precision(self.preset.recipe.precision, device),
            trajectories=tuple(self.trajectories),
            notes=self.image.notes,
        )
