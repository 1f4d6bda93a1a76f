"""Where the time of a fit goes."""

from pathlib import Path

import torch
from torch.profiler import ProfilerActivity
from torch.profiler import profile as profiler

from benchmarks import rows
from benchmarks.machine import describe
from deep_protection.evaluation.samples import sample_pixels
from deep_protection.fitting import FitTask
from deep_protection.fitting.engine import BatchedFit, FitRequest
from deep_protection.restoration import PRESETS
from deep_protection.stopping import Fixed

ITERATIONS = {"fast": 50, "paper": 3}
SHOWN = 14


def run(preset: str, out: Path) -> None:
    """Write ``profile-PRESET.jsonl``: one thread, one image of 224×224, the operations that took most."""
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    task = FitTask(target=sample_pixels(1)[0], recipe=PRESETS[preset].recipe, rule=Fixed(10**9), seed=0)
    stack, iterations = BatchedFit([FitRequest(0, task)]), ITERATIONS[preset]
    for _ in range(3):
        list(stack.advance())
    with profiler(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(iterations):
            list(stack.advance())
    torch.set_num_threads(cores)
    events = sorted(recorded.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    file = out / f"profile-{preset}.jsonl"
    file.unlink(missing_ok=True)
    rows.append(file, [{"machine": describe(), "preset": preset, "iterations": iterations}])
    rows.append(
        file,
        (
            {
                "operation": event.key,
                "share": round(event.self_cpu_time_total / total, 4),
                "ms_an_iteration": round(event.self_cpu_time_total / 1000 / iterations, 3),
                "calls_an_iteration": event.count / iterations,
            }
            for event in events[:SHOWN]
        ),
    )
