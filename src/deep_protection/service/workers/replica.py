"""What a replica of the Ray Serve deployment does: one classifier, one thing at a time. It keeps nothing."""

import asyncio
import os
import secrets
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch

from deep_protection.errors import DeepProtectionError
from deep_protection.fitting import usable_cores, use_threads
from deep_protection.service.errors import to_problem
from deep_protection.service.jobs.job_types import can_batch
from deep_protection.service.workers.handlers import run_jobs
from deep_protection.service.workers.observed_rule import json_safe
from deep_protection.service.workers.worker_context import JobInput, Outcome, WorkerContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What came of a request, as it travels between machines. Times are seconds since 1970."""

    started: float
    ended: float
    answer: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    files: dict[str, bytes] = field(default_factory=dict)


class Replica:
    """A core or a GPU of its own. Requests that are alike and wait at the same time are done together, up to ``batch``.

    Ray's own ``serve.batch`` closes a batch while the one before it is still being fitted, so that what gathers
    meanwhile would be fitted one by one; and it knows nothing of requests that cannot be done together.
    """

    def __init__(self, classifier: str, calibration: str | None, device: str, budget: float, batch: int) -> None:
        self._context = WorkerContext(classifier, calibration, device, budget)
        self._batch = batch
        self._waiting: deque[tuple[JobInput, Future[Ended]]] = deque()
        self._hand = ThreadPoolExecutor(1, "replica", use_threads, (1, usable_cores()))  # one core was given

    async def run(self, kind: str, options: dict[str, Any], inputs: dict[str, bytes]) -> Ended:
        """Do one request. When it is cancelled, as it is when its client goes away, the fit ends."""
        cancelled = threading.Event()
        job = JobInput(
            id=secrets.token_hex(16), kind=kind, options=options, inputs=inputs, is_cancelled=cancelled.is_set
        )
        ended: Future[Ended] = Future()
        self._waiting.append((job, ended))
        self._hand.submit(self._next)
        try:
            return await asyncio.wrap_future(ended)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def _next(self) -> None:
        """Do the first that waits and those like it just behind; nothing, when it was done with another."""
        taken: list[tuple[JobInput, Future[Ended]]] = []
        while self._waiting and len(taken) < self._batch:
            job, ended = self._waiting[0]
            if taken and not can_batch(taken[0][0], job):
                break
            self._waiting.popleft()
            if ended.set_running_or_notify_cancel():
                taken.append((job, ended))
        if not taken:
            return
        started = time.time()
        try:
            outcomes = run_jobs(self._context, [job for job, _ in taken])
        except (MemoryError, torch.OutOfMemoryError):
            os._exit(1)  # as a death: Ray starts a fresh one, and the front tries once more
        except Exception as error:  # a mistake of ours: every client is told so, and the next gets its turn
            for _, ended in taken:
                ended.set_exception(error)
            return
        for (_, ended), outcome in zip(taken, outcomes, strict=True):
            ended.set_result(as_ended(outcome, started))


def as_ended(outcome: Outcome, started: float) -> Ended:
    if isinstance(outcome, DeepProtectionError):
        code, message = to_problem(outcome)
        return Ended(started=started, ended=time.time(), error={"code": code, "message": message})
    return Ended(started=started, ended=time.time(), answer=json_safe(outcome.answer), files=outcome.files)
