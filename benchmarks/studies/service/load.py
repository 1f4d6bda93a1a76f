"""Clients that post 224² images without a pause, and the bare engine on the same images in between.

python -m benchmarks service-load

Service and engine take turns, so that a slow minute of the machine hits both alike. Besides wall time,
processor seconds of an image are compared, which other programs on the machine hardly touch.
"""

import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import torch
from served import Served, resident
from torch import Tensor

from benchmarks import rows
from benchmarks.machine import describe
from deep_protection import Classifier, load_classifier, purify
from deep_protection.classifiers import ClassifierAdapter
from deep_protection.evaluation import imagenet_samples
from deep_protection.images import encode, to_pillow
from deep_protection.restoration import find_preset

ROUNDS = 5
SAMPLE_SECONDS = 10.0
BARE_IMAGES = 32


def run(out: Path, minutes: float, clients: int) -> None:
    """``minutes`` of load in all, in rounds; the bare engine restores some images before each and after the last."""
    model = load_classifier("lite0")
    pixels = [model.preprocess(image) for image, _ in imagenet_samples()]
    files = [encode(to_pillow(each), "PNG") for each in pixels]
    out.unlink(missing_ok=True)
    about = {
        "what": "machine",
        **describe(),
        "clients": clients,
        "minutes": minutes,
        "load_average": os.getloadavg()[0],
    }
    rows.append(out, [about])
    with tempfile.TemporaryDirectory() as folder, Served(Path(folder) / "data") as served:
        load = Load(served, files)
        with Memory(served) as memory:
            for number in range(ROUNDS):
                rows.append(out, [{"round": number, **bare(model, pixels, number)}])
                rows.append(out, [{"round": number, **load.round(clients, 60 * minutes / ROUNDS)}])
                print(rows.read(out)[-2:], flush=True)
            rows.append(out, [{"round": ROUNDS, **bare(model, pixels, ROUNDS)}])
        rows.append(out, [{"what": "memory", **sample} for sample in memory.samples])
        rows.append(out, [load.latency()])


def bare(model: Classifier, pixels: list[Tensor], number: int) -> dict[str, Any]:
    """The engine alone on a batch, by the rule that the service uses, on all cores."""
    first = number * BARE_IMAGES
    batch = torch.stack([pixels[(first + i) % len(pixels)] for i in range(BARE_IMAGES)])
    rule = find_preset("fast").rule_asking(ClassifierAdapter(model), 224)
    begin, cpu = time.perf_counter(), time.process_time()
    purify(batch, preset="fast", stop=rule)
    return _row("bare", BARE_IMAGES, time.perf_counter() - begin, time.process_time() - cpu)


def _row(what: str, images: int, seconds: float, cpu: float) -> dict[str, Any]:
    return {
        "what": what,
        "images": images,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "images_a_second": round(images / seconds, 4),
        "cpu_seconds_an_image": round(cpu / max(1, images), 4),
    }


class Load:
    """Clients in threads, each waiting for its answer before it asks again."""

    def __init__(self, served: Served, files: list[bytes]) -> None:
        self.served, self.files = served, files
        self.seconds: list[float] = []
        self._statuses: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._next = 0

    def round(self, clients: int, seconds: float) -> dict[str, Any]:
        """Load for so long; what was asked by then is waited for."""
        self._statuses.clear()
        begin, cpu = time.perf_counter(), self._cpu()
        threads = [threading.Thread(target=self._ask, args=(begin + seconds,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done = self._statuses["200"]
        return {
            **_row("service", done, time.perf_counter() - begin, self._cpu() - cpu),
            "statuses": dict(self._statuses),
        }

    def latency(self) -> dict[str, Any]:
        """Seconds from asking to the answer, over all rounds."""
        cuts = statistics.quantiles(self.seconds, n=100, method="inclusive")
        named = {f"p{percent}": round(cuts[percent - 1], 2) for percent in (50, 90, 95, 99)}
        return {"what": "latency", "requests": len(self.seconds), **named, "most": round(max(self.seconds), 2)}

    def _ask(self, end: float) -> None:
        with self.served.http(timeout=900.0) as http:
            while time.perf_counter() < end:
                with self._lock:
                    self._next += 1
                    image = self.files[self._next % len(self.files)]
                begin = time.perf_counter()
                try:
                    answer = http.post("/v1/protect?wait=true", content=image, headers={"Content-Type": "image/png"})
                    status = str(answer.status_code)
                except httpx2.TransportError as error:
                    status = type(error).__name__
                with self._lock:
                    self._statuses[status] += 1
                    if status == "200":
                        self.seconds.append(time.perf_counter() - begin)
                if status == "429":
                    time.sleep(float(answer.headers["retry-after"]))

    def _cpu(self) -> float:
        """Processor seconds of the server and its workers."""
        assert self.served.process is not None  # noqa: S101
        processes = [self.served.process.pid, *self.served.workers()]
        fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in processes]
        return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


class Memory(threading.Thread):
    """Resident memory of the server and of its workers, now and then."""

    def __init__(self, served: Served) -> None:
        super().__init__(daemon=True)
        self.served, self.samples = served, list[dict[str, Any]]()
        self._ended, self._begin = threading.Event(), time.perf_counter()

    def __enter__(self) -> "Memory":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            assert self.served.process is not None  # noqa: S101
            sizes = [resident(each) / 2**20 for each in (self.served.process.pid, *self.served.workers())]
            self.samples.append(
                {
                    "at": round(time.perf_counter() - self._begin),
                    "server_mib": round(sizes[0], 1),
                    "workers_mib": [round(size, 1) for size in sizes[1:]],
                }
            )
