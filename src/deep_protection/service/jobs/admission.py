"""Whether another job is accepted: the service can do it, the queue has room, and one client leaves room for others."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from deep_protection.service.errors import Problem
from deep_protection.service.jobs.persistence import JobTable
from deep_protection.service.jobs.queue import FairQueue
from deep_protection.service.jobs.tasks import TaskSupervisor
from deep_protection.service.jobs.worker_process import WorkerProcess
from deep_protection.service.metrics import Metrics
from deep_protection.service.settings import Settings, max_per_client


class ClientLimit:
    """Counts what clients do at once: bodies that are read, streams that are open."""

    def __init__(self, most: int, message: str, retry_after: int) -> None:
        self._most, self._now = most, Counter[str]()
        self._message, self._retry_after = message, retry_after

    @contextmanager
    def one_of(self, client: str) -> Iterator[None]:
        """Raises :class:`Problem` 429 where there are too many; one client leaves room for others."""
        if self._now.total() >= self._most or self._now[client] >= max_per_client(self._most):
            raise Problem(429, self._message, retry_after=self._retry_after)
        self._now[client] += 1
        try:
            yield
        finally:
            self._now[client] -= 1
            self._now += Counter()  # forget who sends nothing any more


def upload_limit(most: int) -> ClientLimit:
    """For bodies on their way."""
    return ClientLimit(most, "too many images are being sent at once; try again in a moment", 1)


class Admission:
    """Asked before a job is accepted, and by ``/readyz``."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        queue: FairQueue,
        table: JobTable,
        tasks: TaskSupervisor,
        workers: Sequence[WorkerProcess],
    ) -> None:
        self._settings, self._metrics = settings, metrics
        self._queue, self._table, self._tasks, self._workers = queue, table, tasks, workers
        self._reserved: Counter[str] = Counter()
        """Jobs by client that are being written down: they have their place already."""
        self._mean_seconds = 5.0

    def check_works(self) -> None:
        """Raise :class:`Problem` 503 when what is accepted now would not be done before someone looks after it."""
        if self._tasks.failing:
            what = ", ".join(sorted(self._tasks.failing))
            raise Problem(503, f"out of order: {what}; the service's log says why", code="unavailable", retry_after=5)
        if (trouble := self._table.trouble) is not None:
            raise Problem(503, trouble, code="storage", retry_after=5)
        if all(worker.is_broken for worker in self._workers):
            message = "no worker can be started; the service's log says why"
            raise Problem(503, message, code="unavailable", retry_after=30)

    def check_ready(self) -> None:
        """The same, and when no worker has started yet."""
        self.check_works()
        if not any(worker.is_ready for worker in self._workers):
            raise Problem(503, "no worker is ready yet", code="starting", retry_after=2)

    def check_room(self, client: str) -> None:
        """Raise :class:`Problem` 429 when another job would be too many, of this client's or of all."""
        self.check_works()
        waiting = len(self._queue) + self._reserved.total()
        own = self._queue.of(client) + self._reserved[client]
        if waiting >= self._settings.queue or own >= max_per_client(self._settings.queue):
            self._metrics.refused.inc()
            whose = "the queue is full" if waiting >= self._settings.queue else "your share of the queue is full"
            raise Problem(429, f"{whose} ({waiting} jobs wait); try again later", retry_after=self.retry_after)

    @contextmanager
    def reserved(self, client: str) -> Iterator[None]:
        """A place in the queue while a job is written down. Raises :class:`Problem` where there is none."""
        self.check_room(client)
        self._reserved[client] += 1
        try:
            yield
        finally:
            self._reserved[client] -= 1
            self._reserved += Counter()  # drops the zeros

    def note_duration(self, seconds: float) -> None:
        """That a job took so long."""
        self._mean_seconds += 0.1 * (seconds - self._mean_seconds)

    @property
    def retry_after(self) -> int:
        """Seconds until a place is likely to become free."""
        return max(1, min(300, round(self._mean_seconds / max(1, len(self._workers)))))
