"""The life of jobs: accepted, handed to workers, recorded, cancelled, expired. All of it in one event loop."""

import asyncio
import fcntl
import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from deep_protection.errors import OutputError
from deep_protection.service.api.errors import Problem
from deep_protection.service.api.landing import sealed
from deep_protection.service.api.uploads import Places
from deep_protection.service.jobs.events import Event, Hub
from deep_protection.service.jobs.job import FINAL, Job
from deep_protection.service.jobs.job_files import DamagedError, Files
from deep_protection.service.jobs.job_store import Store
from deep_protection.service.jobs.job_types import done_together
from deep_protection.service.jobs.persistence import Table
from deep_protection.service.jobs.queue import FairQueue
from deep_protection.service.jobs.tasks import Tasks
from deep_protection.service.jobs.worker_process import Message, WorkerProcess, batch_size, places
from deep_protection.service.metrics import Metrics
from deep_protection.service.settings import Settings, share_of_one

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("deep_protection.service")
MOST_DEATHS = 2
"""Workers that a job may kill: it is tried once more after the first."""
LISTENERS = 512
LOST = {
    "code": "internal",
    "message": "something went wrong inside; the service's log says what. Send the picture again",
}


class Jobs:
    """Owns the data folder: a lock keeps a second service away from it."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.hub = Hub()
        self._queue = FairQueue()
        self._coming: Counter[str] = Counter()
        """Jobs by client that are being written down: they have their place already."""
        self._waiting: dict[str, Job] = {}
        self._progress: dict[str, dict[str, Any]] = {}
        self._running: dict[str, WorkerProcess] = {}
        self._batch = batch_size(settings)
        self._mean_seconds = 5.0
        self._wake = asyncio.Event()
        self._tasks = Tasks()
        self._listeners = Places(LISTENERS, "too many listen or wait already; ask for the job instead", 5)
        self._disk = ThreadPoolExecutor(4, "pictures")
        self.workers = [
            WorkerProcess(number, settings, device, self._hear, self._mourn)
            for number, device in enumerate(places(settings))
        ]
        self._lock = _locked(settings)
        self.files = Files(settings.data)
        self._store = Store(settings.data / "jobs.db")
        self._table = Table(self._store, metrics)
        metrics.watch("queue_length", "Jobs that wait.", lambda: len(self._queue))
        metrics.watch("running", "Jobs that are being done.", lambda: len(self._running))
        metrics.watch("workers_ready", "Workers that can take work.", lambda: sum(w.is_ready for w in self.workers))
        metrics.watch("listeners", "Open streams of events and requests that wait.", lambda: len(self.hub))

    async def start(self) -> None:
        """Take up what an earlier run left: what was running goes back into the queue."""
        for job in self._store.in_state("running"):
            self._store.requeue(job.id, died=False)
        for job in self._store.in_state("queued"):
            self._enqueue(job)
        for name in self._store.fail_unreadable():
            log.error("the job %s has failed: its row in the job table is damaged", name)
        self._tidy()
        log.info("%d jobs wait", len(self._queue))
        for worker in self.workers:
            self._tasks.keep(f"care for worker {worker.number}", worker.run)
        self._tasks.keep("handing out of jobs", self._dispatch)
        self._tasks.keep("care for the job table", lambda: self._table.care(self._wake.set))
        self._tasks.keep("removal of old results", self._expire)

    def _tidy(self) -> None:
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
        for worker in self.workers:
            worker.end()
        await self._tasks.stop()
        await asyncio.gather(*(worker.close() for worker in self.workers))
        self._table.close()
        self._disk.shutdown()
        os.close(self._lock)

    def check_works(self) -> None:
        """Raise :class:`Problem` 503 when what is accepted now would not be done before someone looks after it."""
        if self._tasks.failing:
            what = ", ".join(sorted(self._tasks.failing))
            raise Problem(503, f"out of order: {what}; the service's log says why", code="unavailable", retry_after=5)
        if (trouble := self._table.trouble) is not None:
            raise Problem(503, trouble, code="storage", retry_after=5)
        if all(worker.is_broken for worker in self.workers):
            message = "no worker can be started; the service's log says why"
            raise Problem(503, message, code="unavailable", retry_after=30)

    def check_ready(self) -> None:
        """The same, and when no worker has started yet."""
        self.check_works()
        if not any(worker.is_ready for worker in self.workers):
            raise Problem(503, "no worker is ready yet", code="starting", retry_after=2)

    def check_room(self, client: str) -> None:
        """Raise :class:`Problem` 429 when another job would be too many, of this client's or of all."""
        self.check_works()
        waiting = len(self._queue) + self._coming.total()
        own = self._queue.of(client) + self._coming[client]
        if waiting >= self.settings.queue or own >= share_of_one(self.settings.queue):
            self.metrics.refused.inc()
            whose = "the queue is full" if waiting >= self.settings.queue else "your share of the queue is full"
            raise Problem(429, f"{whose} ({waiting} jobs wait); try again later", retry_after=self.retry_after)

    @property
    def retry_after(self) -> int:
        """Seconds until a place is likely to become free."""
        return max(1, min(300, round(self._mean_seconds / max(1, len(self.workers)))))

    async def submit(
        self, kind: str, client: str, options: dict[str, Any], folder: Path, inputs: dict[str, Path]
    ) -> Job:
        """Accept a job whose pictures lie in ``folder``, which is named as it will be.

        When this returns, it is on the disk and will be done, whatever happens to this process.
        """
        self.check_room(client)
        self._coming[client] += 1
        name = folder.name
        try:
            try:
                digests = {what: await self._in(self._disk, sealed, path) for what, path in inputs.items()}
                await self._in(self._disk, self.files.accept, folder)
                job = Job(
                    id=name,
                    kind=kind,
                    client=client,
                    state="queued",
                    options=options,
                    inputs=digests,
                    created=time.time(),
                )
                await self._table.run(self._store.add, job)
            except (OutputError, OSError, sqlite3.Error) as error:
                await self._in(self._disk, self.files.remove, name)
                raise self.storage_problem(error) from None
        finally:
            self._coming[client] -= 1
            self._coming += Counter()  # drops the zeros
        self._enqueue(job)
        return job

    def storage_problem(self, error: Exception) -> Problem:
        """What a client is told when the table or the disk refuses."""
        return self._table.problem(error)

    async def get(self, name: str) -> Job:
        """Raises :class:`Problem` 404."""
        job = await self._table.ask(self._store.get, name)
        if job is None:
            raise Problem(404, "there is no such job; it may have been deleted, or expired long ago")
        return job

    def document(self, job: Job) -> dict[str, Any]:
        position = None
        if job.state == "queued" and job.id in self._waiting:
            order = self._queue.order()
            position = order.index(job.id) + 1 if job.id in order else 1
        return job.document(position, self._progress.get(job.id))

    async def file(self, job: Job, name: str) -> bytes:
        """A file that was made. Raises :class:`Problem`."""
        if job.state in ("queued", "running"):
            raise Problem(409, f"the job is {job.state}; ask again when it is done", retry_after=1)
        if job.state != "done":
            raise Problem(410, f"the job is {job.state} and has no files")
        if name not in job.files:
            raise Problem(404, f"this job has no file {name[:40]!r}; it has: {', '.join(job.files) or 'none'}")
        try:
            return await self._in(self._disk, self.files.read, job.id, "out", name, job.files[name])
        except DamagedError as error:
            self.metrics.storage_errors.inc()
            raise Problem(410, f"{error}; send the picture again", code="damaged") from None

    async def remove(self, name: str) -> Job | None:
        """Cancel a job that has not ended; delete one that has, which gives None."""
        await self.get(name)
        if await self._table.ask(self._store.cancel, name):
            self._queue.remove(name)
            self._waiting.pop(name, None)
            worker = self._running.get(name)
            if worker is not None:
                worker.cancel(name)
            await self._tell_state(name)
            return await self.get(name)
        # In this order: files that no job in the table speaks of would be kept for ever.
        await self._in(self._disk, self.files.remove, name)
        await self._table.ask(self._store.delete, name)
        return None

    def watch(self, name: str) -> None:
        """Someone wants to see previews."""
        if (worker := self._running.get(name)) is not None:
            worker.watch(name)

    @contextmanager
    def listening(self, name: str, client: str) -> "Iterator[asyncio.Queue[Event | None]]":
        """What happens to a job. Raises :class:`Problem` 429 where too many listen; one client leaves others room."""
        with self._listeners.one_of(client), self.hub.listening(name) as queue:
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

    def _enqueue(self, job: Job) -> None:
        self._waiting[job.id] = job
        self._queue.put(job.client, job.id, first=job.deaths > 0)
        self._wake.set()

    async def _dispatch(self) -> None:
        """Hand waiting jobs to idle workers."""
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            for worker in self.workers:
                # Of a damaged table every job would fail, one after the other.
                while worker.is_idle and len(self._queue) and not self._table.is_damaged:
                    if jobs := await self._started(self._take()):
                        await self._give(worker, jobs)

    async def _give(self, worker: WorkerProcess, jobs: list[Job]) -> None:
        if not worker.is_idle:  # it died in the meantime
            for job in jobs:
                async with self._failing_alone(job):
                    if await self._table.surely(self._store.requeue, job.id, died=False):
                        self._enqueue(job)
            return
        for job in jobs:
            self._running[job.id] = worker
        worker.give(jobs)
        for job in jobs:
            async with self._failing_alone(job):
                if self.hub.has(job.id):
                    worker.watch(job.id)
                self.metrics.wait_seconds.observe(max(0.0, time.time() - job.created))
                await self._tell_state(job.id)
                if self._running.get(job.id) is worker and not await self._is_running(job.id):
                    worker.cancel(job.id)  # cancelled between its start and its being given

    async def _is_running(self, name: str) -> bool:
        job = await self._table.surely(self._store.get, name)
        return job is not None and job.state == "running"

    def _take(self) -> list[Job]:
        """The next job, and those after it that can be done with it."""
        taken: list[Job] = []
        while len(taken) < self._batch and (name := self._queue.take()) is not None:
            job = self._waiting.pop(name)
            taken.append(job)
            following = self._queue.order()[:1]
            after = self._waiting[following[0]] if following else None
            if after is None or not done_together(job, after) or job.deaths or after.deaths:
                break
        return taken

    async def _started(self, jobs: list[Job]) -> list[Job]:
        """Those that were still waiting."""
        started = []
        for job in jobs:
            async with self._failing_alone(job):
                if await self._table.surely(self._store.start, job.id):
                    started.append(job)
                elif await self._table.surely(self._store.get, job.id) is None:
                    self._forget(job)
        return started

    @asynccontextmanager
    async def _failing_alone(self, job: Job) -> AsyncIterator[None]:
        """What goes wrong with one job ends that job, and neither its company nor who hands out the next one."""
        try:
            yield
        except Exception:
            log.exception("the job %s is given up", job.id)
            if (worker := self._running.pop(job.id, None)) is not None:
                worker.cancel(job.id)
            self._progress.pop(job.id, None)
            try:
                await self._table.surely(self._store.fail, job.id, LOST["code"], LOST["message"])
                await self._tell_state(job.id)
            except Exception:  # the table itself is broken: who waits is let go all the same
                log.exception("the end of the job %s could not be written down", job.id)
                self.metrics.storage_errors.inc()
                self.hub.tell(job.id, "state", replace(job, state="failed", error=LOST).document())

    def _hear(self, worker: WorkerProcess, message: Message) -> None:
        """A worker's message, in the order in which it came."""
        what, name = message["say"], message.get("id", "")
        if what in ("ready", "idle"):
            self._wake.set()
            return
        job = worker.jobs.get(name)
        if job is None:
            return
        if what == "progress":
            progress = message["progress"]
            self._progress[name] = {key: progress.get(key) for key in ("iteration", "limit", "psnr")}
            nothing = {"psnr": None, "label": None, "probability": None, "preview": None}
            self.hub.tell(name, "progress", {**nothing, **progress})
            return
        del worker.jobs[name]
        self._running.pop(name, None)
        self._progress.pop(name, None)
        if what == "done":
            self._tasks.start(self._record(job, self._store.finish, message["answer"], message["files"]))
        elif what == "failed":
            if message["code"] == "storage_full":
                self.metrics.storage_errors.inc()
            self._tasks.start(self._record(job, self._store.fail, message["code"], message["message"]))
        # "cancelled" is on record: that is how the worker came to know

    def _mourn(self, worker: WorkerProcess, lost: dict[str, Job], late: bool) -> None:
        """A worker has died with these jobs in hand."""
        del worker
        self.metrics.deaths.inc()
        for job in lost.values():
            self._running.pop(job.id, None)
            self._progress.pop(job.id, None)
            job.deaths += 1
            if late:
                message = (
                    f"it did not end within its time budget of {self.settings.budget:.0f} s; send a smaller picture"
                )
                self._tasks.start(self._record(job, self._store.fail, "timeout", message))
            elif job.deaths >= MOST_DEATHS:
                message = "two workers died while they did it; the picture may need more memory than there is"
                self._tasks.start(self._record(job, self._store.fail, "worker_died", message))
            else:
                self._tasks.start(self._again(job))

    async def _again(self, job: Job) -> None:
        async with self._failing_alone(job):
            if await self._table.surely(self._store.requeue, job.id, died=True):
                self._enqueue(job)
                await self._tell_state(job.id)

    async def _record(self, job: Job, change: Callable[..., bool], *values: Any) -> None:
        """Write down how a job ended; if it has been cancelled meanwhile, nothing changes."""
        async with self._failing_alone(job):
            is_changed = await self._table.surely(change, job.id, *values)
            ended = await self._table.surely(self._store.get, job.id)
            if ended is None:
                self._forget(job)
                return
            if is_changed and ended.started and ended.ended:
                seconds = ended.ended - ended.started
                self._mean_seconds += 0.1 * (seconds - self._mean_seconds)
                self.metrics.job_seconds.labels(job.kind).observe(seconds)
            await self._tell_state(job.id)

    def _forget(self, job: Job) -> None:
        """Let go of a job that was deleted, or of which the table put in place of ours does not know: its files stay
        where they are, and are put aside at the next start.
        """
        log.warning("the job table does not know the job %s any more", job.id)
        self.hub.tell(job.id, "state", replace(job, state="failed", error=LOST).document())

    async def _tell_state(self, name: str) -> None:
        job = await self._table.surely(self._store.get, name)
        if job is None:
            return
        if job.is_final:
            self.metrics.jobs.labels(job.kind, job.state).inc()
        self.hub.tell(name, "state", self.document(job))

    async def _expire(self) -> None:
        """Results go when they have been kept long enough, and the last traces of them when as long again."""
        pause = min(60.0, self.settings.keep / 4)
        while True:
            now = time.time()
            for name in await self._table.surely(self._store.expire, now - self.settings.keep):
                await self._in(self._disk, self.files.remove, name)
            await self._table.surely(self._store.forget, now - 2 * self.settings.keep)
            await asyncio.sleep(pause)

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
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
