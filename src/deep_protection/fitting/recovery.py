"""Going back when a fit blows up or collapses.

Deep Image Prior fits are known to lose many dB within a few steps (Ulyanov et al.'s own code goes back to an earlier
state when that happens). Here a *good* state is kept at every checkpoint; when the loss is no longer finite, or ten
times the good one and the picture worse than 20 dB, the fit returns there and goes on with half the learning rate.
"""

import math

import torch
from torch import Tensor

from deep_protection.fitting.average import OutputAverage
from deep_protection.generators import ImageGenerator

WORSE = 10.0
"""A loss this many times that of the good state counts as blown up (10 dB)."""
ALARMING = 1e-2
"""Below this loss (20 dB) a rise is the usual jitter of a fit, which mends itself, not a collapse. The first steps from
the low-pass copy of a smooth picture rise that far as well."""
MOST_ROLLBACKS = 8


class Recovery:
    """Keeps the last good state of one fit."""

    def __init__(self, generator: ImageGenerator, average: OutputAverage, learning_rate: float) -> None:
        self._generator, self._average = generator, average
        self.learning_rate = learning_rate
        self.rollbacks = 0
        self._good_loss = math.inf
        self._good: dict[str, Tensor] = {}
        self._good_average = average.state()
        self.remember(math.inf)

    def optimiser(self) -> torch.optim.Optimizer:
        """A fresh Adam: after a roll-back its moments belong to the state that was left."""
        return torch.optim.Adam(self._generator.parameters(), lr=self.learning_rate, fused=True)

    def remember(self, loss: float) -> None:
        """Make the present state the one to return to."""
        self._good_loss = loss
        self._good = {name: weights.detach().clone() for name, weights in self._generator.named_parameters()}
        self._good_average = self._average.state()

    def is_lost(self, loss: float) -> bool:
        return not math.isfinite(loss) or (loss > WORSE * self._good_loss and loss > ALARMING)

    def roll_back(self) -> bool:
        """Return to the good state at half the learning rate; False when that has been tried often enough."""
        self.rollbacks += 1
        self.learning_rate /= 2
        with torch.no_grad():
            for name, weights in self._generator.named_parameters():
                weights.copy_(self._good[name])
        self._average.restore(self._good_average)
        return self.rollbacks < MOST_ROLLBACKS
