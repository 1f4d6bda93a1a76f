"""One image's part of a fit: its trajectory, its stop rule, its last good state. No arithmetic on networks."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from torch import Tensor

from deep_protection.errors import FitError, OptionError
from deep_protection.fitting.task import FitTask
from deep_protection.stopping import Checkpoint, Trajectory, psnr

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
"""Until the first checkpoint: the first steps from the low-pass copy of a smooth image rise to 20 dB by
themselves."""


class DivergenceGuard(Generic[State]):
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

    def is_diverged(self, loss: float) -> bool:
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


class Verdict(Enum):
    """What is to become of an image after an iteration."""

    STEP = "take another step"
    ROLLED_BACK = "the last good state is back; begin the optimiser anew"
    ENDED = "the trajectory is complete"


class FitState:
    """Follows one fit from its first iteration to its end.

    The networks belong to somebody else, who lends three functions: ``save`` gives all that is needed to come back to
    the present moment, ``restore`` comes back to it, ``output`` is the image of the moment; and one for every second
    fit beside it, which gives that fit's image of an iteration.
    """

    def __init__(
        self,
        task: FitTask,
        target: Tensor,
        seconds: float | None,
        *,
        save: Callable[[], Any],
        restore: Callable[[Any], None],
        output: Callable[[], Tensor],
        companions: Mapping[str, Callable[[int], Tensor]],
    ) -> None:
        self.task, self.iteration = task, 0
        self.trajectory = Trajectory(target)
        self._start, self._seconds = time.perf_counter(), seconds
        self._save, self._restore, self._output, self._companions = save, restore, output, companions
        self._guard: DivergenceGuard[Any] = DivergenceGuard(save(), task.recipe.learning_rate)

    @property
    def learning_rate(self) -> float:
        return self._guard.learning_rate

    def observe(self, loss: float) -> Verdict:
        """Judge the present iteration by its loss; its output is in the average already."""
        iteration, max_iterations = self.iteration, self.task.rule.max_iterations
        self.trajectory.iterations_run = iteration
        if self._guard.is_diverged(loss):
            return self._go_back(loss)
        elapsed = time.perf_counter() - self._start
        # At least one step is taken whatever the budget: before it, nothing has been fitted.
        out_of_time = iteration > 0 and self._seconds is not None and elapsed >= self._seconds
        is_checkpoint = iteration > 0 and iteration % self.task.recipe.checkpoint_every == 0
        if is_checkpoint or iteration == max_iterations or out_of_time:
            output = self._output()
            if self._add(Checkpoint(iteration, loss, self._psnr(output), elapsed), output):
                return self._end()
            if out_of_time:
                return self._end(f"time budget of {self._seconds:.1f} s spent at iteration {iteration}")
        if is_checkpoint or iteration == 0:
            self._guard.remember(self._save(), loss, is_checkpoint=is_checkpoint)
        return Verdict.STEP

    def _go_back(self, loss: float) -> Verdict:
        """Return to the good state, and end there when that has been tried often enough."""
        guard, trajectory = self._guard, self.trajectory
        self._restore(guard.roll_back())
        trajectory.rollbacks = guard.rollbacks
        if guard.has_tries_left and self.iteration < self.task.rule.max_iterations:
            return Verdict.ROLLED_BACK
        if not trajectory:
            if not guard.has_tries_left or math.isinf(guard.good_loss):
                raise FitError(
                    f"the fit diverged from the start (loss {loss} at iteration {self.iteration}); "
                    f"use a smaller learning rate than {self.task.recipe.learning_rate} or another preset"
                )
            output = self._output()
            self._add(Checkpoint(0, guard.good_loss, self._psnr(output), 0.0), output)
        return self._end(f"diverged at iteration {self.iteration}, went back to the last good state")

    def _psnr(self, output: Tensor) -> float:
        """Of what would be seen of the output, to what was seen."""
        operator = self.task.operator
        return psnr(output if operator is None else operator(output[None])[0], self.trajectory.target)

    def _add(self, point: Checkpoint, output: Tensor) -> bool:
        """Add a checkpoint; whether the rule ends the fit there."""
        task, trajectory = self.task, self.trajectory
        trajectory.checkpoints.append(point)
        trajectory.outputs[len(trajectory) - 1] = output
        for name, image in self._companions.items():
            trajectory.companions.setdefault(name, {})[len(trajectory) - 1] = image(point.iteration)
        decision = task.rule.decide(trajectory)
        if decision.select not in trajectory.outputs:
            raise OptionError(
                f"stop rule {task.rule!r} takes checkpoint {decision.select}, whose image is no longer kept; "
                f"a rule may take the newest checkpoint or stay with the one it took before ({trajectory.chosen})"
            )
        trajectory.chosen, trajectory.reason = decision.select, decision.reason
        self._keep_only({decision.select, len(trajectory) - 1})
        return decision.stop or point.iteration >= task.rule.max_iterations

    def _end(self, reason: str | None = None) -> Verdict:
        if reason is not None:
            self.trajectory.reason = reason
        self._keep_only({self.trajectory.chosen})
        self.trajectory.target = self.task.target
        return Verdict.ENDED

    def _keep_only(self, checkpoints: set[int]) -> None:
        if not self.task.keep_outputs:
            self.trajectory.outputs = {index: self.trajectory.outputs[index] for index in checkpoints}
            self.trajectory.companions = {}  # what a rule wants is the newest, which it has seen by now
