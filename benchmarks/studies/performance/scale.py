"""Cost against number of images, size and cores, and peak memory: every point in a process of its own.

python -m benchmarks scale
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import rows
from benchmarks.machine import describe

COUNTS = (1, 2, 4, 8, 16, 32, 64)
SIZES = (64, 128, 224, 256, 512, 1024)
BATCH_SIZE = 16
"""Images of the comparison of one worker with two."""


Point = dict[str, Any]


def points(device: str) -> list[Point]:
    """Everything that is measured, once."""
    counts = [{"what": "images", "count": count, "size": 224, "workers": None} for count in COUNTS]
    sizes = [{"what": "size", "count": 4, "size": size, "workers": None} for size in SIZES]
    cores = [{"what": "cores", "count": BATCH_SIZE, "size": 224, "workers": workers} for workers in (1, 2)]
    # Two programs that know nothing of each other: as much as the machine itself can do with two cores.
    cores.append({"what": "cores", "count": BATCH_SIZE // 2, "size": 224, "workers": 1, "processes": 2})
    return [*counts, *sizes, *(cores if device == "cpu" else [])]


def run(out: Path, device: str, rounds: int) -> None:
    chosen = points(device)
    measured: list[list[dict[str, float]]] = [[] for _ in chosen]
    for _ in range(rounds):  # round after round, so that a slow minute of the machine hits every point alike
        for point, figures in zip(chosen, measured, strict=True):
            figures.append(in_processes({**point, "device": device}))
            print(point, figures[-1], flush=True)
    out.unlink(missing_ok=True)
    rows.append(out, [{"machine": describe(), "rounds": rounds, "device": device, "preset": "fast"}])
    for point, figures in zip(chosen, measured, strict=True):
        middle = {name: round(statistics.median(each[name] for each in figures), 4) for name in figures[0]}
        rows.append(out, [{**point, **middle}])


def in_processes(point: Point) -> dict[str, float]:
    """Measure one point in a fresh Python, so that peak memory is that point's; or in several at the same time.

    Of several: the time from when the first begins to when the last ends, and what all of them need together.
    """
    command = [sys.executable, "-m", "benchmarks", "scale-point", json.dumps(point)]
    count = point.get("processes", 1)
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(count)
    ]
    answers = [process.communicate() for process in running]
    for process, (_, complaint) in zip(running, answers, strict=True):
        if process.returncode:
            raise SystemExit(f"{point} failed:\n{complaint}")
    return together([json.loads(answer) for answer, _ in answers])


def together(programs: list[dict[str, float]]) -> dict[str, float]:
    """What programs that ran at the same time did and needed, all in all."""
    count = sum(each["count"] for each in programs)
    seconds = max(each["end"] for each in programs) - min(each["begin"] for each in programs)
    return {
        "seconds_an_image": seconds / count,
        "cpu_seconds_an_image": sum(each["cpu_seconds"] for each in programs) / count,
        "images_a_second": count / seconds,
        "peak_mib": sum(each["peak_mib"] for each in programs),
        "peak_mib_before": sum(each["peak_mib_before"] for each in programs),
    }


def measure(point: Point) -> dict[str, float]:
    """When ``purify`` began and ended on a point, its CPU seconds and peak memory, after a short call that warms up."""
    import deep_protection as dp

    device, size = point["device"], point["size"]
    random = torch.Generator().manual_seed(0)
    # Smooth noise: as long to fit as photographs, and of every size.
    coarse = torch.rand(point["count"], 3, max(2, size // 16), max(2, size // 16), generator=random)
    images = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    dp.purify(images[:1, :, :64, :64], stop="fixed:2", device=device)
    before = peak_memory(device)
    begin, begin_cpu = time.time(), time.process_time()  # the clock that all programs share
    dp.purify(images, device=device, workers=point["workers"])
    return {
        "count": point["count"],
        "begin": begin,
        "end": time.time(),
        "cpu_seconds": time.process_time() - begin_cpu,
        "peak_mib": peak_memory(device),
        "peak_mib_before": before,
    }


def peak_memory(device: str) -> float:
    """Of the process on the CPU, of the allocator on a GPU, in MiB."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # getrusage's figure outlives exec, and would be the parent's if that was larger
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
