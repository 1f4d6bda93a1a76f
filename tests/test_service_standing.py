"""What the service does when its own parts fail: it says that it is not ready, accepts nothing, and goes on."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from PIL import Image

from deep_protection.service.api.app import create_app
from deep_protection.service.errors import Problem
from deep_protection.service.jobs.job import Job
from deep_protection.service.jobs.job_store import JobStore
from deep_protection.service.jobs.manager import LISTENERS, JobManager
from deep_protection.service.jobs.tasks import TaskSupervisor
from deep_protection.service.settings import Settings, max_per_client

ID = 32 * "a"


def job(name: str = ID) -> Job:
    return Job(id=name, kind="protect", client="someone", state="queued", options={}, inputs={}, created=time.time())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    """The application alone: its workers have not been started."""
    app = create_app(Settings(data=tmp_path / "data", workers=1))
    yield app
    asyncio.run(app.state.jobs.stop())


def asked(app: FastAPI, method: str, path: str, **more: Any) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.request(method, path, **more)

    return asyncio.run(ask())


@pytest.mark.parametrize("end", ["raises", "returns", "is cancelled"])
def test_a_task_that_ends_is_said_and_begun_anew(end: str) -> None:
    tasks, begun = TaskSupervisor(pause=0.2), 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            if end == "raises":
                raise ValueError("a mistake")
            if end == "is cancelled":
                raise asyncio.CancelledError
            return
        await asyncio.Event().wait()

    async def life() -> None:
        tasks.supervise("work", work)
        await until(lambda: tasks.failing == {"work"})
        await until(lambda: begun == 2 and not tasks.failing)
        await tasks.stop()

    asyncio.run(life())


def test_what_would_not_be_done_is_not_accepted(app: FastAPI, small: Image.Image) -> None:
    jobs: JobManager = app.state.jobs
    small.save(buffer := BytesIO(), "PNG")
    sent: dict[str, Any] = {"content": buffer.getvalue(), "headers": {"Content-Type": "image/png"}}
    assert asked(app, "GET", "/readyz").json()["error"]["code"] == "starting"
    jobs.tasks.failing.add("handing out of jobs")
    for method, path, more in (("GET", "/readyz", {}), ("POST", "/v1/classify", sent)):
        answer = asked(app, method, path, **more)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert "handing out of jobs" in answer.json()["error"]["message"]
        assert int(answer.headers["retry-after"]) >= 1
    assert asked(app, "GET", "/healthz").status_code == 200
    jobs.tasks.failing.clear()
    assert asked(app, "POST", "/v1/classify", **sent).status_code == 202


def test_a_job_in_hand_outlives_the_dispatcher(app: FastAPI) -> None:
    """Taken out of the queue and not yet given to a worker, it would wait for ever: the table alone knows of it."""
    jobs: JobManager = app.state.jobs
    dispatcher = jobs._dispatcher
    (worker,) = dispatcher.workers
    waiting = job()
    jobs.table.store.add(waiting)
    dispatcher.enqueue(waiting)

    async def life() -> None:
        worker.is_idle = True
        with closing(sqlite3.connect(jobs.settings.data / "jobs.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            running = asyncio.create_task(dispatcher.run())
            await until(lambda: len(dispatcher.queue) == 0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            other.execute("ROLLBACK")
        again = asyncio.create_task(dispatcher.run())
        await until(lambda: ID in worker.jobs)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)

    asyncio.run(life())
    found = jobs.table.store.get(ID)
    assert found is not None
    assert found.state == "running"


def test_a_client_that_is_gone_leaves_no_listener(app: FastAPI) -> None:
    jobs: JobManager = app.state.jobs
    jobs.table.store.add(job())
    told: list[str] = []

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message["type"])

    headers = [(b"host", b"localhost")]
    path = f"/v1/jobs/{ID}/events"
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b"", "root_path": ""}
    asyncio.run(app({**scope, "asgi": {"version": "3.0", "spec_version": "2.3"}}, gone, send))
    assert len(jobs.hub) == 0


def test_one_client_leaves_streams_for_others(app: FastAPI) -> None:
    jobs: JobManager = app.state.jobs
    with ExitStack() as open_ones:
        for _ in range(max_per_client(LISTENERS)):
            open_ones.enter_context(jobs.listening(ID, "greedy"))
        with pytest.raises(Problem, match="too many listen") as refused, jobs.listening(ID, "greedy"):
            pass
        assert refused.value.status == 429
        with jobs.listening(ID, "other"):
            assert len(jobs.hub) == max_per_client(LISTENERS) + 1
    assert len(jobs.hub) == 0


def test_a_damaged_row_fails_its_job_alone(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.db")
    whole, broken = 32 * "a", 32 * "b"
    for name in (whole, broken):
        store.add(job(name))
    with sqlite3.connect(tmp_path / "jobs.db") as table:
        table.execute("UPDATE jobs SET options = '{\"stop\": ' WHERE id = ?", (broken,))
    table.close()
    assert [each.id for each in store.in_state("queued")] == [whole]
    assert (store.fail_unreadable(), store.fail_unreadable()) == ([broken], [])
    found = store.get(broken)
    assert found is not None
    assert found.error is not None
    assert (found.state, found.error["code"]) == ("failed", "damaged")
    store.close()
