"""How far a call has come."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Handed to a progress callback, in the caller's own thread."""

    images_done: int
    images_total: int
    iteration: int
    """Of the image that reported last."""
    max_iterations: int
    """At which its stop rule ends at the latest."""
    fraction: float
    """Of the whole call, 0 to 1."""
    seconds_left: float | None
    """Estimated; None until there is something to estimate from."""


ProgressCallback = Callable[[Progress], None]


class ProgressMeter:
    """Turns reports of single fits into the progress of the call.

    An image may be fitted as several tiles; each counts for its share.
    """

    def __init__(self, images_total: int, callback: ProgressCallback | None, seconds: float | None = None) -> None:
        self._total, self._callback, self._budget = images_total, callback, seconds
        self._done = 0.0
        self._running: dict[int, float] = {}
        self._start = time.perf_counter()
        self._fraction = 0.0

    def report(self, task: int, share: float, iteration: int, max_iterations: int) -> None:
        self._running[task] = share * iteration / max_iterations
        self._tell(iteration, max_iterations)

    def finish(self, task: int, share: float, iteration: int, max_iterations: int) -> None:
        self._running.pop(task, None)
        self._done += share
        self._tell(iteration, max_iterations)

    def _tell(self, iteration: int, max_iterations: int) -> None:
        if self._callback is None:
            return
        total = max(self._total, 1)
        # Never backwards: the sum of the same parts in another order may differ in its last bit.
        fraction = max(self._fraction, min(1.0, (self._done + sum(self._running.values())) / total))
        self._fraction = fraction
        elapsed = time.perf_counter() - self._start
        left = elapsed * (1 - fraction) / fraction if fraction > 0 else None
        if self._budget is not None and fraction < 1:
            over = max(0.0, self._budget - elapsed)
            left = over if left is None else min(left, over)
        done = int(self._done + 1e-6)  # shares of tiles are fractions that may not add up to exactly one
        self._callback(Progress(done, self._total, iteration, max_iterations, fraction, left))
