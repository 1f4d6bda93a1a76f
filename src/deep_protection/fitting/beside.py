"""A second fit beside the one that counts, for stop rules that compare the two."""

from dataclasses import replace
from typing import ClassVar

from torch import Tensor

from deep_protection.fitting.fit import Seat, Stack, opened
from deep_protection.fitting.task import FitTask
from deep_protection.stopping import COMPANIONS, Decision, StopRule, Trajectory


class Beside:
    """Follows at its companion's pace: asked for the picture of an iteration, it goes on to there."""

    def __init__(self, task: FitTask, name: str) -> None:
        companion = COMPANIONS[name]
        target, seed = companion.make(task.target, task.seed)
        recipe = task.recipe if companion.brings_back_detail else replace(task.recipe, detail=None)
        self._rule = _Watched(task.rule.limit)
        alone = replace(
            task, target=target, seed=seed, recipe=recipe, rule=self._rule, keep_outputs=False, companions=()
        )
        self._stack = Stack([Seat(0, alone)])

    def output(self, iteration: int) -> Tensor:
        """Its picture at ``iteration``; or at its next checkpoint where that is none of its own."""
        while self._rule.iteration < iteration and not self._stack.is_empty:
            for _, outcome in self._stack.advance():
                opened(outcome)
        return self._rule.output


class _Watched(StopRule):
    """Never ends a fit; shows its latest picture."""

    name: ClassVar[str] = "watched"

    def __init__(self, limit: int) -> None:
        self.limit, self.iteration = limit, 0

    def decide(self, trajectory: Trajectory) -> Decision:
        self.iteration, self.output = trajectory[-1].iteration, trajectory.latest_output
        return Decision(False, len(trajectory) - 1, "")
