"""Seconds an iteration, side by side: one block of each method after the other, round after round.

    python -m benchmarks speed

Interleaved, because the speed of a machine drifts; medians of rounds. CPU seconds are the process's own.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import rows
from benchmarks.machine import describe
from benchmarks.peers.dipdefend import DipDefend
from benchmarks.peers.published import PublishedRecipe
from deep_protection.evaluation.samples import sample_pixels
from deep_protection.fitting import FitTask, Recipe
from deep_protection.fitting.engine import BatchedFit, FitRequest
from deep_protection.restoration import PRESETS
from deep_protection.stopping import Fixed

FOREVER = 10**9


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that can be advanced by some iterations, on a number of threads."""

    name: str
    threads: int
    iterations: int
    """In a block: so many that the clock's grain does not matter."""
    images: int
    advance: Callable[[int], object]


def ours(name: str, recipe: Recipe, images: list[Tensor], threads: int, iterations: int) -> Contender:
    """Our engine with ``images`` in one stack."""
    stack = BatchedFit([
        FitRequest(number, FitTask(target=image, recipe=recipe, rule=Fixed(FOREVER), seed=number))
        for number, image in enumerate(images)
    ])  # fmt: skip

    def advance(count: int) -> None:
        for _ in range(count):
            list(stack.advance())

    return Contender(name, threads, iterations, len(images), advance)


def contenders(images: list[Tensor], cores: int) -> list[Contender]:
    one = images[0]
    paper, fast = PRESETS["paper"].recipe, PRESETS["fast"].recipe
    made: list[Contender] = []
    for threads in sorted({1, cores}):
        made += [
            Contender("published", threads, 1, 1, PublishedRecipe(one, 0).advance_only),
            ours("paper, float32", replace(paper, precision="float32"), [one], threads, 1),
            ours("paper, bfloat16", replace(paper, precision="bfloat16"), [one], threads, 1),
            ours("fast, float32", replace(fast, precision="float32"), [one], threads, 20),
            ours("fast, bfloat16", replace(fast, precision="bfloat16"), [one], threads, 20),
        ]
    made += [
        ours(f"fast, bfloat16, stack of {count}", replace(fast, precision="bfloat16"), images[:count], 1, 5)
        for count in (4, 16)
    ]
    made.append(Contender("dipdefend", 1, 10, 1, DipDefend(one, 0).advance_only))
    try:
        from benchmarks.peers.deepinv_prior import DeepinvPrior

        made.append(Contender("deepinv, 64 channels", 1, 8, 1, DeepinvPrior(one, 0).advance))
    except ImportError as error:
        print(f"deepinv is left out: {error}")
    return made


def run(out: Path, rounds: int) -> None:
    cores = torch.get_num_threads()
    try:
        measured = _measured(contenders(sample_pixels(16), cores), rounds)
    finally:
        torch.set_num_threads(cores)
    out.unlink(missing_ok=True)
    rows.append(out, [{"machine": describe(), "rounds": rounds, "size": 224}])
    rows.append(
        out,
        (
            {
                "method": name,
                "threads": threads,
                "seconds": round(statistics.median(wall for wall, _ in figures), 5),
                "cpu_seconds": round(statistics.median(cpu for _, cpu in figures), 5),
                "cpu_seconds_all": [round(cpu, 5) for _, cpu in figures],
            }
            for (name, threads), figures in measured.items()
        ),
    )


def _measured(chosen: list[Contender], rounds: int) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """Wall and CPU seconds of an iteration and image, round by round."""
    for contender in chosen:
        torch.set_num_threads(contender.threads)
        contender.advance(2)
    measured: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for number in range(rounds):
        for contender in chosen:
            torch.set_num_threads(contender.threads)
            begin, begin_cpu = time.perf_counter(), time.process_time()
            contender.advance(contender.iterations)
            share = 1 / contender.iterations / contender.images
            figures = (time.perf_counter() - begin) * share, (time.process_time() - begin_cpu) * share
            measured.setdefault((contender.name, contender.threads), []).append(figures)
        print(f"round {number + 1} of {rounds}", flush=True)
    return measured
