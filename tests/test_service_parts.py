"""Parts of the service that need no server: the queue, the job table, the files of jobs."""

import asyncio
import json
import math
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from PIL import Image

from deep_protection.errors import CancelledError, OutputError
from deep_protection.service.api.uploads import check_image, other_kind
from deep_protection.service.errors import Problem
from deep_protection.service.jobs.job import Job
from deep_protection.service.jobs.job_files import DamagedError, JobFiles
from deep_protection.service.jobs.job_store import JobStore
from deep_protection.service.jobs.options import AttackOptions, UpscaleOptions
from deep_protection.service.jobs.queue import FairQueue
from deep_protection.service.jobs.worker_process import Message, WorkerProcess
from deep_protection.service.settings import Settings
from deep_protection.service.workers.handlers import run_jobs
from deep_protection.service.workers.replica import as_ended
from deep_protection.service.workers.worker import Worker
from deep_protection.service.workers.worker_context import JobInput, JobOutput, WorkerContext, png


def job(name: str) -> Job:
    return Job(id=name, kind="protect", client="someone", state="queued", options={}, inputs={}, created=time.time())


def test_clients_take_turns() -> None:
    queue = FairQueue()
    for number in range(4):
        queue.put("greedy", f"greedy{number}")
    queue.put("modest", "modest0")
    queue.put("other", "other0")
    assert queue.of("greedy") == 4
    expected = ["greedy0", "modest0", "other0", "greedy1", "greedy2", "greedy3"]
    assert queue.order() == expected
    assert [queue.take() for _ in range(len(queue))] == expected
    assert queue.take() is None


def test_who_comes_again_waits_for_the_others() -> None:
    queue = FairQueue()
    queue.put("a", "a0")
    queue.put("b", "b0")
    queue.put("a", "a1")
    assert queue.take() == "a0"
    queue.put("a", "a2")
    assert queue.order() == ["b0", "a1", "a2"]
    queue.put("c", "c0", priority=True)
    assert queue.take() == "c0", "what was interrupted is next"
    assert queue.remove("a1")
    assert not queue.remove("a1")
    assert queue.order() == ["b0", "a2"]


def test_a_job_ends_once(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.db")
    store.add(job("a"))
    assert not store.finish("a", {}, {}), "it has not begun"
    assert store.start("a")
    assert not store.start("a")
    wins: list[bool] = []
    others = [JobStore(tmp_path / "jobs.db") for _ in range(5)]
    rivals = [Thread(target=lambda one=one: wins.append(one.finish("a", {"by": 1}, {}))) for one in others[:4]]
    rivals.append(Thread(target=lambda: wins.append(others[4].cancel("a"))))
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert sum(wins) == 1
    assert not store.fail("a", "late", "too late")
    assert not store.requeue("a", died=True)
    for each in (store, *others):
        each.close()


def test_jobs_are_kept_over_a_restart(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.db")
    for name in ("a", "b", "c"):
        store.add(job(name))
    store.start("a")
    del store  # no farewell
    again = JobStore(tmp_path / "jobs.db")
    assert [each.id for each in again.in_state("queued")] == ["b", "c"]
    assert [each.id for each in again.in_state("running")] == ["a"]
    again.close()


def test_a_table_that_is_moved_while_it_is_open_is_known(tmp_path: Path) -> None:
    store, path, away = JobStore(tmp_path / "jobs.db"), tmp_path / "jobs.db", tmp_path / "away.db"
    store.add(job("a"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["jobs.db", "jobs.db-journal"]
    assert (tmp_path / "jobs.db-journal").stat().st_size == 0, "the table is the whole of it"
    assert not store.is_moved
    path.rename(away)
    assert store.is_moved
    with pytest.raises(sqlite3.OperationalError):
        store.add(job("b"))
    JobStore(path).close()
    assert store.is_moved, "another in its place is not it"
    away.replace(path)
    assert not store.is_moved
    store.add(job("b"))
    store.close()


def test_a_journal_without_its_table_is_not_deleted(tmp_path: Path) -> None:
    """SQLite would, and the table could not be put back."""
    for end in ("-wal", "-journal"):
        journal = tmp_path / f"jobs.db{end}"
        journal.write_bytes(b"what the table needs")
        with pytest.raises(OutputError, match="is still there"):
            JobStore(tmp_path / "jobs.db")
        assert journal.read_bytes() == b"what the table needs"
        journal.unlink()


def test_a_table_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    store = JobStore(path)
    store.add(job("a"))
    store.close()
    with sqlite3.connect(path) as table:
        table.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA user_version = 1; CREATE TABLE transitions (job, state, at);"
            "CREATE TRIGGER note_new AFTER INSERT ON jobs BEGIN INSERT INTO transitions VALUES (new.id, '', 0); END;"
        )
    table.close()
    store = JobStore(path)
    store.add(job("b"))
    assert store.ids() == {"a", "b"}
    store.close()


def test_results_expire_and_rows_are_forgotten(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.db")
    store.add(job("a"))
    store.start("a")
    store.finish("a", {"x": 1}, {"result": "0"})
    now = time.time()
    assert store.expire(now - 10) == []
    assert store.expire(now + 10) == ["a"]
    expired = store.get("a")
    assert expired is not None
    assert (expired.state, expired.answer, expired.files) == ("expired", None, {})
    assert store.forget(now + 10) == ["a"]
    assert store.get("a") is None
    store.close()


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").write_bytes(b"this is not a table" * 100)
    with pytest.raises(OutputError, match="backup"):
        JobStore(tmp_path / "jobs.db")


def test_files_are_what_was_written_or_refused(tmp_path: Path) -> None:
    files = JobFiles(tmp_path)
    digest = files.write("abc", "in", "image", b"content")
    assert files.read("abc", "in", "image", digest) == b"content"
    (tmp_path / "jobs" / "abc" / "in.image").write_bytes(b"contemt")
    with pytest.raises(DamagedError, match="damaged"):
        files.read("abc", "in", "image", digest)
    for name in ("../image", "Image", "", "a/b"):
        with pytest.raises(DamagedError):
            files.read("abc", "in", name, digest)
    with pytest.raises(DamagedError):
        files.read("../abc", "in", "image", digest)
    files.remove("abc")
    with pytest.raises(DamagedError, match="gone"):
        files.read("abc", "in", "image", digest)


def test_what_the_table_does_not_know_is_moved_and_comes_back(tmp_path: Path) -> None:
    files = JobFiles(tmp_path)
    known, lost, empty = (32 * digit for digit in "abc")
    digests = {name: files.write(name, "in", "image", name.encode()) for name in (known, lost)}
    (tmp_path / "jobs" / empty).mkdir()
    (tmp_path / "coming" / empty).mkdir(parents=True)
    assert (files.remove_coming(), files.remove_coming()) == (1, 0)
    (tmp_path / "jobs" / "photographs").mkdir()
    assert (files.put_aside({known}), files.put_aside({known})) == (1, 0)
    assert {path.name for path in (tmp_path / "jobs").iterdir()} == {known, "photographs"}, "others' folders stay"
    assert [path.name for path in (tmp_path / "unknown").iterdir()] == [lost]
    assert files.take_back({known}) == 0
    assert files.take_back({known, lost}) == 1
    assert files.read(lost, "in", "image", digests[lost]) == lost.encode()


def test_results_of_a_job_that_was_deleted_meanwhile_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        JobFiles(tmp_path).write("abc", "out", "result", b"late")
    assert not list((tmp_path / "jobs").iterdir())


def test_a_worker_takes_nothing_before_it_says_that_it_is_idle(tmp_path: Path, photograph: Image.Image) -> None:
    """What it says last of a job would be taken for what it says of the next one, and that would never end."""
    photograph.resize((32, 32)).save(buffer := BytesIO(), "PNG")
    digest = JobFiles(tmp_path).write("abc", "in", "image", buffer.getvalue())
    given = replace(job("abc"), kind="classify", options={"top": 1}, inputs={"image": digest})  # as of an older version
    heard: list[tuple[str, bool]] = []

    def hear(worker: WorkerProcess, message: Message) -> None:
        worker.jobs.pop(message.get("id", ""), None)  # as the service does when a job has ended
        heard.append((message["say"], worker.is_idle))
        if message["say"] == "ready":
            worker.give([given])
        elif message["say"] == "idle":
            ended.set()

    async def work() -> None:
        worker = WorkerProcess(0, Settings(data=tmp_path), "cpu", hear, lambda *_: ended.set())
        running = asyncio.create_task(worker.run())
        await ended.wait()
        await worker.close()
        await running

    ended = asyncio.Event()
    asyncio.run(work())
    assert heard == [("ready", True), ("done", False), ("idle", True)]


def test_an_attack_ends_when_it_is_cancelled(photograph: Image.Image) -> None:
    photograph.resize((32, 32)).save(buffer := BytesIO(), "PNG")
    asked = iter(range(10**9))
    work = JobInput(
        id="it",
        kind="attack",
        options=AttackOptions.model_validate({"attack": "cw"}).model_dump(),
        inputs={"image": buffer.getvalue()},
        is_cancelled=lambda: next(asked) >= 3,
    )
    (outcome,) = run_jobs(WorkerContext("lite0", None, "cpu", 600.0), [work])
    assert isinstance(outcome, CancelledError)
    assert next(asked) == 4, "asked at every question to the classifier"


def test_archives_are_told_from_images_that_only_look_like_it() -> None:
    end = b"PK\x05\x06" + bytes(16)
    assert other_kind(b"image" + end + b"\x00\x00") == "a ZIP archive"
    assert other_kind(b"image" + end + b"\x03\x00abc") == "a ZIP archive"
    assert other_kind(b"image" + end + b"\x09\x00more than a comment") is None
    assert other_kind(b"an image of no other kind") is None


def test_what_is_no_number_is_said_as_nothing() -> None:
    """Of a classifier that answers with it; the worker died of saying it, and its job with it."""
    said = StringIO()
    Worker(StringIO(), said)._say("done", id="a", answer={"top": [{"probability": math.nan}, {"probability": 0.5}]})
    assert json.loads(said.getvalue())["answer"] == {"top": [{"probability": None}, {"probability": 0.5}]}
    ended = as_ended(JobOutput({"linf": math.inf}), 0.0)
    assert ended.answer == {"linf": None}


@pytest.mark.parametrize("between", [0, 3000, 100_000])
def test_both_ends_of_a_file_are_looked_at(between: int, small: Image.Image, tmp_path: Path) -> None:
    small.save(buffer := BytesIO(), "PNG")
    path = tmp_path / "image"
    path.write_bytes(buffer.getvalue() + bytes(between))
    check_image(path, 10_000)
    path.write_bytes(buffer.getvalue() + bytes(between) + b"PK\x05\x06" + bytes(18))
    with pytest.raises(Problem, match="ZIP"):
        check_image(path, 10_000)


@pytest.mark.parametrize(("size", "tiles"), [((40, 24), 1), ((160, 24), 2)])
def test_progress_of_what_is_enlarged_is_told_to_its_end(size: tuple[int, int], tiles: int) -> None:
    told: list[dict[str, Any]] = []
    shop = WorkerContext("lite0", None, "cpu", budget=600.0)
    made = run_jobs(shop, [enlarging(size, stop="fixed:2", tell=told.append)])[0]
    assert isinstance(made, JobOutput)
    assert (made.answer["fits"], made.answer["iterations_run"]) == (1, 2)
    shares = [each["iteration"] / each["limit"] for each in told]
    assert shares == sorted(shares)
    assert 0 < shares[-1] <= 1
    shown = [each for each in told if each.get("preview")]
    boxes = {tuple(each["box"] or (0, 0, 1, 1)) for each in shown}
    assert len(boxes) == tiles, "a tile is not shown as the image, but in its place"
    assert (min(box[0] for box in boxes), max(box[2] for box in boxes)) == (0, 1)


def test_what_is_enlarged_ends_with_its_budget() -> None:
    made = run_jobs(WorkerContext("lite0", None, "cpu", budget=3.0), [enlarging((16, 16), stop="fixed:100000")])[0]
    assert isinstance(made, JobOutput)
    assert "time budget" in made.answer["stop_reason"]
    assert 0 < made.answer["iterations_run"] < 100000
    with Image.open(BytesIO(made.files["result"])) as large:
        assert large.size == (64, 64)


def enlarging(size: tuple[int, int], *, stop: str, tell: Callable[[dict[str, Any]], None] = lambda _: None) -> JobInput:
    image = png(Image.linear_gradient("L").convert("RGB").resize(size))
    options = UpscaleOptions(wait=False, factor=4, fits=1, stop=stop).model_dump()
    inputs = {"image": image}
    return JobInput(id="a", kind="upscale", options=options, inputs=inputs, tell=tell, is_watched=lambda: True)
