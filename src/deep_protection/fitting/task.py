"""What is to be fitted."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from deep_protection.fitting.recipe import Recipe
from deep_protection.stopping import StopRule


@dataclass(slots=True, kw_only=True)
class FitTask:
    """One picture to be fitted."""

    target: Tensor
    """``3×H×W`` float32 in ``[0, 1]``."""
    recipe: Recipe
    rule: StopRule
    seed: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    keep_outputs: bool = False
    """Keep the picture of every checkpoint, not only of the chosen one."""
    companions: tuple[str, ...] = ()
    """Second fits to be followed beside this one, besides that which the rule wants: names in
    ``stopping.COMPANIONS``."""
    share: float = 1.0
    """What part of a whole picture this task is, for sharing out a time budget among tiles."""
