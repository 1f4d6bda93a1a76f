"""Many fits at once: one picture a core, or a stack on a GPU; results in order, nothing held that is not needed."""

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain

from deep_protection.fitting.fit import Outcome, Seat, fit, opened
from deep_protection.fitting.progress import ProgressCallback, ProgressMeter
from deep_protection.fitting.stacked import fit_stacked, stack_size
from deep_protection.fitting.task import FitTask
from deep_protection.fitting.threads import usable_cores, use_threads
from deep_protection.stopping import Trajectory

_REPORT_EVERY = 5
"""Iterations between two progress reports of one fit."""


@dataclass(frozen=True, slots=True)
class _Report:
    """What a worker tells the calling thread; ``iteration`` None means that the task has ended."""

    number: int
    task: FitTask
    iteration: int | None


def fit_all(
    tasks: Iterable[FitTask],
    *,
    pictures_total: int,
    workers: int | None = None,
    stack: int | None = None,
    seconds: float | None = None,
    progress: ProgressCallback | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Trajectory]:
    """Fit every task and yield the trajectories in the order of the tasks.

    ``tasks`` is read only a little ahead of the work, so memory does not grow with their number. ``seconds`` is a
    budget for all of them: each gets a fair part of what is left when it begins. Leaving the iteration early, or an
    exception such as KeyboardInterrupt, ends the running fits within one iteration.

    On the CPU each of ``workers`` threads fits one picture; on a GPU, ``stack`` pictures share every operation, or as
    many as fill it with pictures of their size.
    ``stack`` above 1 does so on the CPU too, in the calling thread, with PyTorch's own use of several cores.
    """
    source = enumerate(tasks)
    head = next(source, None)
    if head is None:
        return
    is_stacked = head[1].device.type == "cuda" if stack is None else stack > 1
    cores = usable_cores()
    parallel = head[1].recipe.parallel == "pictures" and head[1].device.type == "cpu" and not is_stacked
    budget = _Budget(seconds, pictures_total)
    meter = ProgressMeter(pictures_total, progress, seconds)
    if is_stacked:

        def places(task: FitTask) -> int:
            return stack_size(task) if stack is None else stack

        seats = (
            Seat(number, task, partial(budget.take, task.share, places(task))) for number, task in chain([head], source)
        )
        yield from _in_order(seats, places, meter, is_cancelled)
        return
    width = max(1, workers or cores) if parallel else 1
    reports: queue.SimpleQueue[_Report] = queue.SimpleQueue()
    abandoned = threading.Event()

    def work(number: int, task: FitTask) -> Trajectory:
        def on_iteration(iteration: int) -> None:
            if iteration % _REPORT_EVERY == 0:
                reports.put(_Report(number, task, iteration))

        return fit(
            task,
            seconds=budget.take(task.share, width),
            on_iteration=on_iteration,
            is_cancelled=lambda: abandoned.is_set() or is_cancelled(),
        )

    waiting: deque[tuple[int, Future[Trajectory]]] = deque()
    ended: set[int] = set()

    def submit(number: int, task: FitTask) -> None:
        future = pool.submit(work, number, task)
        future.add_done_callback(lambda _: reports.put(_Report(number, task, None)))
        waiting.append((number, future))

    with ThreadPoolExecutor(
        width, "deep-protection", initializer=use_threads, initargs=(1 if parallel else cores, cores)
    ) as pool:
        try:
            submit(*head)
            while waiting:
                while len(waiting) < 2 * width and (item := next(source, None)) is not None:
                    submit(*item)
                number, future = waiting.popleft()
                while number not in ended:
                    report = reports.get()
                    share, limit = report.task.share, report.task.rule.limit
                    if report.iteration is None:
                        ended.add(report.number)
                        meter.finish(report.number, share, limit, limit)
                    else:
                        meter.report(report.number, share, report.iteration, limit)
                ended.discard(number)
                yield future.result()
        finally:
            abandoned.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    seats: Iterator[Seat], width: Callable[[FitTask], int], meter: ProgressMeter, is_cancelled: Callable[[], bool]
) -> Iterator[Trajectory]:
    """Fit in a stack, in the calling thread, and hold back what ends before its turn."""
    tasks: dict[int, FitTask] = {}
    ended: dict[int, Outcome] = {}
    turn = 0

    def noted() -> Iterator[Seat]:
        for seat in seats:
            tasks[seat.number] = seat.task
            yield seat

    def report(seat: Seat, iteration: int) -> None:
        if iteration % _REPORT_EVERY == 0:
            meter.report(seat.number, seat.task.share, iteration, seat.task.rule.limit)

    outcomes = fit_stacked(
        noted(),
        width,
        may_begin=lambda seat: seat.number < turn + 2 * width(seat.task),  # what is held back stays bounded
        on_iteration=report,
        is_cancelled=is_cancelled,
    )
    for number, outcome in outcomes:
        task = tasks.pop(number)
        meter.finish(number, task.share, task.rule.limit, task.rule.limit)
        ended[number] = outcome
        while turn in ended:
            turn += 1
            yield opened(ended.pop(turn - 1))


class _Budget:
    """Shares out a number of seconds among pictures that begin one after the other."""

    def __init__(self, seconds: float | None, pictures: int) -> None:
        self._end = None if seconds is None else time.perf_counter() + seconds
        self._left = float(pictures)
        self._lock = threading.Lock()

    def take(self, share: float, width: int) -> float | None:
        """Seconds for a task that is ``share`` of a picture, with ``width`` of its kind at a time."""
        if self._end is None:
            return None
        with self._lock:
            remaining = max(0.0, self._end - time.perf_counter())
            rounds = math.ceil(self._left / share / width - 1e-6)
            self._left -= share
        return remaining / max(1, rounds)
