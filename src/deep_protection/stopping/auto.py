"""The rule that is used when none is named."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from deep_protection.stopping.rule import Decision, StopRule
from deep_protection.stopping.stability import Stability
from deep_protection.stopping.trajectory import Trajectory

CONSECUTIVE = 4
"""Checkpoints with the same first answer. docs/stopping.md has what others give."""


class Auto(StopRule):
    """``auto[:N]``: stability of the classifier's answer where there is a classifier to ask, else ``fallback``.

    No rule that looks at images alone has been found to be better than a fixed count, see docs/stopping.md.
    """

    name: ClassVar[str] = "auto"

    def __init__(self, fallback: StopRule, *, max_iterations: int, consecutive: int = CONSECUTIVE) -> None:
        self.fallback, self.consecutive = fallback, consecutive
        self.max_iterations = fallback.max_iterations
        self.max_iterations_asking = max_iterations
        """With a classifier to ask."""

    def with_classifier(self, classifier: Callable[[Tensor], Tensor]) -> StopRule:
        return Stability(
            max_iterations=self.max_iterations_asking,
            consecutive=self.consecutive,
            classifier=classifier,
            called=self._called,
        )

    @property
    def _called(self) -> str:
        return self.name if self.consecutive == CONSECUTIVE else f"{self.name}:{self.consecutive}"

    def for_image(self, index: int) -> StopRule:
        return self.fallback.for_image(index)

    def decide(self, trajectory: Trajectory) -> Decision:
        return self.fallback.decide(trajectory)

    def __repr__(self) -> str:
        return f"{self._called} ({self.fallback!r})"
