"""Where units are worked on: processes of this machine. Ray has a file of its own."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool

from deep_protection.errors import DeepProtectionError
from deep_protection.evaluation.experiment.units import Outcome, Unit
from deep_protection.evaluation.experiment.worker import Worker
from deep_protection.evaluation.processes import Processes

TRIES = 3
"""How often a unit is begun whose worker dies, before the run gives up."""


class Engine(ABC):
    """Takes units, gives outcomes back as they come."""

    @property
    @abstractmethod
    def has_room(self) -> bool:
        """Whether another unit would soon be begun."""

    @abstractmethod
    def submit(self, unit: Unit) -> None: ...

    @abstractmethod
    def finished(self) -> Iterator[tuple[Unit, Outcome]]:
        """Wait until something has ended, and give all that has."""

    @abstractmethod
    def close(self) -> None:
        """End the workers at once; what they were at is lost."""


class LocalEngine(Engine):
    """One process a worker, each with one thread: a unit's result does not depend on how many there are."""

    def __init__(self, workers: int, classifier: str, device: str) -> None:
        self._workers, self._arguments = workers, (classifier, device)
        self._running: dict[Future[Outcome], Unit] = {}
        self._tries: dict[str, int] = {}
        self._pool = self._new_pool()

    @property
    def has_room(self) -> bool:
        return len(self._running) < 2 * self._workers

    def submit(self, unit: Unit) -> None:
        try:
            future = self._pool.submit(_work, unit)
        except BrokenProcessPool:
            self._pool = self._new_pool()
            future = self._pool.submit(_work, unit)
        self._running[future] = unit

    def finished(self) -> Iterator[tuple[Unit, Outcome]]:
        ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in ended:
            unit = self._running.pop(future)
            try:
                outcome = future.result()
            except BrokenProcessPool:
                self._again(unit)
            else:
                yield unit, outcome

    def close(self) -> None:
        self._pool.close()

    def _again(self, unit: Unit) -> None:
        """A worker has died, and the pool with it: all that it was at is begun anew."""
        self._tries[unit.title] = self._tries.get(unit.title, 0) + 1
        if self._tries[unit.title] >= TRIES:
            raise DeepProtectionError(
                f"a worker died {TRIES} times while {unit.title} was being computed, most likely for want of memory; "
                "use fewer --workers and run the same command again"
            )
        self.submit(unit)

    def _new_pool(self) -> Processes:
        return Processes(self._workers, _begin, *self._arguments)


_worker: Worker | None = None


def _begin(classifier: str, device: str) -> None:
    """In a worker process: ready for units."""
    global _worker
    _worker = Worker(classifier, device)


def _work(unit: Unit) -> Outcome:
    assert _worker is not None  # noqa: S101  (the initializer made it)
    return _worker(unit)
