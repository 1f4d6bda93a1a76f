"""The same units over a Ray cluster: many machines, and workers that may die."""

from collections.abc import Iterator
from typing import Any

from deep_protection.errors import DeepProtectionError
from deep_protection.evaluation.experiment.engine import TRIES, Engine
from deep_protection.evaluation.experiment.units import Outcome, Unit
from deep_protection.evaluation.experiment.worker import Worker
from deep_protection.optional import import_optional
from deep_protection.quiet import warnings_silenced


class RayEngine(Engine):
    """One task a unit, one core a task. Ray begins a task anew whose worker dies."""

    def __init__(self, address: str | None, workers: int, classifier: str, device: str) -> None:
        self._ray = _ray()
        self._arguments = (classifier, device)
        try:
            with warnings_silenced():
                own = {} if address else {"num_cpus": workers, "include_dashboard": False}
                self._ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
        except (OSError, RuntimeError, ValueError) as error:
            raise DeepProtectionError(
                f"no Ray cluster could be reached or started ({error}); check --ray-address"
            ) from None
        needs = {"num_gpus": 1} if device.startswith("cuda") else {}
        self._work = self._ray.remote(num_cpus=1, max_retries=TRIES, **needs)(_work)
        self._running: dict[Any, Unit] = {}

    @property
    def has_room(self) -> bool:
        return len(self._running) < 2 * max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def submit(self, unit: Unit) -> None:
        self._running[self._work.remote(unit, *self._arguments)] = unit

    def finished(self) -> Iterator[tuple[Unit, Outcome]]:
        ended, _ = self._ray.wait(list(self._running), num_returns=1)
        for reference in ended:
            unit = self._running.pop(reference)
            try:
                yield unit, self._ray.get(reference)
            except self._ray.exceptions.WorkerCrashedError:
                raise DeepProtectionError(
                    f"workers died {TRIES + 1} times while {unit.title} was being computed, most likely for want of "
                    "memory; run the same command again with fewer --workers"
                ) from None

    def close(self) -> None:
        self._ray.shutdown()


_workers: dict[tuple[str, str], Worker] = {}
"""In a worker process: what it has loaded, which the next unit needs too."""


def _work(unit: Unit, classifier: str, device: str) -> Outcome:
    import torch

    torch.set_num_threads(1)
    arguments = (classifier, device)
    if arguments not in _workers:
        _workers[arguments] = Worker(*arguments)
    return _workers[arguments](unit)


def _ray() -> Any:
    import_optional("ray.exceptions", needed_for="--engine ray", extra="ray")
    return import_optional("ray", needed_for="--engine ray", extra="ray")
