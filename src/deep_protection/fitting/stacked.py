"""Many pictures in shared operations: for devices that a single picture cannot fill."""

from collections.abc import Callable, Iterator

from deep_protection.fitting.fit import Outcome, Seat, Stack
from deep_protection.fitting.task import FitTask

MOST = 64
"""Pictures side by side on a GPU, at most."""
PIXELS = {"pictures": MOST * 224**2, "operators": MOST * 224**2 // 8}
"""Pixels side by side, by how a recipe uses cores: one that spreads a single picture over all cores is a heavy one."""


def stack_size(task: FitTask) -> int:
    """How many pictures like this one share operations: 1 on the CPU, what a GPU is filled with elsewhere."""
    if task.device.type != "cuda":
        return 1
    drawn = task.target if task.degradation is None else task.degradation.guess(task.target)
    _, height, width = drawn.shape  # an enlarged picture is more than was seen of it
    return max(1, min(MOST, PIXELS[task.recipe.parallel] // (height * width)))


def fit_stacked(
    seats: Iterator[Seat],
    width: Callable[[FitTask], int],
    *,
    may_begin: Callable[[Seat], bool] = lambda _: True,
    on_iteration: Callable[[Seat, int], None] = lambda *_: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, Outcome]]:
    """Fit up to ``width`` pictures at a time, giving each as it ends; the next one of its kind takes its place.

    Kind is size, recipe and device, and each kind has a width of its own: what fills a device with small pictures does
    not fit on it with large ones. A picture of another kind waits until the present ones have ended, and any picture
    waits until ``may_begin`` allows it.
    """
    upcoming = next(seats, None)
    while upcoming is not None:
        seated, places = [upcoming], width(upcoming.task)
        upcoming = next(seats, None)
        while upcoming is not None and len(seated) < places and upcoming.is_like(seated[0]):
            seated.append(upcoming)
            upcoming = next(seats, None)
        kind, stack = seated[0], Stack(seated, is_cancelled=is_cancelled)
        while not stack.is_empty:
            yield from stack.advance()
            while stack.free and upcoming is not None and upcoming.is_like(kind) and may_begin(upcoming):
                stack.take_in(upcoming)
                upcoming = next(seats, None)
            if upcoming is None or not upcoming.is_like(kind):
                stack.shrink()
            for seat, iteration in stack.progress():
                on_iteration(seat, iteration)
