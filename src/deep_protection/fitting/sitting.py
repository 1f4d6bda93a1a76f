"""One picture's part of a fit: its trajectory, its stop rule, its last good state. No arithmetic on networks."""

import math
import time
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from torch import Tensor

from deep_protection.errors import FitError, OptionError
from deep_protection.fitting.recovery import Recovery
from deep_protection.fitting.task import FitTask
from deep_protection.stopping import Checkpoint, Trajectory, psnr


class Verdict(Enum):
    """What is to become of a picture after an iteration."""

    STEP = "take another step"
    WENT_BACK = "the last good state is back; begin the optimiser anew"
    ENDED = "the trajectory is complete"


class Sitting:
    """Follows one fit from its first iteration to its end.

    The networks belong to somebody else, who lends three functions: ``save`` gives all that is needed to come back to
    the present moment, ``restore`` comes back to it, ``output`` is the picture of the moment; and one for every second
    fit beside it, which gives that fit's picture of an iteration.
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
        self._recovery: Recovery[Any] = Recovery(save(), task.recipe.learning_rate)

    @property
    def learning_rate(self) -> float:
        return self._recovery.learning_rate

    def look(self, loss: float) -> Verdict:
        """Judge the present iteration by its loss; its output is in the average already."""
        iteration, limit = self.iteration, self.task.rule.limit
        self.trajectory.iterations_run = iteration
        if self._recovery.is_lost(loss):
            return self._go_back(loss)
        elapsed = time.perf_counter() - self._start
        # At least one step is taken whatever the budget: before it, nothing has been fitted.
        out_of_time = iteration > 0 and self._seconds is not None and elapsed >= self._seconds
        is_checkpoint = iteration > 0 and iteration % self.task.recipe.checkpoint_every == 0
        if is_checkpoint or iteration == limit or out_of_time:
            output = self._output()
            if self._add(Checkpoint(iteration, loss, self._psnr(output), elapsed), output):
                return self._end()
            if out_of_time:
                return self._end(f"time budget of {self._seconds:.1f} s spent at iteration {iteration}")
        if is_checkpoint or iteration == 0:
            self._recovery.remember(self._save(), loss, is_checkpoint=is_checkpoint)
        return Verdict.STEP

    def _go_back(self, loss: float) -> Verdict:
        """Return to the good state, and end there when that has been tried often enough."""
        recovery, trajectory = self._recovery, self.trajectory
        self._restore(recovery.roll_back())
        trajectory.rollbacks = recovery.rollbacks
        if recovery.has_tries_left and self.iteration < self.task.rule.limit:
            return Verdict.WENT_BACK
        if not trajectory:
            if not recovery.has_tries_left or math.isinf(recovery.good_loss):
                raise FitError(
                    f"the fit diverged from the start (loss {loss} at iteration {self.iteration}); "
                    f"use a smaller learning rate than {self.task.recipe.learning_rate} or another preset"
                )
            output = self._output()
            self._add(Checkpoint(0, recovery.good_loss, self._psnr(output), 0.0), output)
        return self._end(f"diverged at iteration {self.iteration}, went back to the last good state")

    def _psnr(self, output: Tensor) -> float:
        """Of what would be seen of the output, to what was seen."""
        degradation = self.task.degradation
        return psnr(output if degradation is None else degradation(output[None])[0], self.trajectory.target)

    def _add(self, point: Checkpoint, output: Tensor) -> bool:
        """Add a checkpoint; whether the rule ends the fit there."""
        task, trajectory = self.task, self.trajectory
        trajectory.checkpoints.append(point)
        trajectory.outputs[len(trajectory) - 1] = output
        for name, picture in self._companions.items():
            trajectory.companions.setdefault(name, {})[len(trajectory) - 1] = picture(point.iteration)
        decision = task.rule.decide(trajectory)
        if decision.take not in trajectory.outputs:
            raise OptionError(
                f"stop rule {task.rule!r} takes checkpoint {decision.take}, whose picture is no longer kept; "
                f"a rule may take the newest checkpoint or stay with the one it took before ({trajectory.chosen})"
            )
        trajectory.chosen, trajectory.reason = decision.take, decision.reason
        self._keep_only({decision.take, len(trajectory) - 1})
        return decision.stop or point.iteration >= task.rule.limit

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
