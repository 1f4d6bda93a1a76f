"""The fit itself: N networks drawing N pictures at once. One picture is a stack of one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from deep_protection.errors import CancelledError, DeepProtectionError
from deep_protection.fitting.adam import Adam
from deep_protection.fitting.average import OutputAverage
from deep_protection.fitting.networks import Networks
from deep_protection.fitting.precision import effective_precision
from deep_protection.fitting.sitting import Sitting, Verdict
from deep_protection.fitting.task import FitTask
from deep_protection.generators import find_generator
from deep_protection.stopping import Trajectory

Outcome = Trajectory | DeepProtectionError
"""What becomes of a picture. An error is its own affair and does not end the fits beside it."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A task that has its turn, and what it may spend."""

    number: int
    task: FitTask
    budget: Callable[[], float | None] = lambda: None
    """Asked when its turn comes: wall seconds that it may spend from then on."""

    def is_like(self, other: "Seat") -> bool:
        """Whether both can share a stack: same size, recipe, device and degradation."""
        one, two = self.task, other.task
        alike = (one.target.shape, one.recipe, one.device) == (two.target.shape, two.recipe, two.device)
        return alike and one.degradation is two.degradation


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
    stack = Stack([Seat(0, task, lambda: seconds)], is_cancelled=is_cancelled)
    while True:
        for _, outcome in stack.advance():
            return opened(outcome)
        for _, iteration in stack.progress():
            on_iteration(iteration)


def opened(outcome: Outcome) -> Trajectory:
    """The trajectory, or the error that the fit ended with."""
    if isinstance(outcome, DeepProtectionError):
        raise outcome
    return outcome


class Stack:
    """Pictures of one size, fitted by one recipe with shared operations.

    They come and go independently: :meth:`advance` moves all of them by one iteration and gives those that have ended,
    :meth:`take_in` puts another picture into a place that has become free.
    """

    optimiser: ClassVar[type[Adam]] = Adam

    def __init__(self, seats: list[Seat], *, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        first = seats[0].task
        self._device, self._huber = first.device, first.recipe.huber
        self._is_cancelled = is_cancelled
        self._degradation = first.degradation
        whole = first.target if first.degradation is None else first.degradation.guess(first.target)
        generator = find_generator(first.recipe.generator)(*whole.shape[-2:])
        low_precision = effective_precision(first.recipe.precision, first.device) == "bfloat16"
        with torch.inference_mode(False):
            self._targets = torch.empty(len(seats), *first.target.shape, dtype=torch.float32, device=first.device)
            self._networks = Networks(
                generator, len(seats), torch.bfloat16 if low_precision else torch.float32, first.device
            )
            self._optimiser = self.optimiser(self._networks.matrix, first.recipe.learning_rate)
            pictures = torch.empty(len(seats), *whole.shape, dtype=torch.float32, device=first.device)
            self._average = OutputAverage(pictures, first.recipe.averaging)
            self._seats: list[Seat | None] = [None] * len(seats)
            self._sittings: dict[int, Sitting] = {}
            self._returning: dict[int, Tensor] = {}
            for row, seat in enumerate(seats):
                self._seat(row, seat)

    @property
    def free(self) -> int:
        """How many places are empty."""
        return self._seats.count(None)

    @property
    def is_empty(self) -> bool:
        return self.free == len(self._seats)

    def progress(self) -> Iterator[tuple[Seat, int]]:
        """Every picture that is being fitted, and its next iteration."""
        for seat in self._seats:
            if seat is not None:
                yield seat, self._sittings[seat.number].iteration

    def take_in(self, seat: Seat) -> None:
        """Begin another picture in a free place."""
        with torch.inference_mode(False):
            self._seat(self._seats.index(None), seat)

    def _seat(self, row: int, seat: Seat) -> None:
        task = seat.task
        with torch.no_grad():
            # The clone makes an ordinary tensor of one that was born in inference mode.
            target = task.target.detach().clone().to(self._device)
            self._targets[row] = target
            whole = target if task.degradation is None else task.degradation.guess(target)
        self._networks.put(row, whole, task.seed)
        self._optimiser.reset(row, task.recipe.learning_rate)
        self._average.reset(row)
        self._seats[row] = seat

        number, networks, average, detail = seat.number, self._networks, self._average, task.recipe.detail

        def save() -> tuple[Tensor, tuple[Tensor, float]]:
            now = self._row_of(number)
            return networks.matrix[now].clone(), average.state(now)

        def restore(state: tuple[Tensor, tuple[Tensor, float]]) -> None:
            now = self._row_of(number)
            self._returning[now] = state[0]
            average.restore(now, state[1])

        def output() -> Tensor:
            drawn = average.value(self._row_of(number))
            return drawn if detail is None else detail.brought_back(drawn, target)

        from deep_protection.fitting.beside import Beside  # a stack itself

        names = {*task.companions, *([task.rule.companion] if task.rule.companion else [])}
        self._sittings[number] = Sitting(
            task,
            target,
            seat.budget(),
            save=save,
            restore=restore,
            output=output,
            companions={name: Beside(task, name).output for name in sorted(names)},
        )

    def _row_of(self, number: int) -> int:
        """Where a picture sits now: rows move up when the stack shrinks."""
        return next(row for row, seat in enumerate(self._seats) if seat is not None and seat.number == number)

    def shrink(self) -> None:
        """Give up the free places: there is nothing left to fill them with."""
        rows = [row for row, seat in enumerate(self._seats) if seat is not None]
        if 0 < len(rows) < len(self._seats):
            with torch.inference_mode(False):
                for part in (self._networks, self._optimiser, self._average):
                    part.keep(rows)
                self._targets = self._targets[rows]
                self._seats = [self._seats[row] for row in rows]

    def advance(self) -> Iterator[tuple[int, Outcome]]:
        """One iteration of every picture; number and outcome of each that ended with it."""
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(self._device.type, enabled=False),  # a host's autocast is not ours
        ):
            ended = self._advance()
        yield from ended

    def _advance(self) -> list[tuple[int, Outcome]]:
        if self._is_cancelled():
            least = min(sitting.iteration for sitting in self._sittings.values())
            raise CancelledError(f"the fit was cancelled at iteration {least}")
        outputs = self._networks()
        seen = outputs if self._degradation is None else self._degradation(outputs)
        losses = _losses(seen, self._targets, self._huber)
        self._average.add(outputs.detach().clamp(0, 1))
        ended: list[tuple[int, Outcome]] = []
        self._returning.clear()
        steps = False
        for row, loss in enumerate(losses.tolist()):
            seat = self._seats[row]
            if seat is None:
                continue
            sitting = self._sittings[seat.number]
            outcome: Outcome = sitting.trajectory
            try:
                verdict = sitting.look(loss)
            except DeepProtectionError as error:
                verdict, outcome = Verdict.ENDED, error
            sitting.iteration += 1
            if verdict is Verdict.ENDED:
                ended.append((seat.number, outcome))
                self._seats[row] = None
                del self._sittings[seat.number]
            steps = steps or verdict is Verdict.STEP
        if steps:
            self._optimiser.step(self._networks.matrix, self._networks.gradient(losses.sum()))
        # Only now: the others' step would have moved the weights that came back.
        for row, weights in self._returning.items():
            self._networks.matrix[row] = weights
            seat = self._seats[row]
            if seat is not None:
                self._optimiser.reset(row, self._sittings[seat.number].learning_rate)
        return ended


def _losses(outputs: Tensor, targets: Tensor, huber: float | None) -> Tensor:
    """Loss of every row. Below the threshold Huber's is the squared error, so the scale is the same."""
    if huber is None:
        errors = F.mse_loss(outputs, targets, reduction="none")
    else:
        errors = 2 * F.huber_loss(outputs, targets, reduction="none", delta=huber)
    return errors.mean(dim=(1, 2, 3))
