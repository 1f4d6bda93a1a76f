"""Where a job is handed to a worker, and where what the worker says of it is heard and written down."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from deep_protection.service.jobs.events import Hub
from deep_protection.service.jobs.job import Job
from deep_protection.service.jobs.job_types import can_batch
from deep_protection.service.jobs.persistence import JobTable
from deep_protection.service.jobs.queue import FairQueue
from deep_protection.service.jobs.tasks import TaskSupervisor
from deep_protection.service.jobs.worker_process import Message, WorkerProcess, batch_size, worker_devices
from deep_protection.service.metrics import Metrics
from deep_protection.service.settings import Settings

log = logging.getLogger("deep_protection.service")
MAX_WORKER_DEATHS = 2
"""Workers that a job may kill: it is tried once more after the first."""
LOST = {
    "code": "internal",
    "message": "something went wrong inside; the service's log says what. Send the image again",
}


class Dispatcher:
    """The queue, the workers and what they have in hand. All of it in one event loop."""

    def __init__(self, settings: Settings, metrics: Metrics, table: JobTable, hub: Hub, tasks: TaskSupervisor) -> None:
        self._settings, self._metrics = settings, metrics
        self._table, self._store, self._hub, self._tasks = table, table.store, hub, tasks
        self.queue = FairQueue()
        self.on_duration: Callable[[Job, float], None] = lambda *_: None
        """Told the seconds that each job ran."""
        self._waiting: dict[str, Job] = {}
        self._progress: dict[str, dict[str, Any]] = {}
        self._running: dict[str, WorkerProcess] = {}
        self._batch = batch_size(settings)
        self._wake = asyncio.Event()
        self.workers = [
            WorkerProcess(number, settings, device, self._on_message, self._on_worker_death)
            for number, device in enumerate(worker_devices(settings))
        ]
        metrics.watch("queue_length", "Jobs that wait.", lambda: len(self.queue))
        metrics.watch("running", "Jobs that are being done.", lambda: len(self._running))
        metrics.watch("workers_ready", "Workers that can take work.", lambda: sum(w.is_ready for w in self.workers))

    def enqueue(self, job: Job) -> None:
        """Have a job done that is in the table as queued."""
        self._waiting[job.id] = job
        self.queue.put(job.client, job.id, priority=job.deaths > 0)
        self._wake.set()

    def wake(self) -> None:
        """Look again whether a job can be handed out."""
        self._wake.set()

    def withdraw(self, name: str) -> None:
        """Neither begin nor go on with a job that was cancelled."""
        self.queue.remove(name)
        self._waiting.pop(name, None)
        if (worker := self._running.get(name)) is not None:
            worker.cancel(name)

    def watch(self, name: str) -> None:
        """Have previews made."""
        if (worker := self._running.get(name)) is not None:
            worker.watch(name)

    def document(self, job: Job) -> dict[str, Any]:
        """What a client sees of a job: with its place in the queue, or how far it is."""
        position = None
        if job.state == "queued" and job.id in self._waiting:
            order = self.queue.order()
            position = order.index(job.id) + 1 if job.id in order else 1
        return job.document(position, self._progress.get(job.id))

    async def publish_state(self, name: str) -> None:
        """Tell who listens what the table says of a job."""
        job = await self._table.with_retry(self._store.get, name)
        if job is None:
            return
        if job.is_final:
            self._metrics.jobs.labels(job.kind, job.state).inc()
        self._hub.publish(name, "state", self.document(job))

    async def run(self) -> None:
        """Hand waiting jobs to idle workers."""
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            for worker in self.workers:
                # Of a damaged table every job would fail, one after the other.
                while worker.is_idle and len(self.queue) and not self._table.is_damaged:
                    batch = self._next_batch()
                    try:
                        if jobs := await self._started(batch):
                            await self._give(worker, jobs)
                    except BaseException:
                        self._put_back(batch)
                        raise

    def _put_back(self, batch: list[Job]) -> None:
        """What this task had in hand when it ended: it is in neither the queue nor a worker's hands."""
        for job in batch:
            if job.id not in self._running and job.id not in self._waiting:
                self._tasks.spawn(self._enqueue_again(job))

    async def _enqueue_again(self, job: Job) -> None:
        async with self._failing_alone(job):
            await self._table.with_retry(self._store.requeue, job.id, died=False)
            found = await self._table.with_retry(self._store.get, job.id)
            if found is not None and found.state == "queued":
                self.enqueue(job)

    def _next_batch(self) -> list[Job]:
        """The next job, and those after it that can be done with it."""
        taken: list[Job] = []
        while len(taken) < self._batch and (name := self.queue.take()) is not None:
            job = self._waiting.pop(name)
            taken.append(job)
            following = self.queue.order()[:1]
            after = self._waiting[following[0]] if following else None
            if after is None or not can_batch(job, after) or job.deaths or after.deaths:
                break
        return taken

    async def _started(self, jobs: list[Job]) -> list[Job]:
        """Those that were still waiting."""
        started = []
        for job in jobs:
            async with self._failing_alone(job):
                if await self._table.with_retry(self._store.start, job.id):
                    started.append(job)
                elif await self._table.with_retry(self._store.get, job.id) is None:
                    self._let_go(job)
        return started

    async def _give(self, worker: WorkerProcess, jobs: list[Job]) -> None:
        if not worker.is_idle:  # it died in the meantime
            for job in jobs:
                async with self._failing_alone(job):
                    if await self._table.with_retry(self._store.requeue, job.id, died=False):
                        self.enqueue(job)
            return
        for job in jobs:
            self._running[job.id] = worker
        worker.give(jobs)
        for job in jobs:
            async with self._failing_alone(job):
                if self._hub.has_subscribers(job.id):
                    worker.watch(job.id)
                self._metrics.wait_seconds.observe(max(0.0, time.time() - job.created))
                await self.publish_state(job.id)
                if self._running.get(job.id) is worker and not await self._is_running(job.id):
                    worker.cancel(job.id)  # cancelled between its start and its being given

    async def _is_running(self, name: str) -> bool:
        job = await self._table.with_retry(self._store.get, name)
        return job is not None and job.state == "running"

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
                await self._table.with_retry(self._store.fail, job.id, LOST["code"], LOST["message"])
                await self.publish_state(job.id)
            except Exception:  # the table itself is broken: who waits is let go all the same
                log.exception("the end of the job %s could not be written down", job.id)
                self._metrics.storage_errors.inc()
                self._publish_lost(job)

    def _let_go(self, job: Job) -> None:
        """Of a job that the table does not know: it was deleted, or another table lies in the place of ours."""
        log.warning("the job table does not know the job %s any more", job.id)
        self._publish_lost(job)

    def _publish_lost(self, job: Job) -> None:
        self._hub.publish(job.id, "state", replace(job, state="failed", error=LOST).document())

    def _on_message(self, worker: WorkerProcess, message: Message) -> None:
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
            self._progress[name] = {key: progress.get(key) for key in ("iteration", "limit", "psnr", "phase")}
            nothing = dict.fromkeys(("phase", "psnr", "label", "probability", "top", "preview", "box"))
            self._hub.publish(name, "progress", {**nothing, **progress})
            return
        del worker.jobs[name]
        self._forget(name)
        if what == "done":
            self._tasks.spawn(self._record(job, self._store.finish, message["answer"], message["files"]))
        elif what == "failed":
            if message["code"] == "storage_full":
                self._metrics.storage_errors.inc()
            self._tasks.spawn(self._record(job, self._store.fail, message["code"], message["message"]))
        # "cancelled" is on record: that is how the worker came to know

    def _on_worker_death(self, worker: WorkerProcess, lost: dict[str, Job], late: bool) -> None:
        """A worker has died with these jobs in hand."""
        del worker
        self._metrics.deaths.inc()
        for job in lost.values():
            self._forget(job.id)
            job.deaths += 1
            if late:
                seconds = self._settings.budget
                message = f"it did not end within its time budget of {seconds:.0f} s; send a smaller image"
                self._tasks.spawn(self._record(job, self._store.fail, "timeout", message))
            elif job.deaths >= MAX_WORKER_DEATHS:
                message = "two workers died while they did it; the image may need more memory than there is"
                self._tasks.spawn(self._record(job, self._store.fail, "worker_died", message))
            else:
                self._tasks.spawn(self._requeue(job))

    def _forget(self, name: str) -> None:
        self._running.pop(name, None)
        self._progress.pop(name, None)

    async def _requeue(self, job: Job) -> None:
        async with self._failing_alone(job):
            if await self._table.with_retry(self._store.requeue, job.id, died=True):
                self.enqueue(job)
                await self.publish_state(job.id)

    async def _record(self, job: Job, change: Callable[..., bool], *values: Any) -> None:
        """Write down how a job ended; if it has been cancelled meanwhile, nothing changes."""
        async with self._failing_alone(job):
            is_changed = await self._table.with_retry(change, job.id, *values)
            ended = await self._table.with_retry(self._store.get, job.id)
            if ended is None:
                self._let_go(job)
                return
            if is_changed and ended.started and ended.ended:
                seconds = ended.ended - ended.started
                self.on_duration(ended, seconds)
                self._metrics.job_seconds.labels(job.kind).observe(seconds)
            await self.publish_state(job.id)
