"""Many fits at once: one image a core, or a stack on a GPU; results in order, nothing held that is not needed."""

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

from deep_protection.fitting.devices import usable_cores, use_threads
from deep_protection.fitting.engine import BatchedFit, FitRequest, Outcome, computed, fit, result_or_raise
from deep_protection.fitting.progress import ProgressCallback, ProgressMeter
from deep_protection.fitting.task import FitTask
from deep_protection.stopping import Trajectory

MOST = 64
"""Images side by side on a GPU, at most."""
PIXELS = {"images": MOST * 224**2, "operators": MOST * 224**2 // 8}
"""Pixels side by side, by how a recipe uses cores: one that spreads a single image over all cores is a heavy one."""
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
    images_total: int,
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

    On the CPU each of ``workers`` threads fits one image; on a GPU, ``stack`` images share every operation, or as
    many as fill it with images of their size.
    ``stack`` above 1 does so on the CPU too, in the calling thread, with PyTorch's own use of several cores.
    """
    source = enumerate(tasks)
    head = next(source, None)
    if head is None:
        return
    is_stacked = head[1].device.type == "cuda" if stack is None else stack > 1
    cores = usable_cores()
    parallel = head[1].recipe.parallel == "images" and head[1].device.type == "cpu" and not is_stacked
    budget = _Budget(seconds, images_total)
    meter = ProgressMeter(images_total, progress, seconds)
    if is_stacked:

        def places(task: FitTask) -> int:
            return batch_size(task) if stack is None else stack

        requests = (
            FitRequest(number, task, partial(budget.take, task.share, places(task)))
            for number, task in chain([head], source)
        )
        yield from _in_order(requests, places, meter, is_cancelled)
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
                    share, max_iterations = report.task.share, report.task.rule.max_iterations
                    if report.iteration is None:
                        ended.add(report.number)
                        meter.finish(report.number, share, max_iterations, max_iterations)
                    else:
                        meter.report(report.number, share, report.iteration, max_iterations)
                ended.discard(number)
                yield future.result()
        finally:
            abandoned.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    requests: Iterator[FitRequest],
    width: Callable[[FitTask], int],
    meter: ProgressMeter,
    is_cancelled: Callable[[], bool],
) -> Iterator[Trajectory]:
    """Fit in a stack, in the calling thread, and hold back what ends before its turn."""
    tasks: dict[int, FitTask] = {}
    ended: dict[int, Outcome] = {}
    turn = 0

    def noted() -> Iterator[FitRequest]:
        for request in requests:
            tasks[request.number] = request.task
            yield request

    def report(request: FitRequest, iteration: int) -> None:
        if iteration % _REPORT_EVERY == 0:
            meter.report(request.number, request.task.share, iteration, request.task.rule.max_iterations)

    outcomes = fit_batched(
        noted(),
        width,
        may_begin=lambda request: request.number < turn + 2 * width(request.task),  # what is held back stays bounded
        on_iteration=report,
        is_cancelled=is_cancelled,
    )
    for number, outcome in outcomes:
        task = tasks.pop(number)
        meter.finish(number, task.share, task.rule.max_iterations, task.rule.max_iterations)
        ended[number] = outcome
        while turn in ended:
            turn += 1
            yield result_or_raise(ended.pop(turn - 1))


def batch_size(task: FitTask) -> int:
    """How many images like this one share operations: 1 on the CPU, what a GPU is filled with elsewhere."""
    if task.device.type != "cuda":
        return 1
    drawn = task.target if task.operator is None else task.operator.initial_estimate(task.target)
    _, height, width = drawn.shape  # an enlarged image is more than was seen of it
    return max(1, min(MOST, PIXELS[task.recipe.parallel] // (height * width)))


def fit_batched(
    requests: Iterator[FitRequest],
    width: Callable[[FitTask], int],
    *,
    may_begin: Callable[[FitRequest], bool] = lambda _: True,
    on_iteration: Callable[[FitRequest, int], None] = lambda *_: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, Outcome]]:
    """Fit up to ``width`` images at a time, giving each as it ends; the next one of its kind takes its place.

    Kind is size, recipe and device, and each kind has a width of its own: what fills a device with small images does
    not fit on it with large ones. An image of another kind waits until the present ones have ended, and any image
    waits until ``may_begin`` allows it.
    """
    upcoming = next(requests, None)
    while upcoming is not None:
        if upcoming.task.make is not None:
            upcoming.budget()  # it has its part of the time, too
            yield upcoming.number, computed(upcoming.task, upcoming.task.make, is_cancelled)
            upcoming = next(requests, None)
            continue
        taken, places = [upcoming], width(upcoming.task)
        upcoming = next(requests, None)
        while upcoming is not None and len(taken) < places and upcoming.is_like(taken[0]):
            taken.append(upcoming)
            upcoming = next(requests, None)
        kind, stack = taken[0], BatchedFit(taken, is_cancelled=is_cancelled)
        while not stack.is_empty:
            yield from stack.advance()
            while stack.free and upcoming is not None and upcoming.is_like(kind) and may_begin(upcoming):
                stack.add(upcoming)
                upcoming = next(requests, None)
            if upcoming is None or not upcoming.is_like(kind):
                stack.compact()
            for request, iteration in stack.progress():
                on_iteration(request, iteration)


class _Budget:
    """Shares out a number of seconds among images that begin one after the other."""

    def __init__(self, seconds: float | None, images: int) -> None:
        self._end = None if seconds is None else time.perf_counter() + seconds
        self._left = float(images)
        self._lock = threading.Lock()

    def take(self, share: float, width: int) -> float | None:
        """Seconds for a task that is ``share`` of an image, with ``width`` of its kind at a time."""
        if self._end is None:
            return None
        with self._lock:
            remaining = max(0.0, self._end - time.perf_counter())
            rounds = math.ceil(self._left / share / width - 1e-6)
            self._left -= share
        return remaining / max(1, rounds)
