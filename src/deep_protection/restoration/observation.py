"""Images of which something was lost before they were seen, and what was lost."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache

from torch import Tensor, where
from torch.nn import functional as F

from deep_protection.arguments import real, whole
from deep_protection.errors import ImageError, OptionError
from deep_protection.fitting import Downsampling, ForwardOperator, Masking
from deep_protection.images import ImageRecord, check_side, check_size
from deep_protection.restoration.filters import (
    check_filters,
    enlarged,
    filled,
    noise_of,
    strength_of,
    unclipped,
    without_noise,
)
from deep_protection.restoration.jpeg import compression_of, without_blocks
from deep_protection.restoration.tiles import Tile
from deep_protection.stopping import psnr

FACTORS = (2, 4)
"""By which images can be enlarged."""
PROJECTIONS = 5
NOISE_SHARE, BLOCKS_SHARE, HOLES_SHARE, ENLARGED_SHARE = 0.1, 0.1, 0.3, 0.3
"""Of the prior's image in the result, where it takes part; docs/restoration.md has what it adds."""


def _nothing_lost(tile: Tile) -> ForwardOperator | None:
    del tile
    return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation(ImageRecord):
    """``pixels`` are what was seen; ``to_original`` takes the whole image."""

    operator: Callable[[Tile], ForwardOperator | None] = _nothing_lost
    """What lies between the whole image and what was seen of it, for a tile of what was seen; None: nothing."""
    factor: int = 1
    """How many times as long the whole image's sides are as those of what was seen."""
    estimate: Callable[[Tile], Tensor] | None = None
    """What filters make of a tile of what was seen, ``3×H×W`` of the whole image; None: the prior draws alone."""
    share: float = 1.0
    """Of the prior's image in the result, the rest being that of filters."""
    wanted: Tensor | None = None
    """``H×W`` bool, the pixels that are to be drawn; None: all."""

    def is_wanted(self, tile: Tile) -> bool:
        """Whether there is anything to be drawn in a tile."""
        return self.wanted is None or bool(tile.of(self.wanted).any())

    def can_be_fitted(self, tile: Tile) -> bool:
        """Whether enough of a tile was seen for the prior to go by."""
        return self.wanted is None or float(tile.of(self.wanted).float().mean()) < MOSTLY


WIDE_SIDE = 33
"""Pixels; what is drawn in a hole of that side is a blur."""
MOSTLY = 0.75
"""Share of missing pixels of a tile from which on there is nothing to go by."""


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
        return image.to_original(where(known, shown, pixels))

    return Observation(shown * known, to_original, image.notes, operator=lambda tile: Masking(tile.of(known)))


def check_sigma(sigma: float | None) -> None:
    """Raise :class:`OptionError` for what is no standard deviation of noise in 8-bit steps."""
    if sigma is not None and not 0 < real(sigma, "sigma") < 255:
        raise OptionError(f"sigma is in 8-bit steps, above 0 and under 255, got {sigma}")


def with_noise(image: ImageRecord, sigma: float | None = None) -> Observation:
    """The image seen through noise of ``sigma`` 8-bit steps, estimated for None.

    Raises :class:`OptionError` for a sigma that is none.
    """
    check_sigma(sigma)
    check_filters()
    shown = image.target.cpu()
    noise = noise_of(shown, None if sigma is None else sigma / 255)
    strength = strength_of(noise)
    is_clipped = 0 <= float(shown.min()) <= float(shown.max()) <= 1  # elsewhere than in images it need not be

    def estimate(tile: Tile) -> Tensor:
        smooth = without_noise(tile.of(shown), noise)
        return (unclipped(smooth, strength) if is_clipped else smooth).clamp(0, 1)

    return _filtered(image, estimate, NOISE_SHARE)


def with_blocks(image: ImageRecord) -> Observation:
    """The image as JPEG compression left it: filters that know how it was compressed.

    One that shows no trace of compression says so, and only its noise goes.
    """
    check_filters()
    shown = image.target.cpu()
    known = compression_of(shown)
    if known is None:
        unknown = (
            "no trace of JPEG compression was found, so only noise was taken out; give the image as it was decoded"
        )
        return replace(with_noise(image), notes=(*image.notes, unknown))

    def estimate(tile: Tile) -> Tensor:
        return without_blocks(tile.of(shown), known, tile.top, tile.left)

    return _filtered(image, estimate, BLOCKS_SHARE)


def _filtered(image: ImageRecord, estimate: Callable[[Tile], Tensor], share: float) -> Observation:
    """The image, of which every pixel was seen, with what filters make of it."""
    given = {each.name: getattr(image, each.name) for each in fields(ImageRecord)}
    return Observation(**given, estimate=estimate, share=share)


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
    if not bool(missing.any()):
        return None
    check_filters()
    shown, missing = image.target, missing.to(image.pixels.device)

    from_afar = cache(lambda: Masking(~missing).initial_estimate(shown * ~missing))

    def estimate(tile: Tile) -> Tensor:
        if bool(tile.of(missing).all()):  # nothing near to go by
            return tile.of(from_afar())
        return filled(tile.of(shown).cpu(), tile.of(missing).cpu())

    widest = f"holes of {int(missing.sum()):,} px in all; wide ones become a blur" if _is_wide(missing) else None
    notes = (*image.notes, widest) if widest else image.notes
    return replace(with_holes(image, ~missing), notes=notes, estimate=estimate, share=HOLES_SHARE, wanted=missing)


def _is_wide(missing: Tensor) -> bool:
    """Whether somewhere a square of :data:`WIDE_SIDE` is missing."""
    if min(missing.shape) < WIDE_SIDE:
        return False
    known = (~missing)[None, None].float()
    nearest = F.max_pool2d(F.max_pool2d(known, (WIDE_SIDE, 1), 1), (1, WIDE_SIDE), 1)
    return bool((nearest == 0).any())


def check_factor(factor: int) -> None:
    """Raise :class:`OptionError` for a factor that is not offered."""
    if whole(factor, "factor") not in FACTORS:
        raise OptionError(f"factor must be 2 or 4, got {factor!r}")


def enlargeable(image: ImageRecord, factor: int) -> Observation:
    """The image as what was seen of one ``factor`` times as long on each side.

    Raises :class:`ImageError` and :class:`OutputError` when the larger one would be too large.
    """
    check_factor(factor)
    check_filters()
    height, width = image.pixels.shape[-2:]
    check_size(factor * width, factor * height, f"the image, {factor} times as large,")
    if image.written_as is not None:
        check_side(image.written_as, factor * width, factor * height)
    shrink, shown = Downsampling(factor), image.target

    def to_original(pixels: Tensor) -> object:
        return image.to_original(back_project(pixels, shown, shrink))

    def estimate(tile: Tile) -> Tensor:
        seen = tile.of(shown).cpu()
        return enlarged(seen, shrink, lambda drawn: back_project(drawn, seen, shrink))

    return Observation(
        shown,
        to_original,
        image.notes,
        operator=lambda _: shrink,
        factor=factor,
        estimate=estimate,
        share=ENLARGED_SHARE,
    )


def back_project(drawn: Tensor, seen: Tensor, shrink: Downsampling) -> Tensor:
    """``drawn`` (``3×H×W``) with what it still lacks of ``seen`` spread over it (Irani & Peleg 1991).

    A fit that is ended early, and a mean of fits, is a little off what was seen.
    """
    for _ in range(PROJECTIONS):
        drawn = drawn + shrink.enlarged(seen - shrink(drawn[None])[0])
    return drawn.clamp(0, 1)
