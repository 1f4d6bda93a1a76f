"""``kill -9`` at random moments under load, and a count of what became of every job that was accepted.

python -m benchmarks service-faults
"""

import os
import random
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from PIL import Image
from served import Served

from benchmarks import rows
from benchmarks.machine import describe
from deep_protection import purify
from deep_protection.evaluation import imagenet_samples
from deep_protection.service.client import Client, ServiceError

CLIENTS = 3
ITERATIONS = 20
SIDE = 64
QUEUE = 16
"""Short, so that what waits at the end is soon done."""
CHECKED = 20
"""Results that are compared with the library's own."""


def run(out: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  (a plan, no secret)
    image = imagenet_samples()[0][0].resize((SIDE, SIDE))
    out.unlink(missing_ok=True)
    rows.append(out, [{"what": "machine", **describe(), "clients": CLIENTS, "kills": kills, "seed": seed}])
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder) / "data", "--queue", str(QUEUE)) as served:
        served.record_ends()
        load = Load(served, image)
        load.start()
        for number in range(kills):
            time.sleep(chance.uniform(0.2, 4.0))
            victim = chance.choice(("server", "worker"))
            states = _states(served.data)
            row: dict[str, Any] = {"what": "kill", "number": number, "victim": victim, "accepted": len(load.accepted)}
            if victim == "server":
                load.pause()
                served.kill()
                served.start()
                load.go_on()
            else:
                workers = served.workers()
                if workers:
                    os.kill(chance.choice(workers), signal.SIGKILL)
            rows.append(out, [{**row, "running": states["running"], "queued": states["queued"]}])
            print(rows.read(out)[-1], flush=True)
        load.stop()
        ended = load.ends()
        served.stop()
        rows.append(out, [{"what": "outcome", **_outcome(served.ends(), load, ended, image)}])
        print(rows.read(out)[-1], flush=True)


class Load:
    """Clients that send small images, each with a seed of its own, and note what was accepted."""

    def __init__(self, served: Served, image: Image.Image) -> None:
        image.save(buffer := BytesIO(), "PNG")
        self.served, self._data = served, buffer.getvalue()
        self.accepted: dict[str, int] = {}
        """Job to its seed."""
        self.unanswered = 0
        """Requests that a kill cut off: nobody was told that they were accepted."""
        self._running, self._ended, self._lock, self._seed = threading.Event(), False, threading.Lock(), 0
        self._running.set()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """New requests wait; those on their way are hit."""
        self._running.clear()

    def go_on(self) -> None:
        self._running.set()

    def stop(self) -> None:
        self._ended = True
        for thread in self._threads:
            thread.join()

    def ends(self) -> dict[str, tuple[str, bytes]]:
        """Wait for every accepted job: its state, and its image."""
        found: dict[str, tuple[str, bytes]] = {}
        with self.served.client() as client:
            for job in self.accepted:
                found[job] = _end(client, job)
        return found

    def _ask(self) -> None:
        while not self._ended:
            self._running.wait()
            with self._lock:
                self._seed += 1
                seed = self._seed
            options = {"stop": f"fixed:{ITERATIONS}", "seed": str(seed), "answer": "restored"}
            try:
                answer = httpx2.post(
                    f"{self.served.url}/v1/protect",
                    params=options,
                    content=self._data,
                    headers={"Content-Type": "image/png"},
                    timeout=60.0,
                    trust_env=False,
                )
            except httpx2.TransportError:
                self.unanswered += 1
                time.sleep(0.2)
                continue
            if answer.status_code == 202:
                self.accepted[answer.json()["id"]] = seed
            time.sleep(0.3)


def _end(client: Client, job: str) -> tuple[str, bytes]:
    try:
        return "done", client.file(client.wait(job))
    except ServiceError as error:
        return error.code, b""


def _states(data: Path) -> Counter[str]:
    with sqlite3.connect(f"file:{data / 'jobs.db'}?mode=ro", uri=True, timeout=30) as table:
        found = Counter(dict(table.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()))
    table.close()
    return found


def _outcome(
    ends: dict[str, int], load: Load, ended: dict[str, tuple[str, bytes]], image: Image.Image
) -> dict[str, Any]:
    done = [job for job, (state, _) in ended.items() if state == "done"]
    checked = done[:: max(1, len(done) // CHECKED)]
    right = sum(_is_right(ended[job][1], image, load.accepted[job]) for job in checked)
    return {
        "accepted": len(load.accepted),
        "done": len(done),
        "failed": dict(Counter(state for state, _ in ended.values() if state != "done")),
        "ended_once": sum(ends.get(job) == 1 for job in load.accepted),
        "ended_twice": sum(ends.get(job, 0) > 1 for job in load.accepted),
        "lost": sum(ends.get(job, 0) == 0 for job in load.accepted),
        "requests_cut_off": load.unanswered,
        "results_checked": len(checked),
        "results_equal_to_the_library": right,
    }


def _is_right(data: bytes, image: Image.Image, seed: int) -> bool:
    with Image.open(BytesIO(data)) as made:
        expected = purify(image, stop=f"fixed:{ITERATIONS}", seed=seed)
        return bool((np.array(made) == np.array(expected)).all())
