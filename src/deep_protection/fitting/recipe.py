"""How a generator is fitted: everything that decides the result apart from image, seed and stop rule."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.generators import ImageGenerator, find_generator

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Which differences between image and output are detail: those larger than a perturbation that hides, and smaller
    than a damaged pixel.

    The excess over ``low`` goes back into the output, which is then ``low`` away from the image: a projection
    onto all that a perturbation of this size in the maximum norm can have come from. From ⅔ of ``high`` on less and
    less of it goes back and at ``high`` nothing, as in Hampel's three-part estimator (Andrews et al., Robust Estimates
    of Location, 1972), so most of salt and pepper stays out: not a pepper pixel on what is nearly black anyway.

    It has its price. Where detail comes back, so does the whole of a perturbation that lies on it.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            raise OptionError(f"detail must have 0 <= low < high, got {self.low} and {self.high}")

    def restore_detail(self, output: Tensor, image: Tensor) -> Tensor:
        """``output`` with the detail of ``image``; both ``…×3×H×W`` in ``[0, 1]``, as is the result."""
        missing = image - output
        excess = missing - missing.clamp(-self.low, self.low)
        # A damaged pixel is damaged in all its colours, so the largest difference decides for all three.
        largest = missing.abs().amax(dim=-3, keepdim=True)
        share = (3 * (1 - largest / self.high)).clamp(0, 1)
        return (output + share * excess).clamp(0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings of one fit. The optimiser is Adam."""

    generator: str | type[ImageGenerator]
    """A name in ``generators.GENERATORS``, or a class of your own."""
    learning_rate: float = 0.01
    huber_delta: float | None = None
    """Residuals above this count linearly, not squared (Huber 1964), which keeps sparse perturbations such as salt and
    pepper from pulling the image along; None is the mean squared error."""
    ema_decay: float = 0.0
    """Decay of the exponential average of outputs; 0 takes the last output itself."""
    detail: Detail | None = None
    """What is brought back from the image into every output; None leaves outputs as they are drawn."""
    checkpoint_every: int = 25
    """Iterations between checkpoints: how finely a stop rule sees the fit."""
    precision: Precision = "float32"
    """Arithmetic of the convolutions. Weights, loss and output stay float32. bfloat16 is used only where the
    processor has instructions for it, see :func:`deep_protection.fitting.devices.effective_precision`."""
    parallel: Literal["images", "operators"] = "images"
    """How several cores are used: one image a core, or all cores inside each operation of one image. A property
    of the recipe and not of the call, so that an image's result does not depend on its company: bit for bit on the
    CPU, and but for rounding on a GPU, where images share operations."""

    def __post_init__(self) -> None:
        find_generator(self.generator)
        if not self.learning_rate > 0:
            raise OptionError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.huber_delta is not None and not self.huber_delta > 0:
            raise OptionError(f"huber_delta must be positive or None, got {self.huber_delta}")
        if not 0 <= self.ema_decay < 1:
            raise OptionError(f"ema_decay must be in [0, 1), got {self.ema_decay}")
        if self.checkpoint_every < 1:
            raise OptionError(f"checkpoint_every must be at least 1, got {self.checkpoint_every}")
