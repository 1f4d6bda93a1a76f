"""The rule that is used when none is named."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from deep_protection.stopping.rule import Decision, StopRule
from deep_protection.stopping.stability import Stability
from deep_protection.stopping.trajectory import Trajectory

RUNS = 4
"""Checkpoints with the same first answer. docs/stopping.md has what others give."""


class Auto(StopRule):
    """``auto[:N]``: stability of the classifier's answer where there is a classifier to ask, else ``otherwise``.

    No rule that looks at pictures alone has been found to be better than a fixed count, see docs/stopping.md.
    """

    name: ClassVar[str] = "auto"

    def __init__(self, otherwise: StopRule, *, longest: int, runs: int = RUNS) -> None:
        self.otherwise, self.longest, self.limit, self.runs = otherwise, longest, otherwise.limit, runs

    def with_classifier(self, classifier: Callable[[Tensor], Tensor]) -> StopRule:
        return Stability(limit=self.longest, runs=self.runs, classifier=classifier, called=self._called)

    @property
    def _called(self) -> str:
        return self.name if self.runs == RUNS else f"{self.name}:{self.runs}"

    def for_picture(self, index: int) -> StopRule:
        return self.otherwise.for_picture(index)

    def decide(self, trajectory: Trajectory) -> Decision:
        return self.otherwise.decide(trajectory)

    def __repr__(self) -> str:
        return f"{self._called} ({self.otherwise!r})"
