"""Going back when a fit blows up or collapses.

Deep Image Prior fits are known to lose many dB within a few steps (Ulyanov et al.'s own code goes back to an earlier
state when that happens). Here a *good* state is kept at every checkpoint. A fit is lost when its loss is no longer
finite or far above the good one; it then returns there with a fresh optimiser, and with half the learning rate if that
state was returned to before.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from deep_protection.fitting.average import OutputAverage
from deep_protection.generators import ImageGenerator

MOST_ROLLBACKS = 8


@dataclass(frozen=True, slots=True)
class Alarm:
    """A loss is alarming when it is ``ratio`` times that of the good state *and* above ``floor``."""

    ratio: float
    floor: float


AFTER_A_CHECKPOINT = Alarm(ratio=4.0, floor=1e-4)
"""6 dB worse; above 40 dB a rise is the usual jitter of a fit that is nearly done."""
AT_THE_START = Alarm(ratio=10.0, floor=1e-2)
"""Until the first checkpoint: the first steps from the low-pass copy of a smooth picture rise to 20 dB by
themselves."""


class Recovery:
    """Keeps the last good state of one fit."""

    def __init__(self, generator: ImageGenerator, average: OutputAverage, learning_rate: float) -> None:
        self._generator, self._average = generator, average
        self.learning_rate = learning_rate
        self.rollbacks = 0
        self.remember(math.inf)

    def optimiser(self) -> torch.optim.Optimizer:
        """A fresh Adam: after a roll-back its moments belong to the state that was left."""
        return torch.optim.Adam(self._generator.parameters(), lr=self.learning_rate, fused=True)

    def remember(self, loss: float, *, is_checkpoint: bool = False) -> None:
        """Make the present state the one to return to."""
        self.good_loss = loss
        self._alarm = AFTER_A_CHECKPOINT if is_checkpoint else AT_THE_START
        self._returned = False
        self._good: dict[str, Tensor] = {
            name: weights.detach().clone() for name, weights in self._generator.named_parameters()
        }
        self._good_average = self._average.state()

    def is_lost(self, loss: float) -> bool:
        """Whether a loss means that the fit has to go back."""
        return not math.isfinite(loss) or (loss > self._alarm.ratio * self.good_loss and loss > self._alarm.floor)

    def roll_back(self) -> bool:
        """Return to the good state; False when that has been tried often enough."""
        self.rollbacks += 1
        if self._returned:
            self.learning_rate /= 2
        self._returned = True
        with torch.no_grad():
            for name, weights in self._generator.named_parameters():
                weights.copy_(self._good[name])
        self._average.restore(self._good_average)
        return self.rollbacks < MOST_ROLLBACKS
