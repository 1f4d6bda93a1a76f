"""Detail that a short fit has not drawn yet, taken from the picture where it is too strong to be a perturbation."""

from dataclasses import dataclass

from torch import Tensor

from deep_protection.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Which differences between picture and output are detail: those larger than a perturbation that hides, and smaller
    than a damaged pixel.

    The excess over ``above`` goes back into the output, which is then ``above`` away from the picture: a projection
    onto all that a perturbation of this size in the maximum norm can have come from. From ⅔ of ``below`` on less and
    less of it goes back and at ``below`` nothing, as in Hampel's three-part estimator (Andrews et al., Robust Estimates
    of Location, 1972), so most of salt and pepper stays out: not a pepper pixel on what is nearly black anyway.

    It has its price. Where detail comes back, so does the whole of a perturbation that lies on it.
    """

    above: float
    below: float

    def __post_init__(self) -> None:
        if not 0 <= self.above < self.below:
            raise OptionError(f"detail must have 0 <= above < below, got {self.above} and {self.below}")

    def brought_back(self, output: Tensor, picture: Tensor) -> Tensor:
        """``output`` with the detail of ``picture``; both ``…×3×H×W`` in ``[0, 1]``, as is the result."""
        missing = picture - output
        excess = missing - missing.clamp(-self.above, self.above)
        # A damaged pixel is damaged in all its colours, so the largest difference decides for all three.
        largest = missing.abs().amax(dim=-3, keepdim=True)
        share = (3 * (1 - largest / self.below)).clamp(0, 1)
        return (output + share * excess).clamp(0, 1)
