"""An image inside the package: its pixels, whether they are any, and the way back to what the caller gave."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deep_protection.errors import ImageError, ImageTooLargeError

MAX_PIXELS = 80_000_000
"""Images beyond this many pixels are refused before they are decoded (a decompression bomb is a small file that
decodes to gigabytes). It covers every camera up to 80 megapixels and lies under Pillow's own warning limit."""

MAX_BYTES = 500_000_000
"""Files beyond this are refused before they are read."""
ROUNDING = 1e-6
"""Values this far outside ``[0, 1]`` come from resampling in floating point and are clamped; beyond it is an error."""
NEAR = 0.05
"""Values this far outside are what attacks and resizing leave; of normalised photographs, some lie farther out."""
PALE, SPECKS = 0.6, 0.01
"""Mean of a colour from which on it is hard to see on white, and the share of darker pixels that is no lettering."""


def _as_it_is(pixels: Tensor) -> Tensor:
    return pixels


@dataclass(frozen=True, slots=True, eq=False)
class ImageRecord:
    """``pixels`` is ``3×H×W`` float32 RGB in ``[0, 1]``, on the device of the tensor that they came as, or the CPU.

    ``to_original`` turns restored pixels into the caller's own type, with everything that was kept aside (alpha, colour
    profile, grey, bit depth, layout, device) put back. They have the same shape, or are of a larger image of the same
    proportions; then alpha is enlarged too. Of pixels that nobody wants back as anything else it is left out.
    """

    pixels: Tensor
    to_original: Callable[[Tensor], Any] = _as_it_is
    notes: tuple[str, ...] = ()
    """What a user should be told, such as that only the first frame was used."""
    alpha: Tensor | None = None
    """``H×W`` in ``[0, 1]``, 0 where nothing is seen; None for an image without."""
    written_as: str | None = None
    """The format that ``to_original`` gives bytes of; None where it gives something else."""

    @property
    def target(self) -> Tensor:
        """What is fitted: ``pixels`` with the colours that alpha hides replaced by those around them."""
        return self.pixels if self.alpha is None else visible(self.pixels, self.alpha)

    @property
    def on_paper(self) -> Tensor:
        """``pixels`` as they are seen on white paper, or on black where all that is seen is pale."""
        return self.pixels if self.alpha is None else on_paper(self.pixels, self.alpha)


def check_size(width: int, height: int, what: str, most: int = MAX_PIXELS) -> None:
    """Raise :class:`ImageError` for an image without pixels, :class:`ImageTooLargeError` for more than ``most``."""
    if width < 1 or height < 1:
        raise ImageError(f"{what} has no pixels ({width}×{height}); give an image of at least 1×1")
    if width * height > most:
        raise ImageTooLargeError(
            f"{what} has {width}×{height} = {width * height / 1e6:.0f} million pixels, the limit is "
            f"{most / 1e6:.3g} million; make it smaller first"
        )


def dark_notes(largest: int) -> tuple[str, ...]:
    """What to say of integers of 16 bits of which the ``largest`` is as if they had fewer: cameras give 10, 12 or 14.

    All that is fitted, and what counts as detail, is measured by the whole range.
    """
    bits = next((bits for bits in (8, 10, 12, 14) if largest < 2**bits), 16)
    if largest == 0 or bits == 16:
        return ()
    return (
        f"the largest value of a 16-bit image is {largest} of 65535, so it counts as nearly black; if it has {bits} "
        f"bits, multiply it by 65535 / {2**bits - 1} first",
    )


def check_dense(values: Tensor, what: str) -> None:
    """Raise :class:`ImageError` for a tensor that does not hold its values one by one."""
    if values.is_meta:
        kind, do = "on the device meta", "give one that holds values"
    elif values.is_quantized:
        kind, do = f"quantised ({values.dtype})", "use tensor.dequantize()"
    elif values.is_nested or values.layout != torch.strided:
        kind = "nested" if values.is_nested else f"of layout {values.layout}"
        do = "use tensor.to_dense(), or a list of tensors"
    else:
        return
    raise ImageError(f"{what} is {kind}, and pixels are needed one by one; {do}")


def check_unit_range(values: Tensor, what: str) -> Tensor:
    """``values``, all finite and clamped to ``[0, 1]``; :class:`ImageError` when they were not pixels."""
    if not torch.isfinite(values).all():
        bad = int((~torch.isfinite(values)).sum())
        raise ImageError(f"{what} has {bad} values that are NaN or infinite; replace them before restoring")
    low, high = values.min().item(), values.max().item()
    if low < -ROUNDING or high > 1 + ROUNDING:
        hint = (
            "divide by 255"
            if low >= 0 and high <= 255
            else "undo the normalisation first: purification comes before it"
        )
        raise ImageError(f"{what} has values from {low:.4g} to {high:.4g}, expected [0, 1]; {hint}")
    return values.clamp(0, 1)


def refuse_far(values: Tensor, what: str) -> None:
    """Raise :class:`ImageError` for floats that were never meant to be pixels: NaN, of 0 to 255, or normalised."""
    check_dense(values, what)
    if values.numel() and not (values.amin() >= -NEAR and values.amax() <= 1 + NEAR):
        check_unit_range(values.float(), what)


def visible(colours: Tensor, alpha: Tensor) -> Tensor:
    """``3×H×W`` colours in which hidden ones are those of what is visible around them.

    A fit draws edges softer than they are; what it takes from beyond an edge must not be a colour that is never shown.

    Args:
        colours: ``3×H×W``.
        alpha: ``H×W``, 0 where nothing is seen.
    """
    seen = alpha > 0
    if bool(seen.all()) or not bool(seen.any()):
        return colours
    weight = alpha.to(torch.float32)[None]
    return torch.where(seen, colours, _spread(colours * weight, weight))


def with_hidden(restored: Tensor, colours: Tensor, alpha: Tensor) -> Tensor:
    """``restored`` with the hidden ``colours`` as they were, where it is of the same size."""
    return torch.where(alpha > 0, restored, colours) if restored.shape == colours.shape else restored


def on_paper(colours: Tensor, alpha: Tensor) -> Tensor:
    """``3×H×W`` colours over white, as opaque as ``alpha`` (``H×W``) says; over black where nothing dark is seen, as of
    lettering that was drawn for a dark ground.
    """
    seen = colours.mean(dim=0)[alpha > 0.5]
    white = float(not seen.numel() or (seen < PALE).float().mean() > SPECKS)
    return alpha * colours + white * (1 - alpha)


def _spread(weighted: Tensor, weight: Tensor) -> Tensor:
    """Means by weight of ever larger squares, each where smaller ones have no weight."""
    mean = weighted / weight.clamp(min=1e-12)
    known = weight > 0
    if bool(known.all()):
        return mean
    height, width = weight.shape[-2:]
    window = (min(2, height), min(2, width))
    smaller = _spread(*(F.avg_pool2d(each[None], window, ceil_mode=True)[0] for each in (weighted, weight)))
    larger = F.interpolate(smaller[None], size=(height, width), mode="bilinear", align_corners=False)[0]
    return torch.where(known, mean, larger)
