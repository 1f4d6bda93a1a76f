"""Many pictures in shared operations: for devices that a single picture cannot fill."""

from collections.abc import Callable, Iterator

from deep_protection.fitting.fit import Seat, Stack
from deep_protection.stopping import Trajectory

ON_CUDA = 64
"""Pictures side by side on a GPU, if not said otherwise."""


def fit_stacked(
    seats: Iterator[Seat],
    width: int,
    *,
    on_iteration: Callable[[Seat, int], None] = lambda *_: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, Trajectory]]:
    """Fit up to ``width`` pictures at a time, giving each as it ends; the next one of its kind takes its place.

    Kind is size, recipe and device. A picture of another kind waits until the present ones have ended.
    """
    upcoming = next(seats, None)
    while upcoming is not None:
        seated = [upcoming]
        upcoming = next(seats, None)
        while upcoming is not None and len(seated) < width and upcoming.is_like(seated[0]):
            seated.append(upcoming)
            upcoming = next(seats, None)
        kind, stack = seated[0], Stack(seated, is_cancelled=is_cancelled)
        while not stack.is_empty:
            yield from stack.advance()
            while stack.free and upcoming is not None and upcoming.is_like(kind):
                stack.take_in(upcoming)
                upcoming = next(seats, None)
            stack.shrink()
            for seat, iteration in stack.progress():
                on_iteration(seat, iteration)
