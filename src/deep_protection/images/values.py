"""Whether numbers are pixels."""

import torch
from torch import Tensor

from deep_protection.errors import ImageError

ROUNDING = 1e-6
"""Values this far outside ``[0, 1]`` come from resampling in floating point and are clamped; beyond it is an error."""
NEAR = 0.05
"""Values this far outside are what attacks and resizing leave; of normalised photographs, some lie farther out."""


def dark_notes(largest: int) -> tuple[str, ...]:
    """What to say of integers of 16 bits of which the ``largest`` is as if they had fewer: cameras give 10, 12 or 14.

    All that is fitted, and what counts as detail, is measured by the whole range.
    """
    bits = next((bits for bits in (8, 10, 12, 14) if largest < 2**bits), 16)
    if largest == 0 or bits == 16:
        return ()
    return (
        f"the largest value of a 16-bit picture is {largest} of 65535, so it counts as nearly black; if it has {bits} "
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
