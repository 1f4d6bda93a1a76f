"""Rules that wait for a minimum: what they share."""

from abc import abstractmethod
from math import inf
from typing import ClassVar

from deep_protection.errors import OptionError
from deep_protection.stopping.rule import Decision, StopRule
from deep_protection.stopping.trajectory import Trajectory


class EarlyStopping(StopRule):
    """Take the checkpoint at which a figure was smallest; end when it has not been smaller for ``patience`` iterations.

    A subclass writes :meth:`measure`. The fit ends after ``max_iterations`` in any case.
    """

    minimum_of: ClassVar[str]
    """What the figure is, for the reason that is given."""

    def __init__(self, *, max_iterations: int, patience: int | None = None) -> None:
        patience = max(1, max_iterations // 5) if patience is None else patience
        if max_iterations < 1 or patience < 1:
            raise OptionError(
                f"{self.name} needs max_iterations and patience of at least 1, got {max_iterations} and {patience}"
            )
        self.max_iterations, self.patience = max_iterations, patience
        self.reset()

    def reset(self) -> None:
        self._least, self._taken, self._since = inf, 0, 0

    @abstractmethod
    def measure(self, trajectory: Trajectory) -> float | None:
        """The figure at the newest checkpoint, called once at each; None while it cannot be had yet."""

    def decide(self, trajectory: Trajectory) -> Decision:
        newest = trajectory[-1].iteration
        value = self.measure(trajectory)
        if value is not None and value < self._least:
            self._least, self._taken, self._since = value, len(trajectory) - 1, newest
        elif self._least == inf:  # nothing to compare yet
            self._taken, self._since = len(trajectory) - 1, newest
        waited = newest - self._since
        ended = waited >= self.patience
        what = f"{self.minimum_of} smallest at iteration {trajectory[self._taken].iteration}"
        return Decision(ended, self._taken, f"{what}, none smaller in {waited} iterations" if ended else what)

    def __repr__(self) -> str:
        return f"{self.name}:{self.patience}"
