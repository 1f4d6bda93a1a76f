"""Looking over the shoulder of a fit: a stop rule that tells what it sees and decides as the one inside it does."""

import copy
import time
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from deep_protection.stopping import Decision, StopRule, Trajectory

Tell = Callable[[Trajectory, int, Tensor], None]
"""Trajectory so far, iterations at most, the ``3×H×W`` image of the moment."""


class ObservedRule(StopRule):
    """Decides as ``inner`` does, and stops early where ``ended`` says why.

    Every fit of the call gets the number of its image and of its fit or tile with it, so that what is told can be
    told apart.
    """

    name: ClassVar[str] = "watched"

    def __init__(
        self,
        inner: Callable[[int], StopRule],
        tell: Callable[[int, int], Tell],
        ended: Callable[[int], str | None] = lambda _: None,
    ) -> None:
        self._inner_of, self._tell_of, self._ended_of = inner, tell, ended
        self._fits: dict[int, int] = {}
        self._become(0, inner(0))
        self._tell: Tell | None = None

    def _become(self, index: int, inner: StopRule) -> None:
        self.index, self.inner, self.max_iterations = index, inner, inner.max_iterations
        self.asks_classifier, self.companion = inner.asks_classifier, inner.companion  # type: ignore[misc]

    def for_image(self, index: int) -> "ObservedRule":
        rule = copy.copy(self)
        rule._become(index, self._inner_of(index).for_image(0))
        rule._tell = None
        return rule

    def check(self) -> None:
        self.inner.check()

    def decide(self, trajectory: Trajectory) -> Decision:
        if self._tell is None:  # only now: not every copy is for a fit
            number = self._fits.get(self.index, 0)
            self._fits[self.index] = number + 1  # the copies share it
            self._tell = self._tell_of(self.index, number)
        decision = self.inner.decide(trajectory)
        self._tell(trajectory, self.max_iterations, trajectory.latest_output)
        reason = self._ended_of(self.index)
        return decision if reason is None else Decision(True, decision.select, reason)

    def __repr__(self) -> str:
        return repr(self.inner)


class Throttle:
    """At most so many a second."""

    def __init__(self, a_second: float) -> None:
        self._least, self._next = 1 / a_second, 0.0

    def allows(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._least
        return True


def json_safe(value: Any) -> Any:
    """Numbers fit for JSON: no infinities, six digits."""
    if isinstance(value, float):
        return round(value, 6) if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {key: json_safe(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(each) for each in value]
    return value
