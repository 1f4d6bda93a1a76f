"""Going back when a fit blows up or collapses.

Deep Image Prior fits are known to lose many dB within a few steps (Ulyanov et al.'s own code goes back to an earlier
state when that happens). Here a *good* state is kept at every checkpoint. A fit is lost when its loss is no longer
finite or far above the good one; it then returns there with a fresh optimiser, and with half the learning rate if that
state was returned to before.
"""

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State")

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


class Recovery(Generic[State]):
    """Keeps the last good state of one fit."""

    def __init__(self, state: State, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.rollbacks = 0
        self.remember(state, math.inf)

    def remember(self, state: State, loss: float, *, is_checkpoint: bool = False) -> None:
        """Make ``state`` the one to return to."""
        self._good, self.good_loss = state, loss
        self._alarm = AFTER_A_CHECKPOINT if is_checkpoint else AT_THE_START
        self._returned = False

    def is_lost(self, loss: float) -> bool:
        """Whether a loss means that the fit has to go back."""
        return not math.isfinite(loss) or (loss > self._alarm.ratio * self.good_loss and loss > self._alarm.floor)

    def roll_back(self) -> State:
        """The good state. From the second return to the same state on, with half the learning rate."""
        self.rollbacks += 1
        if self._returned:
            self.learning_rate /= 2
        self._returned = True
        return self._good

    @property
    def has_tries_left(self) -> bool:
        return self.rollbacks < MOST_ROLLBACKS
