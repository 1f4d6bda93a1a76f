"""What is to be fitted."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.fitting.operators import ForwardOperator
from deep_protection.fitting.recipe import Recipe
from deep_protection.stopping import Checkpoint, StopRule, Trajectory, psnr


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
    share: float = 1.0
    """What part of a whole image this task is, for sharing out a time budget among tiles."""

    def __post_init__(self) -> None:
        if self.operator is not None and self.recipe.detail is not None:
            raise OptionError("detail is brought back from the image itself; a fit with an operator has none to take")


@dataclass(slots=True, kw_only=True, eq=False)
class EstimateTask(FitTask):
    """A part of the work in which nothing is fitted: a filter has its turn among the fits."""

    make: Callable[[], Tensor]
    """The whole image, ``3×H×W``."""

    def trajectory(self) -> Trajectory:
        """What came of it, as that of a fit that was over before its first step."""
        begin = time.perf_counter()
        made = self.make().to(self.target.device)
        spent = time.perf_counter() - begin
        closeness = psnr(made if self.operator is None else self.operator(made[None])[0], self.target)
        point = Checkpoint(0, loss=10 ** (-closeness / 10), psnr=closeness, seconds=spent)
        return Trajectory(self.target, [point], {0: made}, reason="filters alone")
