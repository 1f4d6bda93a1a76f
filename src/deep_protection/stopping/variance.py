"""The variance of the outputs: it falls while the image is drawn, and rises when noise begins to be drawn.

Wang et al., Early Stopping for Deep Image Prior, TMLR 2023 (arXiv:2112.06074). Theirs is taken at every iteration of
thousands with a patience of 1,000; here at every checkpoint, with a fifth of the fit's length.
"""

from collections import deque
from typing import ClassVar

import torch
from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.stopping.early_stopping import EarlyStopping
from deep_protection.stopping.trajectory import Trajectory


class WindowedVariance(EarlyStopping):
    """``wmv``: mean squared distance of the last ``window`` outputs from their mean (ES-WMV)."""

    name: ClassVar[str] = "wmv"
    minimum_of: ClassVar[str] = "variance of the last outputs"

    def __init__(self, *, max_iterations: int, patience: int | None = None, window: int = 3) -> None:
        if window < 2:
            raise OptionError(f"wmv needs a window of at least 2 outputs, got {window}")
        self.window = window
        super().__init__(max_iterations=max_iterations, patience=patience)

    def reset(self) -> None:
        super().reset()
        self._last: deque[Tensor] = deque(maxlen=self.window)

    def measure(self, trajectory: Trajectory) -> float | None:
        self._last.append(trajectory.latest_output)
        if len(self._last) < self.window:
            return None
        return torch.stack(tuple(self._last)).var(dim=0, correction=0).mean().item()


class MovingVariance(EarlyStopping):
    """``emv``: exponentially weighted variance of the outputs (ES-EMV), ``share`` the weight of the newest."""

    name: ClassVar[str] = "emv"
    minimum_of: ClassVar[str] = "moving variance of outputs"

    def __init__(self, *, max_iterations: int, patience: int | None = None, share: float = 0.3) -> None:
        if not 0 < share < 1:
            raise OptionError(f"emv needs a share between 0 and 1, got {share}")
        self.share = share
        super().__init__(max_iterations=max_iterations, patience=patience)

    def reset(self) -> None:
        super().reset()
        self._mean: Tensor | None = None
        self._variance, self._weight = 0.0, 0.0

    def measure(self, trajectory: Trajectory) -> float | None:
        output = trajectory.latest_output
        if self._mean is None:
            self._mean = output.clone()
            return None
        off = output - self._mean
        self._mean = self._mean + self.share * off
        self._variance = (1 - self.share) * (self._variance + self.share * off.square().mean().item())
        # It begins at nothing, which a rule that looks for the least would take; so it is corrected, as Adam's are.
        self._weight = self.share + (1 - self.share) * self._weight
        return self._variance / self._weight
