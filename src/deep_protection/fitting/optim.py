"""Adam and the average of outputs, for many independent fits at once (Kingma & Ba 2014, arXiv:1412.6980)."""

import torch
from torch import Tensor

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Each row of the weights is one fit, with its own number of steps and its own learning rate.

    Rows begin at different times, which PyTorch's optimiser, with one count of steps a tensor, cannot express.
    """

    def __init__(self, weights: Tensor, learning_rate: float) -> None:
        self._first, self._second = torch.zeros_like(weights), torch.zeros_like(weights)
        # In float32, 1 - 0.999 would be off by one part in ten thousand. Where there is float64 the numbers stay on the
        # device: a step then waits for nothing from the host, and can be recorded as one.
        where = "cpu" if weights.device.type == "mps" else weights.device
        self._steps = torch.zeros(len(weights), 1, dtype=torch.float64, device=where)
        self._rates = torch.full_like(self._steps, learning_rate)

    def reset(self, row: int, learning_rate: float) -> None:
        """Begin anew in a row: the moments belong to weights that are there no longer."""
        for state in (self._first, self._second, self._steps):
            state[row] = 0
        self._rates[row] = learning_rate

    def select_rows(self, rows: list[int]) -> None:
        """Go on with these rows only."""
        self._first, self._second = self._first[rows], self._second[rows]
        self._steps, self._rates = self._steps[rows], self._rates[rows]

    @torch.no_grad()
    def step(self, weights: Tensor, gradient: Tensor) -> None:
        """One step of every row, in place."""
        self._steps += 1
        self._first.lerp_(gradient, 1 - FIRST_DECAY)
        self._second.mul_(SECOND_DECAY).addcmul_(gradient, gradient, value=1 - SECOND_DECAY)
        # The two corrections of bias are moved to the small tensors: rate·m̂/(√v̂ + ε) with fewer passes over the large.
        correction = (1 - SECOND_DECAY**self._steps).sqrt_()
        rate = (self._rates * correction / (1 - FIRST_DECAY**self._steps)).to(weights)
        spread = self._second.sqrt().add_((EPSILON * correction).to(weights))
        weights.addcmul_(self._first / spread, rate, value=-1)


class OutputEMA:
    """Debiased exponential average of every row, as Adam's moments are: steadier than the
    last output, at the price of one addition.

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

    def select_rows(self, rows: list[int]) -> None:
        """Go on with these rows only."""
        self._sum, self._weight = self._sum[rows], [self._weight[row] for row in rows]
