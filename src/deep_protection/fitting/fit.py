"""The fit of one generator to one picture."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from deep_protection.errors import CancelledError, FitError, OptionError
from deep_protection.fitting.average import OutputAverage
from deep_protection.fitting.precision import effective_precision
from deep_protection.fitting.recipe import Recipe
from deep_protection.fitting.recovery import Recovery
from deep_protection.generators import GENERATORS
from deep_protection.stopping import Checkpoint, StopRule, Trajectory, psnr


@dataclass(slots=True, kw_only=True)
class FitTask:
    """One picture to be fitted."""

    target: Tensor
    """``3×H×W`` float32 in ``[0, 1]``."""
    recipe: Recipe
    rule: StopRule
    seed: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    keep_outputs: bool = False
    """Keep the picture of every checkpoint, not only of the chosen one."""
    share: float = 1.0
    """What part of a whole picture this task is, for sharing out a time budget among tiles."""


def fit(
    task: FitTask,
    *,
    seconds: float | None = None,
    on_iteration: Callable[[int], None] = lambda _: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Trajectory:
    """Fit a fresh generator to ``task.target`` until the rule, the time budget or the caller ends it.

    Works whatever the caller's gradient mode, and touches no global random state. Raises :class:`CancelledError` when
    ``is_cancelled`` turns true and :class:`FitError` when not even the first output is finite.
    """
    with torch.inference_mode(False), torch.enable_grad():
        return _fit(task, seconds, on_iteration, is_cancelled)


def _fit(
    task: FitTask,
    seconds: float | None,
    on_iteration: Callable[[int], None],
    is_cancelled: Callable[[], bool],
) -> Trajectory:
    start = time.perf_counter()
    recipe, rule, device = task.recipe, task.rule, task.device
    # The clone makes an ordinary tensor of one that was born in inference mode.
    target = task.target.detach().clone().to(device)
    generator = GENERATORS[recipe.generator].create(target, task.seed, device)
    average = OutputAverage(recipe.averaging)
    recovery = Recovery(generator, average, recipe.learning_rate)
    optimiser = recovery.optimiser()
    low_precision = effective_precision(recipe.precision, device) == "bfloat16"
    trajectory = Trajectory(target)

    for iteration in range(rule.limit + 1):
        if is_cancelled():
            raise CancelledError(f"the fit was cancelled at iteration {iteration}")
        with torch.autocast(device.type, torch.bfloat16, enabled=low_precision):
            output = generator()
        loss = F.mse_loss(output, target.unsqueeze(0))
        loss_value = loss.item()
        trajectory.iterations_run = iteration

        if recovery.is_lost(loss_value):
            tries_left = recovery.roll_back()
            trajectory.rollbacks = recovery.rollbacks
            if tries_left and iteration < rule.limit:
                optimiser = recovery.optimiser()
                continue
            if not trajectory:
                if not tries_left or iteration == 0:
                    raise FitError(
                        f"the fit diverged from the start (loss {loss_value} at iteration {iteration}); "
                        f"use a smaller learning rate than {recipe.learning_rate} or another preset"
                    )
                start_point = Checkpoint(0, recovery.good_loss, psnr(average.value, target), 0.0)
                _ends_here(trajectory, start_point, average.value, task)
            trajectory.reason = f"diverged at iteration {iteration}, went back to the last good state"
            break

        average.add(output.detach()[0].clamp(0, 1))
        elapsed = time.perf_counter() - start
        # At least one step is taken whatever the budget: before it, nothing has been fitted.
        out_of_time = iteration > 0 and seconds is not None and elapsed >= seconds
        is_checkpoint = iteration > 0 and iteration % recipe.checkpoint_every == 0
        if is_checkpoint or iteration == rule.limit or out_of_time:
            output_now = average.value
            point = Checkpoint(iteration, loss_value, psnr(output_now, target), elapsed)
            if _ends_here(trajectory, point, output_now, task):
                break
            if out_of_time:
                trajectory.reason = f"time budget of {seconds:.1f} s spent at iteration {iteration}"
                break
        if is_checkpoint or iteration == 0:
            recovery.remember(loss_value, is_checkpoint=is_checkpoint)

        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        on_iteration(iteration + 1)

    if not task.keep_outputs:
        _keep_only(trajectory, {trajectory.chosen})
    trajectory.target = task.target
    return trajectory


def _ends_here(trajectory: Trajectory, point: Checkpoint, output: Tensor, task: FitTask) -> bool:
    """Add a checkpoint and ask the rule whether the fit is to end."""
    trajectory.checkpoints.append(point)
    trajectory.outputs[len(trajectory) - 1] = output
    decision = task.rule.decide(trajectory)
    if decision.take not in trajectory.outputs:
        raise OptionError(
            f"stop rule {task.rule!r} takes checkpoint {decision.take}, whose picture is no longer kept; "
            f"a rule may take the newest checkpoint or stay with the one it took before ({trajectory.chosen})"
        )
    trajectory.chosen, trajectory.reason = decision.take, decision.reason
    if not task.keep_outputs:
        _keep_only(trajectory, {decision.take, len(trajectory) - 1})
    return decision.stop or point.iteration >= task.rule.limit


def _keep_only(trajectory: Trajectory, indices: set[int]) -> None:
    trajectory.outputs = {index: trajectory.outputs[index] for index in indices}
