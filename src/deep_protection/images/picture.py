"""A picture inside the package: pixels, and the way back to what the caller gave."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """``pixels`` is ``3×H×W`` float32 RGB in ``[0, 1]``, on the CPU.

    ``rebuild`` turns restored pixels into the caller's own type, with everything that was kept aside (alpha, colour
    profile, grey, bit depth, layout, device) put back. They have the same shape, or are of a larger picture of the same
    proportions; then alpha is enlarged too.
    """

    pixels: Tensor
    rebuild: Callable[[Tensor], Any]
    notes: tuple[str, ...] = ()
    """What a user should be told, such as that only the first frame was used."""
