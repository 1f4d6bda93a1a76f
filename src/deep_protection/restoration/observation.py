"""Images of which something was lost before they were seen, and what was lost."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from deep_protection.arguments import whole
from deep_protection.errors import ImageError, OptionError
from deep_protection.fitting import Downsampling, ForwardOperator, Masking
from deep_protection.images import ImageRecord, check_side, check_size
from deep_protection.restoration.tiles import Tile
from deep_protection.stopping import psnr

FACTORS = (2, 4)
"""By which images can be enlarged."""
PROJECTIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation(ImageRecord):
    """``pixels`` are what was seen; ``to_original`` takes the whole image."""

    operator: Callable[[Tile], ForwardOperator]
    """What lies between the whole image and what was seen of it, for a tile of what was seen."""
    factor: int = 1
    """How many times as long the whole image's sides are as those of what was seen."""


def operator_of(image: ImageRecord, tile: Tile) -> ForwardOperator | None:
    """What was lost of a tile of an image; None where nothing was."""
    return image.operator(tile) if isinstance(image, Observation) else None


def factor_of(image: ImageRecord) -> int:
    """How many times as long the restored image's sides will be."""
    return image.factor if isinstance(image, Observation) else 1


def psnr_to_observed(restored: Tensor, image: ImageRecord) -> float:
    """How close what would be seen of ``restored`` is to what was seen, in dB."""
    height, width = image.pixels.shape[-2:]
    operator = operator_of(image, Tile(0, height, 0, width))
    return psnr(restored if operator is None else operator(restored[None])[0], image.target)


def with_holes(image: ImageRecord, known: Tensor) -> Observation:
    """The image seen only where ``known`` (``H×W`` bool); there it comes back as it was."""
    known = known.to(image.pixels.device)
    shown = image.target

    def to_original(pixels: Tensor) -> object:
        return image.to_original(torch.where(known, shown, pixels))

    return Observation(shown * known, to_original, image.notes, operator=lambda tile: Masking(tile.of(known)))


def with_missing(image: ImageRecord, missing: Tensor) -> Observation | None:
    """The image with holes where ``missing`` (``H×W`` bool) is true; None where it is nowhere.

    Raises :class:`ImageError` when the mask does not fit the image or leaves nothing of it.
    """
    if missing.shape != image.pixels.shape[-2:]:
        height, width = image.pixels.shape[-2:]
        raise ImageError(
            f"the mask is {missing.shape[1]}×{missing.shape[0]} and the image {width}×{height}; make them of one size"
        )
    if bool(missing.all()):
        raise ImageError("the mask covers the whole image; leave something to fill it in from (white is missing)")
    return with_holes(image, ~missing) if bool(missing.any()) else None


def check_factor(factor: int) -> None:
    """Raise :class:`OptionError` for a factor that is not offered."""
    if whole(factor, "factor") not in FACTORS:
        raise OptionError(f"factor must be 2 or 4, got {factor!r}")


def enlargeable(image: ImageRecord, factor: int) -> Observation:
    """The image as what was seen of one ``factor`` times as long on each side.

    Raises :class:`ImageError` and :class:`OutputError` when the larger one would be too large.
    """
    check_factor(factor)
    height, width = image.pixels.shape[-2:]
    check_size(factor * width, factor * height, f"the image, {factor} times as large,")
    if image.written_as is not None:
        check_side(image.written_as, factor * width, factor * height)
    shrink, shown = Downsampling(factor), image.target

    def to_original(pixels: Tensor) -> object:
        return image.to_original(back_project(pixels, shown, shrink))

    return Observation(shown, to_original, image.notes, operator=lambda _: shrink, factor=factor)


def back_project(drawn: Tensor, seen: Tensor, shrink: Downsampling) -> Tensor:
    """``drawn`` (``3×H×W``) with what it still lacks of ``seen`` spread over it (Irani & Peleg 1991).

    A fit that is ended early, and a mean of fits, is a little off what was seen.
    """
    for _ in range(PROJECTIONS):
        drawn = drawn + shrink.enlarged(seen - shrink(drawn[None])[0])
    return drawn.clamp(0, 1)
