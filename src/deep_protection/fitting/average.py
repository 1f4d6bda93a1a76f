"""Exponential average of outputs: steadier than the last output, at the price of one addition."""

import torch
from torch import Tensor


class OutputAverage:
    """Debiased exponential average of every row, as Adam's moments are (Kingma & Ba 2014, arXiv:1412.6980).

    Debiasing makes the first values the plain mean of what was seen, so early checkpoints are not held back by the
    very first, unformed output.
    """

    def __init__(self, like: Tensor, decay: float) -> None:
        self.decay = decay
        self._sum = torch.zeros_like(like)
        self._weight = [0.0] * len(like)

    def add(self, outputs: Tensor) -> None:
        """Take in the newest output of every row, ``N×3×H×W``."""
        self._sum.mul_(self.decay).add_(outputs, alpha=1 - self.decay)
        self._weight = [weight * self.decay + 1 - self.decay for weight in self._weight]

    def value(self, row: int) -> Tensor:
        """The average of a row, a tensor of its own."""
        if self._weight[row] == 0:
            raise RuntimeError(f"no output has been added to row {row} yet")
        return self._sum[row] / self._weight[row]

    def state(self, row: int) -> tuple[Tensor, float]:
        return self._sum[row].clone(), self._weight[row]

    def restore(self, row: int, state: tuple[Tensor, float]) -> None:
        self._sum[row], self._weight[row] = state

    def reset(self, row: int) -> None:
        self._sum[row], self._weight[row] = 0, 0.0

    def keep(self, rows: list[int]) -> None:
        """Go on with these rows only."""
        self._sum, self._weight = self._sum[rows], [self._weight[row] for row in rows]
