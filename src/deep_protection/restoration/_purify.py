"""Restoring images: the one call that everything else is built on."""

import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, Unpack, overload

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.fitting import FitTask, find_device, fit_all
from deep_protection.images import ImageBatch, ImageRecord, as_batch
from deep_protection.restoration.observation import factor_of
from deep_protection.restoration.options import FitKeywords, FitOptions
from deep_protection.restoration.parts import PendingImage
from deep_protection.restoration.presets import Preset, find_preset
from deep_protection.restoration.result import Purified
from deep_protection.seeds import checked_seed
from deep_protection.stopping import StopRule

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
    started: deque[PendingImage] = deque()

    def tasks() -> Iterator[FitTask]:
        for index, image in enumerate(images):
            _refuse_tiles(image, preset, rule, keep_outputs)
            pending = PendingImage(image, preset, rule, index, options, where, total)
            started.append(pending)
            yield from pending.tasks(run_seed, keep_outputs=keep_outputs)

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
            yield pending.result(repr(rule), run_seed)


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
