"""A picture inside the package: pixels, and the way back to what the caller gave."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from deep_protection.images.alpha import on_paper, visible


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """``pixels`` is ``3×H×W`` float32 RGB in ``[0, 1]``, on the device of the tensor that they came as, or the CPU.

    ``rebuild`` turns restored pixels into the caller's own type, with everything that was kept aside (alpha, colour
    profile, grey, bit depth, layout, device) put back. They have the same shape, or are of a larger picture of the same
    proportions; then alpha is enlarged too.
    """

    pixels: Tensor
    rebuild: Callable[[Tensor], Any]
    notes: tuple[str, ...] = ()
    """What a user should be told, such as that only the first frame was used."""
    alpha: Tensor | None = None
    """``H×W`` in ``[0, 1]``, 0 where nothing is seen; None for a picture without."""
    written_as: str | None = None
    """The format that ``rebuild`` gives bytes of; None where it gives something else."""

    @property
    def target(self) -> Tensor:
        """What is fitted: ``pixels`` with the colours that alpha hides replaced by those around them."""
        return self.pixels if self.alpha is None else visible(self.pixels, self.alpha)

    @property
    def on_paper(self) -> Tensor:
        """``pixels`` as they are seen on white paper, or on black where all that is seen is pale."""
        return self.pixels if self.alpha is None else on_paper(self.pixels, self.alpha)
