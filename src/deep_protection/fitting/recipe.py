"""How a generator is fitted: everything that decides the result apart from picture, seed and stop rule."""

from dataclasses import dataclass
from typing import Literal

from deep_protection.errors import OptionError
from deep_protection.fitting.detail import Detail
from deep_protection.generators import ImageGenerator, find_generator

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings of one fit. The optimiser is Adam."""

    generator: str | type[ImageGenerator]
    """A name in ``generators.GENERATORS``, or a class of your own."""
    learning_rate: float = 0.01
    huber: float | None = None
    """Residuals above this count linearly, not squared (Huber 1964), which keeps sparse perturbations such as salt and
    pepper from pulling the picture along; None is the mean squared error."""
    averaging: float = 0.0
    """Decay of the exponential average of outputs; 0 takes the last output itself."""
    detail: Detail | None = None
    """What is brought back from the picture into every output; None leaves outputs as they are drawn."""
    checkpoint_every: int = 25
    """Iterations between checkpoints: how finely a stop rule sees the fit."""
    precision: Precision = "float32"
    """Arithmetic of the convolutions. Weights, loss and output stay float32. bfloat16 is used only where the
    processor has instructions for it, see :func:`deep_protection.fitting.precision.effective_precision`."""
    parallel: Literal["pictures", "operators"] = "pictures"
    """How several cores are used: one picture a core, or all cores inside each operation of one picture. A property
    of the recipe and not of the call, so that a picture's result does not depend on its company: bit for bit on the
    CPU, and but for rounding on a GPU, where pictures share operations."""

    def __post_init__(self) -> None:
        find_generator(self.generator)
        if not self.learning_rate > 0:
            raise OptionError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.huber is not None and not self.huber > 0:
            raise OptionError(f"huber must be positive or None, got {self.huber}")
        if not 0 <= self.averaging < 1:
            raise OptionError(f"averaging must be in [0, 1), got {self.averaging}")
        if self.checkpoint_every < 1:
            raise OptionError(f"checkpoint_every must be at least 1, got {self.checkpoint_every}")
