"""Whether numbers are pixels."""

import torch
from torch import Tensor

from deep_protection.errors import ImageError

ROUNDING = 1e-6
"""Values this far outside ``[0, 1]`` come from resampling in floating point and are clamped; beyond it is an error."""


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
