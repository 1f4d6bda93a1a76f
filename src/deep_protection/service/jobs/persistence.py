"""The job table as the event loop asks it: in a thread of its own, again where that helps."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from deep_protection.service.errors import Problem
from deep_protection.service.jobs.job_store import JobStore
from deep_protection.service.metrics import Metrics

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("deep_protection.service")
RETRY_SECONDS = 1.0
CHECK_SECONDS = 2.0
UNUSABLE = "the job table cannot be used now (full, or locked); nothing was accepted, try again later"
MOVED = (
    "the job table was moved away, or another was put in its place, while the service ran; put it back, or start the "
    "service again"
)
DAMAGED = "the job table is damaged; stop the service, put a backup in its place and start it again"


class JobTable:
    """Runs what a :class:`~deep_protection.service.jobs.job_store.JobStore` does."""

    def __init__(self, store: JobStore, metrics: Metrics) -> None:
        self.store, self._metrics = store, metrics
        self._thread = ThreadPoolExecutor(1, "job-table")
        self._stuck, self._locked = 0, False
        self.is_damaged = False
        """Whether it was found to be no table any more, and has not been found whole since."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written down now."""
        if self.store.is_moved:
            return MOVED
        if self.is_damaged:
            return DAMAGED
        return UNUSABLE if self._stuck or self._locked else None

    async def watch(self, on_mended: Callable[[], None]) -> None:
        """Look after the table for as long as the service runs: a broken one is to be said before a job is lost."""
        while True:
            try:
                await self.run(self.store.check, thoroughly=self.is_damaged)
                self._locked = False
                if self.is_damaged:
                    log.warning("the job table is whole again")
                    self.is_damaged = False
                    on_mended()
            except sqlite3.OperationalError as error:
                self._locked = True
                self._note(error)
            except sqlite3.DatabaseError as error:
                self.is_damaged = True
                self._note(error)
            await asyncio.sleep(CHECK_SECONDS)

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))
        except sqlite3.DatabaseError as error:
            self.is_damaged |= _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
            raise

    async def for_request(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """For a request. Raises :class:`Problem` 503 when the table cannot be used."""
        try:
            return await self.run(work, *args, **kwargs)
        except sqlite3.Error as error:
            raise self.problem(error) from None

    async def with_retry(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Until it can be used: what is locked, full or not there may pass. Anything else is raised, or it would last
        for ever.
        """
        try:
            return await self.run(work, *args, **kwargs)
        except sqlite3.DatabaseError as error:
            self._note_passing(error)
        self._stuck += 1
        try:
            while True:
                await asyncio.sleep(RETRY_SECONDS)
                try:
                    return await self.run(work, *args, **kwargs)
                except sqlite3.DatabaseError as error:
                    self._note_passing(error)
        finally:
            self._stuck -= 1

    def problem(self, error: Exception) -> Problem:
        """What a client is told of a failure of table or disk."""
        self._metrics.storage_errors.inc()
        log.error("storage failed: %s", error)
        message = (
            "the job table or the disk cannot be used now (full, or locked); nothing was accepted, try again later"
        )
        return Problem(503, self.trouble or message, code="storage", retry_after=5)

    def _note_passing(self, error: sqlite3.DatabaseError) -> None:
        """Note what may pass, raise what cannot. Where no table is at all, one may be put back."""
        if not isinstance(error, sqlite3.OperationalError) and _code(error) != sqlite3.SQLITE_NOTADB:
            raise error
        self._note(error)

    def _note(self, error: Exception) -> None:
        self._metrics.storage_errors.inc()
        log.error("the job table cannot be used: %s; trying again", error)

    def close(self) -> None:
        self._thread.shutdown()
        self.store.close()


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary code of an error, 0 for one of our own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
