"""The job table as the event loop asks it: in a thread of its own, again where that helps."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from deep_protection.service.metrics import Metrics
from deep_protection.service.problems import Problem

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("deep_protection.service")
RETRY_SECONDS = 1.0


class Table:
    """Runs what a :class:`~deep_protection.service.store.Store` does."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, "job-table")
        self._stuck = 0

    @property
    def is_stuck(self) -> bool:
        """Whether something waits for the table to become usable."""
        return self._stuck > 0

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))

    async def ask(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """For a request. Raises :class:`Problem` 503 when the table cannot be used."""
        try:
            return await self.run(work, *args, **kwargs)
        except sqlite3.Error as error:
            raise self.problem(error) from None

    async def surely(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Until it can be used: what is locked or full may pass. Anything else is raised, or it would last for ever."""
        try:
            return await self.run(work, *args, **kwargs)
        except sqlite3.OperationalError as error:
            self._note(error)
        self._stuck += 1
        try:
            while True:
                await asyncio.sleep(RETRY_SECONDS)
                try:
                    return await self.run(work, *args, **kwargs)
                except sqlite3.OperationalError as error:
                    self._note(error)
        finally:
            self._stuck -= 1

    def problem(self, error: Exception) -> Problem:
        """What a client is told of a failure of table or disk."""
        self._metrics.storage_errors.inc()
        log.error("storage failed: %s", error)
        return Problem(
            503,
            "the job table or the disk cannot be used now (full, or locked); nothing was accepted, try again later",
            code="storage",
            retry_after=5,
        )

    def _note(self, error: Exception) -> None:
        self._metrics.storage_errors.inc()
        log.error("the job table cannot be used: %s; trying again", error)

    def close(self) -> None:
        self._thread.shutdown()
