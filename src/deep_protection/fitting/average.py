"""Exponential average of outputs: steadier than the last output, at the price of one addition."""

from torch import Tensor


class OutputAverage:
    """Debiased exponential average, as Adam's moments are (Kingma & Ba 2014, arXiv:1412.6980).

    Debiasing makes the first values the plain mean of what was seen, so early checkpoints are not held back by the
    very first, unformed output.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._sum: Tensor | None = None
        self._weight = 0.0

    def add(self, output: Tensor) -> None:
        if self._sum is None or self.decay == 0:
            self._sum, self._weight = output * (1 - self.decay), 1 - self.decay
        else:
            # A new tensor, not an update in place: a snapshot may still hold the old one.
            self._sum = self._sum * self.decay + output * (1 - self.decay)
            self._weight = self._weight * self.decay + (1 - self.decay)

    @property
    def value(self) -> Tensor:
        if self._sum is None:
            raise RuntimeError("no output has been added yet")
        return self._sum / self._weight

    def state(self) -> tuple[Tensor | None, float]:
        return self._sum, self._weight

    def restore(self, state: tuple[Tensor | None, float]) -> None:
        self._sum, self._weight = state
