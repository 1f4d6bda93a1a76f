"""The fit itself: N networks drawing N images at once. One image is a stack of one."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from deep_protection.errors import CancelledError, DeepProtectionError
from deep_protection.fitting.devices import effective_precision
from deep_protection.fitting.fit_state import FitState, Verdict
from deep_protection.fitting.networks import Networks
from deep_protection.fitting.optim import Adam, OutputEMA
from deep_protection.fitting.task import FitTask
from deep_protection.generators import find_generator
from deep_protection.stopping import COMPANIONS, Checkpoint, Decision, StopRule, Trajectory, psnr

Outcome = Trajectory | DeepProtectionError
"""What becomes of an image. An error is its own affair and does not end the fits beside it."""


@dataclass(frozen=True, slots=True)
class FitRequest:
    """A task that has its turn, and what it may spend."""

    number: int
    task: FitTask
    budget: Callable[[], float | None] = lambda: None
    """Asked when its turn comes: wall seconds that it may spend from then on."""

    def is_like(self, other: "FitRequest") -> bool:
        """Whether both can share a stack: same size, recipe, device and operator."""
        one, two = self.task, other.task
        alike = (one.target.shape, one.recipe, one.device) == (two.target.shape, two.recipe, two.device)
        return alike and one.operator is two.operator and one.make is two.make is None


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
    if task.make is not None:
        return computed(task, task.make, is_cancelled)
    stack = BatchedFit([FitRequest(0, task, lambda: seconds)], is_cancelled=is_cancelled)
    while True:
        for _, outcome in stack.advance():
            return result_or_raise(outcome)
        for _, iteration in stack.progress():
            on_iteration(iteration)


def computed(task: FitTask, make: Callable[[], Tensor], is_cancelled: Callable[[], bool]) -> Trajectory:
    """What ``make`` gives, as the trajectory of a fit that was over before its first step.

    It is not interrupted: only before it begins :class:`CancelledError` may be raised.
    """
    if is_cancelled():
        raise CancelledError("the work was cancelled before a filter's turn")
    begin = time.perf_counter()
    made = make().to(task.target.device)
    spent = time.perf_counter() - begin
    closeness = psnr(made if task.operator is None else task.operator(made[None])[0], task.target)
    point = Checkpoint(0, loss=10 ** (-closeness / 10), psnr=closeness, seconds=spent)
    return Trajectory(task.target, [point], {0: made}, reason="filters alone")


def result_or_raise(outcome: Outcome) -> Trajectory:
    """The trajectory, or the error that the fit ended with."""
    if isinstance(outcome, DeepProtectionError):
        raise outcome
    return outcome


class BatchedFit:
    """Images of one size, fitted by one recipe with shared operations.

    They come and go independently: :meth:`advance` moves all of them by one iteration and gives those that have ended,
    :meth:`add` puts another image into a place that has become free.
    """

    optimiser: ClassVar[type[Adam]] = Adam

    def __init__(self, requests: list[FitRequest], *, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        first = requests[0].task
        self._device, self._huber_delta = first.device, first.recipe.huber_delta
        self._is_cancelled = is_cancelled
        self._operator = first.operator
        whole = first.target if first.operator is None else first.operator.initial_estimate(first.target)
        generator = find_generator(first.recipe.generator)(*whole.shape[-2:])
        low_precision = effective_precision(first.recipe.precision, first.device) == "bfloat16"
        with torch.inference_mode(False):
            self._targets = torch.empty(len(requests), *first.target.shape, dtype=torch.float32, device=first.device)
            self._networks = Networks(
                generator, len(requests), torch.bfloat16 if low_precision else torch.float32, first.device
            )
            self._optimiser = self.optimiser(self._networks.matrix, first.recipe.learning_rate)
            images = torch.empty(len(requests), *whole.shape, dtype=torch.float32, device=first.device)
            self._average = OutputEMA(images, first.recipe.ema_decay)
            self._requests: list[FitRequest | None] = [None] * len(requests)
            self._states: dict[int, FitState] = {}
            self._rolled_back: dict[int, Tensor] = {}
            for row, request in enumerate(requests):
                self._begin(row, request)

    @property
    def free(self) -> int:
        """How many places are empty."""
        return self._requests.count(None)

    @property
    def is_empty(self) -> bool:
        return self.free == len(self._requests)

    def progress(self) -> Iterator[tuple[FitRequest, int]]:
        """Every image that is being fitted, and its next iteration."""
        for request in self._requests:
            if request is not None:
                yield request, self._states[request.number].iteration

    def add(self, request: FitRequest) -> None:
        """Begin another image in a free place."""
        with torch.inference_mode(False):
            self._begin(self._requests.index(None), request)

    def _begin(self, row: int, request: FitRequest) -> None:
        task = request.task
        with torch.no_grad():
            # The clone makes an ordinary tensor of one that was born in inference mode.
            target = task.target.detach().clone().to(self._device)
            self._targets[row] = target
            whole = target if task.operator is None else task.operator.initial_estimate(target)
        self._networks.init_row(row, whole, task.seed)
        self._optimiser.reset(row, task.recipe.learning_rate)
        self._average.reset(row)
        self._requests[row] = request

        number, networks, average, detail = request.number, self._networks, self._average, task.recipe.detail

        def save() -> tuple[Tensor, tuple[Tensor, float]]:
            now = self._row_of(number)
            return networks.matrix[now].clone(), average.state(now)

        def restore(state: tuple[Tensor, tuple[Tensor, float]]) -> None:
            now = self._row_of(number)
            self._rolled_back[now] = state[0]
            average.restore(now, state[1])

        def output() -> Tensor:
            drawn = average.value(self._row_of(number))
            return drawn if detail is None else detail.restore_detail(drawn, target)

        names = {*task.companions, *([task.rule.companion] if task.rule.companion else [])}
        self._states[number] = FitState(
            task,
            target,
            request.budget(),
            save=save,
            restore=restore,
            output=output,
            companions={name: CompanionFit(task, name).output for name in sorted(names)},
        )

    def _row_of(self, number: int) -> int:
        """Where an image sits now: rows move up when the stack shrinks."""
        return next(
            row for row, request in enumerate(self._requests) if request is not None and request.number == number
        )

    def compact(self) -> None:
        """Give up the free places: there is nothing left to fill them with."""
        rows = [row for row, request in enumerate(self._requests) if request is not None]
        if 0 < len(rows) < len(self._requests):
            with torch.inference_mode(False):
                for part in (self._networks, self._optimiser, self._average):
                    part.select_rows(rows)
                self._targets = self._targets[rows]
                self._requests = [self._requests[row] for row in rows]

    def advance(self) -> Iterator[tuple[int, Outcome]]:
        """One iteration of every image; number and outcome of each that ended with it."""
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(self._device.type, enabled=False),  # a host's autocast is not ours
        ):
            ended = self._advance()
        yield from ended

    def _advance(self) -> list[tuple[int, Outcome]]:
        if self._is_cancelled():
            least = min(state.iteration for state in self._states.values())
            raise CancelledError(f"the fit was cancelled at iteration {least}")
        outputs = self._networks()
        seen = outputs if self._operator is None else self._operator(outputs)
        losses = _losses(seen, self._targets, self._huber_delta)
        self._average.add(outputs.detach().clamp(0, 1))
        ended: list[tuple[int, Outcome]] = []
        self._rolled_back.clear()
        steps = False
        for row, loss in enumerate(losses.tolist()):
            request = self._requests[row]
            if request is None:
                continue
            state = self._states[request.number]
            outcome: Outcome = state.trajectory
            try:
                verdict = state.observe(loss)
            except DeepProtectionError as error:
                verdict, outcome = Verdict.ENDED, error
            state.iteration += 1
            if verdict is Verdict.ENDED:
                ended.append((request.number, outcome))
                self._requests[row] = None
                del self._states[request.number]
            steps = steps or verdict is Verdict.STEP
        if steps:
            self._optimiser.step(self._networks.matrix, self._networks.gradient(losses.sum()))
        # Only now: the others' step would have moved the weights that came back.
        for row, weights in self._rolled_back.items():
            self._networks.matrix[row] = weights
            request = self._requests[row]
            if request is not None:
                self._optimiser.reset(row, self._states[request.number].learning_rate)
        return ended


class CompanionFit:
    """Follows at its companion's pace: asked for the image of an iteration, it goes on to there."""

    def __init__(self, task: FitTask, name: str) -> None:
        companion = COMPANIONS[name]
        target, seed = companion.make(task.target, task.seed)
        recipe = task.recipe if companion.brings_back_detail else replace(task.recipe, detail=None)
        self._rule = _Watched(task.rule.max_iterations)
        alone = replace(
            task, target=target, seed=seed, recipe=recipe, rule=self._rule, keep_outputs=False, companions=()
        )
        self._stack = BatchedFit([FitRequest(0, alone)])

    def output(self, iteration: int) -> Tensor:
        """Its image at ``iteration``; or at its next checkpoint where that is none of its own."""
        while self._rule.iteration < iteration and not self._stack.is_empty:
            for _, outcome in self._stack.advance():
                result_or_raise(outcome)
        return self._rule.output


class _Watched(StopRule):
    """Never ends a fit; shows its latest image."""

    name: ClassVar[str] = "watched"

    def __init__(self, max_iterations: int) -> None:
        self.max_iterations, self.iteration = max_iterations, 0

    def decide(self, trajectory: Trajectory) -> Decision:
        self.iteration, self.output = trajectory[-1].iteration, trajectory.latest_output
        return Decision(False, len(trajectory) - 1, "")


def _losses(outputs: Tensor, targets: Tensor, huber_delta: float | None) -> Tensor:
    """Loss of every row. Below the threshold Huber's is the squared error, so the scale is the same."""
    if huber_delta is None:
        errors = F.mse_loss(outputs, targets, reduction="none")
    else:
        errors = 2 * F.huber_loss(outputs, targets, reduction="none", delta=huber_delta)
    return errors.mean(dim=(1, 2, 3))
