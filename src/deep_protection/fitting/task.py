"""What is to be fitted."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.fitting.operators import ForwardOperator
from deep_protection.fitting.recipe import Recipe
from deep_protection.stopping import StopRule


@dataclass(slots=True, kw_only=True, eq=False)
class FitTask:
    """One image to be fitted."""

    target: Tensor
    """``3×H×W`` float32 in ``[0, 1]``."""
    recipe: Recipe
    rule: StopRule
    seed: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    operator: ForwardOperator | None = None
    """What lies between the image that is drawn and ``target``, which is what was seen of it; None: nothing."""
    keep_outputs: bool = False
    """Keep the image of every checkpoint, not only of the chosen one."""
    companions: tuple[str, ...] = ()
    """Second fits to be followed beside this one, besides that which the rule wants: names in
    ``stopping.COMPANIONS``."""
    make: Callable[[], Tensor] | None = None
    """Computes the whole image, ``3×H×W``, in place of a fit: a filter that has its turn among fits."""
    share: float = 1.0
    """What part of a whole image this task is, for sharing out a time budget among tiles."""

    def __post_init__(self) -> None:
        if self.operator is not None and self.recipe.detail is not None:
            raise OptionError("detail is brought back from the image itself; a fit with an operator has none to take")
