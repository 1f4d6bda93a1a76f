"""The service when things break: killed, full, locked, damaged. Every accepted job ends exactly once."""

import json
import os
import random
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from served import Served

from deep_protection.service.client import ServiceError
from deep_protection.service.settings import Settings

pytestmark = pytest.mark.campaign

PNG = {"Content-Type": "image/png"}
QUICK = ("--workers", "1")
LONG = "fixed:5000"
"""Goes on until it is cancelled."""


@pytest.fixture(scope="module")
def data(small: Image.Image) -> bytes:
    buffer = BytesIO()
    small.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A short queue, and clients named by a header."""
    options = ("--queue", "8", "--client-header", "X-Client")
    with Served(tmp_path_factory.mktemp("bounded") / "data", *QUICK, *options) as served:
        served.record_ends()
        yield served
        assert "Traceback" not in served.log()


def submit(http: httpx2.Client, data: bytes, client: str = "one", **options: str) -> httpx2.Response:
    return http.post("/v1/protect", params=options, content=data, headers={**PNG, "X-Client": client})


def until(what: str, true: Any, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for: {what}"
        time.sleep(0.05)


def test_a_full_queue_says_when_to_come_back_and_leaves_room_for_others(bounded: Served, data: bytes) -> None:
    with bounded.http() as http, bounded.client() as client:
        blocker = submit(http, data, stop=LONG).json()
        until("the blocker runs", lambda: client.job(blocker)["state"] == "running")
        mine = [submit(http, data, "greedy", stop="fixed:2") for _ in range(8)]
        assert [answer.status_code for answer in mine] == [202] * 6 + [429] * 2, "three quarters for one"
        error = mine[-1].json()["error"]
        assert (error["code"], "your share" in error["message"]) == ("busy", True)
        assert int(mine[-1].headers["retry-after"]) >= 1
        others = [submit(http, data, name, stop="fixed:2") for name in ("a", "b", "c")]
        assert [answer.status_code for answer in others] == [202, 202, 429]
        assert "the queue is full" in others[-1].json()["error"]["message"]
        places = [client.job(answer.json())["position"] for answer in (mine[0], others[0], others[1], mine[1])]
        assert places == [1, 2, 3, 4], "clients take turns"
        client.remove(blocker)
        done = [client.wait(answer.json()) for answer in (*mine[:6], *others[:2])]
        begun = sorted(done, key=lambda job: str(job["started"]))
        assert [job["id"] for job in begun[1:3]] == [answer.json()["id"] for answer in others[:2]]


def test_bodies_on_their_way_are_counted(bounded: Served, data: bytes) -> None:
    """Each of them may take as much memory as an image may have bytes."""
    head = "POST /v1/protect HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nX-Client: slow\r\n"
    port = int(bounded.url.rpartition(":")[2])
    with bounded.http() as http, ExitStack() as opened:
        for _ in range(Settings(data=bounded.data).max_uploads * 3 // 4):
            slow = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode() + b"\x89PNG")
        until("no more of them", lambda: submit(http, data, "slow", stop="fixed:2").status_code == 429)
        error = submit(http, data, "slow", stop="fixed:2").json()["error"]
        assert (error["code"], "being sent at once" in error["message"]) == ("busy", True)
        assert submit(http, data, "other", stop="fixed:2").status_code == 202, "there is room for others"
    with bounded.http() as http:
        until("they have gone", lambda: submit(http, data, "slow", stop="fixed:2").status_code == 202)
        until("the queue is empty", lambda: http.get("/metrics").text.find("deep_protection_queue_length 0.0") >= 0)


def test_a_locked_table_is_said_and_survived(bounded: Served, data: bytes) -> None:
    with bounded.http() as http, bounded.client() as client:
        running = client.submit("protect", image=data, stop="fixed:60")
        with sqlite3.connect(bounded.data / "jobs.db", isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            answer = submit(http, data, stop="fixed:2")
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "storage"
            assert int(answer.headers["retry-after"]) >= 1
            assert http.get("/healthz").status_code == 200
            until("it says so", lambda: http.get("/readyz").json().get("error", {}).get("code") == "storage")
            other.execute("ROLLBACK")
        other.close()
        assert client.wait(running)["state"] == "done"
        assert http.get("/readyz").status_code == 200
        assert client.run("protect", image=data, stop="fixed:2")["state"] == "done"
        assert max(bounded.ends().values()) == 1
        assert len(list((bounded.data / "jobs").iterdir())) <= len(bounded.ends()), "what was refused left nothing"


def test_a_worker_that_dies_is_replaced_and_its_job_tried_once_more(bounded: Served, data: bytes) -> None:
    with bounded.client() as client:
        job = client.submit("protect", image=data, stop=LONG)
        for _ in range(2):
            until("it runs", lambda: client.job(job)["state"] == "running")
            (worker,) = bounded.workers()
            os.kill(worker, signal.SIGKILL)
            until("the death is noticed", lambda worker=worker: bounded.workers() not in ([worker], []))
        with pytest.raises(ServiceError) as refused:
            client.wait(job)
        assert refused.value.code == "worker_died"
        assert client.run("protect", image=data, stop="fixed:2")["state"] == "done"


def test_killed_at_random_moments_every_job_ends_once(tmp_path: Path, data: bytes) -> None:
    chance = random.Random(0)  # noqa: S311
    served = Served(tmp_path / "data", *QUICK)
    accepted: list[str] = []
    with served:
        served.record_ends()
        for victim in ("worker", "server"):
            with served.client() as client:
                accepted += [client.submit("protect", image=data, stop="fixed:30", seed=n)["id"] for n in range(3)]
            time.sleep(chance.uniform(0, 1.5))
            if victim == "server":
                served.kill()
                served.start()
            else:
                os.kill(chance.choice(served.workers()), signal.SIGKILL)
        with served.client() as client:
            done = [client.wait(job) for job in accepted]
            for job in done:
                assert client.file(job)
        served.stop()
        assert {job: served.ends()[job] for job in accepted} == dict.fromkeys(accepted, 1)
        assert {each.name for each in (served.data / "jobs").iterdir()} == set(accepted)
        assert not list(served.data.rglob("*.part")), "nothing half-written"


def test_damage_on_the_disk(bounded: Served, data: bytes) -> None:
    with bounded.client() as client, bounded.http() as http:
        blocker = client.submit("protect", image=data, stop=LONG)
        waiting, gone = (client.submit("protect", image=data, stop="fixed:2") for _ in range(2))
        (bounded.data / "jobs" / waiting["id"] / "in.image").write_bytes(b"not what was sent")
        (bounded.data / "jobs" / gone["id"] / "in.image").unlink()
        client.remove(blocker)
        for job in (waiting, gone):
            with pytest.raises(ServiceError) as refused:
                client.wait(job)
            assert refused.value.code == "damaged"
        done = client.run("protect", image=data, stop="fixed:2")
        (bounded.data / "jobs" / done["id"] / "out.result").write_bytes(b"no image")
        answer = http.get(done["files"]["result"])
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "damaged")


def test_results_that_the_table_does_not_know_are_kept_aside(tmp_path: Path, data: bytes) -> None:
    """As the advice for a broken table goes: an empty one, then a backup that is older than the last results."""
    with Served(tmp_path / "data", *QUICK) as served:
        table, backup = served.data / "jobs.db", tmp_path / "backup.db"
        with served.client() as client:
            old = client.run("protect", image=data, stop="fixed:2")
            with sqlite3.connect(table) as live, sqlite3.connect(backup) as copy:
                live.backup(copy)
            live.close()
            copy.close()
            new = client.run("protect", image=data, stop="fixed:2", seed=1)
            made = client.file(new)
        served.stop()
        newest = table.rename(tmp_path / "newest.db")
        served.start()  # with an empty one
        assert {path.name for path in (served.data / "unknown").iterdir()} == {old["id"], new["id"]}
        assert "the job table does not know 2 jobs" in served.log()
        served.stop()
        table.write_bytes(backup.read_bytes())
        served.start()
        with served.client() as client:
            assert client.file(old)
        assert [path.name for path in (served.data / "unknown").iterdir()] == [new["id"]]
        served.stop()
        newest.replace(table)
        served.start()
        with served.client() as client:
            assert client.file(new) == made
        served.stop()
        table.write_bytes(b"no table at all, not by any means" * 200)
        with pytest.raises(RuntimeError, match="put a backup in its place"):
            served.start()


def test_a_table_that_is_taken_away_while_jobs_run(bounded: Served, tmp_path: Path, data: bytes) -> None:
    with bounded.client() as client, bounded.http() as http:
        table, away = bounded.data / "jobs.db", tmp_path / "away.db"
        before = set((bounded.data / "jobs").iterdir())
        jobs = [client.submit("protect", image=data, stop="fixed:30", seed=seed) for seed in range(3)]
        until("one runs", lambda: client.job(jobs[0])["state"] == "running")
        table.rename(away)
        for change in (lambda: None, lambda: sqlite3.connect(table).close(), lambda: table.write_bytes(b"no table")):
            change()
            answer = http.get("/readyz")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage")
            assert "moved away" in answer.json()["error"]["message"]
            assert submit(http, data, stop="fixed:2").json()["error"]["code"] == "storage"
        away.replace(table)
        until("it is ready again", lambda: http.get("/readyz").status_code == 200)
        assert [client.wait(job)["state"] for job in jobs] == ["done"] * 3
        made = {each.name for each in set((bounded.data / "jobs").iterdir()) - before}
        assert made == {job["id"] for job in jobs}, "what was refused left nothing"


def test_a_table_that_is_overwritten_while_jobs_wait(tmp_path: Path, data: bytes) -> None:
    """In its place, so that it is still the same file: what is in it is none any more, then an older one."""
    with Served(tmp_path / "data", *QUICK) as served, served.client() as client, served.http() as http:
        table = served.data / "jobs.db"
        older = table.read_bytes()
        jobs = [client.submit("protect", image=data, stop="fixed:30", seed=seed) for seed in range(3)]
        until("one runs", lambda: client.job(jobs[0])["state"] == "running")
        table.write_bytes(b"not what it was, not by any means" * 2000)
        until("it says so", lambda: http.get("/readyz").json().get("error", {}).get("code") == "storage")
        assert "damaged" in http.get("/readyz").json()["error"]["message"]
        assert submit(http, data, stop="fixed:2").json()["error"]["code"] == "storage"
        table.write_bytes(older)
        until("it is ready again", lambda: http.get("/readyz").status_code == 200)
        assert client.run("protect", image=data, stop="fixed:2")["state"] == "done"
        assert all(http.get(f"/v1/jobs/{job['id']}").status_code == 404 for job in jobs)
        assert all((served.data / "jobs" / job["id"] / "in.image").exists() for job in jobs), "they are kept"
        served.stop()
        served.start()
        assert {each.name for each in (served.data / "unknown").iterdir()} == {job["id"] for job in jobs}


def test_a_disk_that_is_full(tmp_path: Path, data: bytes, photograph: Image.Image) -> None:
    large = BytesIO()
    photograph.save(large, "PNG")
    assert len(large.getvalue()) > 200_000
    with Served(tmp_path / "data", *QUICK, files=200_000) as served, served.http() as http, served.client() as client:
        answer = submit(http, large.getvalue())
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage")
        assert list((served.data / "jobs").iterdir()) == []
        small = photograph.resize((300, 300))
        small.save(buffer := BytesIO(), "JPEG", quality=50)
        with pytest.raises(ServiceError) as refused:  # what is made is larger than what came
            client.run("dejpeg", image=enlarged(buffer.getvalue()), stop="fixed:1")
        assert refused.value.code == "storage_full"
        assert client.run("classify", image=data)["state"] == "done"


def enlarged(data: bytes) -> bytes:
    """An image that is small as JPEG and large as PNG."""
    with Image.open(BytesIO(data)) as image:
        image.resize((420, 420)).save(buffer := BytesIO(), "JPEG", quality=60)
    return buffer.getvalue()


def test_time_that_is_up_and_results_that_are_old(tmp_path: Path, data: bytes) -> None:
    with Served(tmp_path / "data", *QUICK, "--budget", "1") as served:
        with served.client() as client:
            job = client.run("protect", image=data, stop=LONG)
            assert "time budget" in job["answer"]["stop_reason"]
            assert job["answer"]["iterations_run"] < 5000
            assert client.file(job)
            workers = served.workers()
            with pytest.raises(ServiceError, match="time budget") as late:
                client.run("attack", image=data, attack="cw")
            assert (late.value.code, served.workers()) == ("timeout", workers), "no worker had to be killed"
            events = client.events(client.submit("protect", image=data, stop=LONG))
            assert json.loads(next(events)[1])["state"] in ("queued", "running")
            assert served.stop() == 0, "an open stream does not hold it up"
        served.options = (*served.options, "--retention", "1")
        served.start()
        with served.http() as http:
            until("it expires", lambda: http.get(f"/v1/jobs/{job['id']}").json().get("state") != "done")
            assert http.get(job["files"]["result"]).status_code in (404, 410)
            until("its files are gone", lambda: not (served.data / "jobs" / job["id"]).exists())
            until("it is forgotten", lambda: http.get(f"/v1/jobs/{job['id']}").status_code == 404)
