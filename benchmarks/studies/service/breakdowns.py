"""What can break beside a running service, one thing at a time: what its readiness says, and what becomes of every job.

python -m benchmarks service-breakdowns
"""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from served import Served

from benchmarks import rows
from benchmarks.machine import describe
from benchmarks.rows import Row
from deep_protection import purify
from deep_protection.evaluation import imagenet_samples
from deep_protection.service.api.server import build_server, listen
from deep_protection.service.client import Client, ServiceError
from deep_protection.service.settings import Settings

JOBS, ITERATIONS, SIDE = 6, 30, 64
APART = 24
"""Pixels between two dots of the stippled scan."""


def run(out: Path, only: list[str], side: int) -> None:
    """Do the trials named, or all; a row of an earlier run of the same trial is replaced."""
    chosen = only or [*TRIALS, *SCANS]
    for name in chosen:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = TRIALS[name](Path(folder)) if name in TRIALS else SCANS[name](Path(folder), side)
        kept = [row for row in rows.read(out) if row["trial"] != name]
        out.unlink(missing_ok=True)
        row = {"trial": name, **found, "seconds": round(time.monotonic() - begin, 1), "machine": describe()}
        rows.append(out, [*kept, row])
        print(row, flush=True)


class Sent:
    """Jobs of different seeds on one small image, and what came of them."""

    def __init__(self) -> None:
        self.image = imagenet_samples()[0][0].resize((SIDE, SIDE))
        self.image.save(buffer := BytesIO(), "PNG")
        self.data = buffer.getvalue()
        self.jobs: list[str] = []

    def send(self, client: Client, count: int) -> list[str]:
        new = [
            client.submit(
                "protect", image=self.data, stop=f"fixed:{ITERATIONS}", answer="restored", seed=len(self.jobs) + number
            )["id"]
            for number in range(count)
        ]
        self.jobs += new
        return new

    def outcome(self, client: Client) -> Row:
        """How many of all jobs are done, and have the library's own result."""
        done = equal = 0
        for seed, job in enumerate(self.jobs):
            with suppress(ServiceError):
                made = client.file(client.wait(job))
                done += 1
                equal += self._is_right(made, seed)
        return {"accepted": len(self.jobs), "done": done, "equal": equal, "lost": len(self.jobs) - done}

    def _is_right(self, made: bytes, seed: int) -> bool:
        expected = purify(self.image, stop=f"fixed:{ITERATIONS}", seed=seed)
        with Image.open(BytesIO(made)) as image:
            return bool((np.array(image) == np.array(expected)).all())


@contextmanager
def watched(url: Callable[[], str]) -> Iterator[list[str]]:
    """What ``/readyz`` says as time passes: ready, or the code of its answer, each change once."""
    said: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            try:
                answer = httpx2.get(f"{url()}/readyz", trust_env=False, timeout=10.0)
                word = "ready" if answer.status_code == 200 else answer.json()["error"]["code"]
            except httpx2.TransportError:
                word = "no answer"
            if said[-1:] != [word]:
                said.append(word)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield said
    finally:
        ended.set()
        thread.join()


def until(true: Callable[[], bool], what: str, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds:.0f} s for: {what}")
        time.sleep(0.02)


def _runs(client: Client, jobs: list[str]) -> None:
    until(lambda: any(client.job(job)["state"] == "running" for job in jobs), "a job runs")


def _killed(folder: Path, kill: Callable[[Served], None]) -> Row:
    sent = Sent()
    with Served(folder / "data", "--workers", "1") as served, watched(lambda: served.url) as said:
        with served.client() as client:
            _runs(client, sent.send(client, JOBS))
        kill(served)
        with served.client() as client:
            outcome = sent.outcome(client)
        until(lambda: said[-1:] == ["ready"], "it is ready again")
        return {**outcome, "readiness": said}


def worker_killed(folder: Path) -> Row:
    return _killed(folder, lambda served: os.kill(served.workers()[0], signal.SIGKILL))


def server_killed(folder: Path) -> Row:
    def kill(served: Served) -> None:
        served.kill()
        served.start()

    return _killed(folder, kill)


def dispatcher_killed(folder: Path) -> Row:
    """The task that hands out jobs is cancelled, in a service in this process: nothing outside can do that."""
    settings = Settings(data=folder / "data", port=0, workers=1)
    sent = Sent()
    with listen(settings) as connections:
        server = build_server(settings)
        loops: list[asyncio.AbstractEventLoop] = []

        async def serve() -> None:
            loops.append(asyncio.get_running_loop())
            await server.serve(sockets=[connections])

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        url = f"http://127.0.0.1:{connections.getsockname()[1]}"
        try:
            with watched(lambda: url) as said, Client(url) as client:
                until(lambda: said[-1:] == ["ready"], "it is ready")
                del said[:-1]
                _runs(client, sent.send(client, JOBS))
                asyncio.run_coroutine_threadsafe(_cancel("handing out of jobs"), loops[0]).result(10)
                outcome = sent.outcome(client)
                until(lambda: said[-1:] == ["ready"], "it is ready again")
                return {**outcome, "readiness": said}
        finally:
            server.should_exit = True
            thread.join()


async def _cancel(name: str) -> None:
    found = [task for task in asyncio.all_tasks() if task.get_name() == name]
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} tasks are called {name!r}")
    found[0].cancel()


def table_moved_and_put_back(folder: Path) -> Row:
    sent = Sent()
    with Served(folder / "data", "--workers", "1") as served, watched(lambda: served.url) as said:
        table, away = served.data / "jobs.db", folder / "away.db"
        with served.client() as client, served.http() as http:
            _runs(client, sent.send(client, JOBS))
            table.rename(away)
            until(lambda: said[-1:] == ["storage"], "it says so")
            refused = _refused(http, sent)
            away.rename(table)
            outcome = sent.outcome(client)
            until(lambda: said[-1:] == ["ready"], "it is ready again")
        return {**outcome, "refused": refused, "readiness": said}


def table_gone_for_good(folder: Path) -> Row:
    """Moved away while jobs run; the service is started with none, and then with the one that was moved away."""
    return _restarted(folder, lambda table, away, _: table.rename(away))


def table_overwritten(folder: Path) -> Row:
    """With what is no table, in its place; a backup of a moment before is put there."""

    def overwrite(table: Path, away: Path, backup: Path) -> None:
        backup.rename(away)
        table.write_bytes(b"not what it was, not by any means" * 2000)

    return _restarted(folder, overwrite)


def table_of_before(folder: Path) -> Row:
    """A backup that knows half of the jobs is put in its place, and later the table itself."""
    sent = Sent()
    with Served(folder / "data", "--workers", "1") as served, watched(lambda: served.url) as said:
        table, away, backup = served.data / "jobs.db", folder / "away.db", folder / "backup.db"
        with served.client() as client, served.http() as http:
            for job in sent.send(client, JOBS // 2):
                client.wait(job)
            _backup(table, backup)
            _runs(client, sent.send(client, JOBS - JOBS // 2))
            table.rename(away)
            backup.rename(table)
            until(lambda: said[-1:] == ["storage"], "it says so")
            refused = _refused(http, sent)
        served.stop()
        return {**_put_back(served, sent, away, table), "refused": refused, "readiness": said}


def _restarted(folder: Path, breaking: Callable[[Path, Path, Path], Any]) -> Row:
    sent = Sent()
    with Served(folder / "data", "--workers", "1") as served, watched(lambda: served.url) as said:
        table, away, backup = served.data / "jobs.db", folder / "away.db", folder / "backup.db"
        with served.client() as client, served.http() as http:
            _runs(client, sent.send(client, JOBS))
            _backup(table, backup)
            breaking(table, away, backup)
            until(lambda: said[-1:] == ["storage"], "it says so")
            refused = _refused(http, sent)
        served.stop()
        for left in served.data.glob("jobs.db*"):
            left.unlink()
        return {**_put_back(served, sent, away, table), "refused": refused, "readiness": said}


def _put_back(served: Served, sent: Sent, away: Path, table: Path) -> Row:
    """Started with what lies there, then with the table in its place: what was put aside, and what came of jobs."""
    served.start()
    aside = _aside(served)
    served.stop()
    away.replace(table)
    served.start()
    with served.client() as client:
        return {**sent.outcome(client), "put_aside": aside}


def _backup(table: Path, copy: Path) -> None:
    with closing(sqlite3.connect(table, timeout=30)) as live, closing(sqlite3.connect(copy)) as to:
        live.backup(to)


def _refused(http: httpx2.Client, sent: Sent) -> str:
    answer = http.post("/v1/protect", content=sent.data, headers={"Content-Type": "image/png"})
    return f"{answer.status_code} {answer.json()['error']['code']}" if answer.is_error else "accepted"


def _aside(served: Served) -> int:
    unknown = served.data / "unknown"
    return len(list(unknown.iterdir())) if unknown.is_dir() else 0


def scan(side: int) -> bytes:
    """A stippled sheet, as old maps show sand and scans show dust: dots of a letter's size all over, and some words."""
    chance = np.random.default_rng(0)
    sheet = Image.new("L", (side, side), 245)
    pen = ImageDraw.Draw(sheet)
    for y in range(APART // 2, side, APART):
        for x in range(APART // 2, side, APART):
            across, down = (int(each) for each in chance.integers(-4, 5, 2))
            radius = int(chance.integers(2, 4))
            box = (x + across - radius, y + down - radius, x + across + radius, y + down + radius)
            pen.ellipse(box, fill=30)
    font = ImageFont.load_default(40)
    for number in range(side // 300):
        pen.text((100 + (number * 613) % max(1, side - 400), 100 + number * 300), "HARBOUR", fill=10, font=font)
    sheet.save(buffer := BytesIO(), "PNG")
    return buffer.getvalue()


def scan_by_command(folder: Path, side: int) -> Row:
    (folder / "scan.png").write_bytes(scan(side))
    command = ["-m", "deep_protection", "extract-text", str(folder / "scan.png"), "-o", str(folder / "out")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    ended = subprocess.run([sys.executable, *command, "--workers", "1", "--quiet"], check=False)  # noqa: S603
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if most == before:
        raise RuntimeError("an earlier process of this run took more memory; do this trial alone")
    made = len(list((folder / "out").iterdir()))
    return {"side": side, "dots": (side // APART) ** 2, "exit": ended.returncode, "files": made, "mib": most // 1024}


def scan_by_service(folder: Path, side: int) -> Row:
    options = ("--workers", "1", "--max-pixels", str(max(side * side, 16_000_000)), "--budget", "7200")
    with Served(folder / "data", *options) as served, watched(lambda: served.url) as said:
        (worker,) = served.workers()
        with Client(served.url, retry_timeout=60) as client:
            job = client.run("extract-text", image=scan(side))
        assert served.process is not None  # noqa: S101
        if served.workers() != [worker]:
            raise RuntimeError("the worker died")
        return {
            "side": side,
            "dots": (side // APART) ** 2,
            "files": len(job["files"]),
            "words": len(job["answer"]["words"]),
            "mib": _most(worker),
            "server_mib": _most(served.process.pid),
            "readiness": said,
        }


def _most(process: int) -> int:
    """MiB of memory that a process has held at once. Linux."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


TRIALS: dict[str, Callable[[Path], Row]] = {
    "worker killed": worker_killed,
    "server killed": server_killed,
    "dispatcher killed": dispatcher_killed,
    "table moved away, put back": table_moved_and_put_back,
    "table moved away, started with none, then put back": table_gone_for_good,
    "table overwritten, started with none, then a backup": table_overwritten,
    "table replaced by an older one, then put back": table_of_before,
}
SCANS: dict[str, Callable[[Path, int], Row]] = {
    "stippled scan by extract-text": scan_by_command,
    "stippled scan by the service": scan_by_service,
}
