"""The life of jobs as routes see it: accepted, asked for, cancelled, deleted, expired. All of it in one event loop."""

import asyncio
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from deep_protection.errors import OutputError
from deep_protection.service.errors import Problem
from deep_protection.service.jobs.admission import Admission, ClientLimit
from deep_protection.service.jobs.dispatch import Dispatcher
from deep_protection.service.jobs.estimates import Estimates, is_telling, work_of
from deep_protection.service.jobs.events import Event, Hub
from deep_protection.service.jobs.job import FINAL, Job
from deep_protection.service.jobs.job_files import DamagedError, JobFiles, sealed
from deep_protection.service.jobs.job_store import JobStore
from deep_protection.service.jobs.persistence import JobTable
from deep_protection.service.jobs.tasks import TaskSupervisor
from deep_protection.service.metrics import Metrics
from deep_protection.service.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("deep_protection.service")
LISTENERS = 512


class JobManager:
    """Owns the data folder: a lock keeps a second service away from it."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self._lock = _locked(settings)
        self.files = JobFiles(settings.data)
        self.hub = Hub()
        self.tasks = TaskSupervisor()
        self.table = JobTable(JobStore(settings.data / "jobs.db"), metrics)
        self._store = self.table.store
        self._dispatcher = Dispatcher(settings, metrics, self.table, self.hub, self.tasks)
        self.admission = Admission(
            settings, metrics, self._dispatcher.queue, self.table, self.tasks, self._dispatcher.workers
        )
        self.estimates = Estimates()
        self._work: dict[str, float] = {}
        self._dispatcher.on_duration = self._note_duration
        self._listeners = ClientLimit(LISTENERS, "too many listen or wait already; ask for the job instead", 5)
        self._disk = ThreadPoolExecutor(4, "images")
        metrics.watch("listeners", "Open streams of events and requests that wait.", lambda: len(self.hub))

    async def start(self) -> None:
        """Take up what an earlier run left: what was running goes back into the queue."""
        for job in self._store.in_state("running"):
            self._store.requeue(job.id, died=False)
        waiting = self._store.in_state("queued")
        for job in waiting:
            self._dispatcher.enqueue(job)
        for name in self._store.fail_unreadable():
            log.error("the job %s has failed: its row in the job table is damaged", name)
        self._reconcile()
        log.info("%d jobs wait", len(waiting))
        for worker in self._dispatcher.workers:
            self.tasks.supervise(f"care for worker {worker.number}", worker.run)
        self.tasks.supervise("handing out of jobs", self._dispatcher.run)
        self.tasks.supervise("care for the job table", lambda: self.table.watch(self._dispatcher.wake))
        self.tasks.supervise("removal of old results", self._expire)

    def _reconcile(self) -> None:
        """Bring the folders of jobs and the table together again; only what has expired is deleted."""
        for job in self._store.in_state("expired"):
            self.files.remove(job.id)
        if unfinished := self.files.remove_coming():
            log.info("%d unfinished uploads were removed", unfinished)
        known = self._store.ids()
        if back := self.files.take_back(known):
            log.info("%d jobs have their files back from %s", back, self.files.unknown)
        if aside := self.files.put_aside(known):
            log.warning(
                "the job table does not know %d jobs whose files are there; they were moved to %s: put the table back "
                "that knows them and start again, or delete them",
                aside,
                self.files.unknown,
            )

    async def stop(self) -> None:
        self.hub.close()
        for worker in self._dispatcher.workers:
            worker.end()
        await self.tasks.stop()
        await asyncio.gather(*(worker.close() for worker in self._dispatcher.workers))
        self.table.close()
        self._disk.shutdown()
        os.close(self._lock)

    async def submit(
        self,
        kind: str,
        client: str,
        options: dict[str, Any],
        folder: Path,
        inputs: dict[str, Path],
        size: tuple[int, int],
    ) -> Job:
        """Accept a job whose images lie in ``folder``, which is named as it will be; ``size`` is width and height.

        When this returns, it is on the disk and will be done, whatever happens to this process.
        """
        name = folder.name
        with self.admission.reserved(client):
            try:
                digests = {what: await self._run_in(self._disk, sealed, path) for what, path in inputs.items()}
                await self._run_in(self._disk, self.files.accept, folder)
                job = Job(
                    id=name,
                    kind=kind,
                    client=client,
                    state="queued",
                    options=options,
                    inputs=digests,
                    created=time.time(),
                )
                await self.table.run(self._store.add, job)
            except (OutputError, OSError, sqlite3.Error) as error:
                await self._run_in(self._disk, self.files.remove, name)
                raise self.table.problem(error) from None
        self._work[name] = work_of(kind, options, size[1], size[0])
        self._dispatcher.enqueue(job)
        return job

    def _note_duration(self, job: Job, seconds: float) -> None:
        self.admission.note_duration(seconds)
        work = self._work.pop(job.id, None)
        if work is not None and job.state == "done" and is_telling(job.answer or {}):  # else of an earlier service
            self.estimates.learn(job.kind, job.options, work, seconds)

    async def get(self, name: str) -> Job:
        """Raises :class:`Problem` 404."""
        job = await self.table.for_request(self._store.get, name)
        if job is None:
            raise Problem(404, "there is no such job; it may have been deleted, or expired long ago")
        return job

    def document(self, job: Job) -> dict[str, Any]:
        return self._dispatcher.document(job)

    async def file(self, job: Job, name: str) -> bytes:
        """A file that was made. Raises :class:`Problem`."""
        if job.state in ("queued", "running"):
            raise Problem(409, f"the job is {job.state}; ask again when it is done", retry_after=1)
        if job.state != "done":
            raise Problem(410, f"the job is {job.state} and has no files")
        if name not in job.files:
            raise Problem(404, f"this job has no file {name[:40]!r}; it has: {', '.join(job.files) or 'none'}")
        try:
            return await self._run_in(self._disk, self.files.read, job.id, "out", name, job.files[name])
        except DamagedError as error:
            self.metrics.storage_errors.inc()
            raise Problem(410, f"{error}; send the image again", code="damaged") from None

    async def remove(self, name: str) -> Job | None:
        """Cancel a job that has not ended; delete one that has, which gives None."""
        await self.get(name)
        if await self.table.for_request(self._store.cancel, name):
            self._dispatcher.withdraw(name)
            self._work.pop(name, None)
            await self._dispatcher.publish_state(name)
            return await self.get(name)
        # In this order: files that no job in the table speaks of would be kept for ever.
        await self._run_in(self._disk, self.files.remove, name)
        await self.table.for_request(self._store.delete, name)
        return None

    def watch(self, name: str) -> None:
        """Someone wants to see previews."""
        self._dispatcher.watch(name)

    @contextmanager
    def listening(self, name: str, client: str) -> "Iterator[asyncio.Queue[Event | None]]":
        """What happens to a job. Raises :class:`Problem` 429 where too many listen; one client leaves others room."""
        with self._listeners.one_of(client), self.hub.subscribe(name) as queue:
            yield queue

    async def ended(self, name: str, client: str) -> Job:
        """Wait until the job has ended, or the service does."""
        with self.listening(name, client) as queue:
            job = await self.get(name)
            while not job.is_final and (event := await queue.get()) is not None:
                if event[0] == "state":
                    job = await self.get(name)
                    if not job.is_final and event[1]["state"] in FINAL:  # which could not be written down
                        job = replace(job, state=event[1]["state"], error=event[1]["error"])
            return job

    async def _expire(self) -> None:
        """Results go when they have been kept long enough, and the last traces of them when as long again."""
        retention = self.settings.retention
        while True:
            now = time.time()
            for name in await self.table.with_retry(self._store.expire, now - retention):
                await self._run_in(self._disk, self.files.remove, name)
            await self.table.with_retry(self._store.forget, now - 2 * retention)
            await asyncio.sleep(min(60.0, retention / 4))

    async def _run_in(self, pool: ThreadPoolExecutor, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.get_running_loop().run_in_executor(pool, lambda: work(*args, **kwargs))


def _locked(settings: Settings) -> int:
    """The lock of the data folder, held until it is closed or the process ends, however it ends."""
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(settings.data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OutputError(f"cannot use {settings.data} ({error.strerror}); choose another folder with --data") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise OutputError(
            f"another service uses {settings.data}; stop it, or choose another folder with --data"
        ) from None
    return handle
