"""Fits of the slow peers, followed to their published end: minutes to an hour an image, resumable at any moment.

    python -m benchmarks long --images DIR --method published --attacks pgd --limit 4

Every ``every`` iterations a row with the CPU seconds so far and what the classifier says goes to the rows file, and
the whole state of the fit to a cache beside it; the same command goes on from there. Several such commands may run at
once: each takes the next fit that nobody works on.
"""

import os
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks import rows
from benchmarks.peers import dipdefend, published
from benchmarks.peers.dipdefend import DipDefend
from benchmarks.peers.published import PublishedRecipe
from deep_protection.evaluation.experiment import Subjects, make_settings
from deep_protection.evaluation.experiment.plan import CLEAN
from deep_protection.evaluation.experiment.units import AttackUnit
from deep_protection.seeds import image_seed

CACHE = Path(__file__).parent / ".cache"
"""Fits that are not at their end. Never committed."""


class LongFit(Protocol):
    """A fit that can be advanced, put away and taken up again."""

    iteration: int

    def advance_only(self, iterations: int) -> None: ...
    def output(self) -> Tensor: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


LONG: dict[str, tuple[Callable[[Tensor, int], LongFit], int]] = {
    "published": (PublishedRecipe, published.ITERATIONS),
    "dipdefend": (DipDefend, dipdefend.ITERATIONS),
}
"""Name of a peer to the fit it makes of an image and a seed, and its own number of iterations."""


def run(images: str, inputs: Path, out: Path, method: str, attacks: list[str], limit: int, every: int) -> None:
    # One thread: what is counted is work, not waiting for another thread. Two such commands keep two cores busy.
    torch.set_num_threads(1)
    settings = {"images": images, "attacks": [name for name in attacks if name != CLEAN], "limit": limit}
    subjects = Subjects(make_settings({**settings, "recognised": True}), inputs)
    chosen = list(subjects)
    for name in attacks:
        for unit in chosen:
            with Claim(f"{method} {name} {unit.image}") as claim:
                if claim.is_mine:
                    fit_one(Path(images).name, out, method, name, unit, subjects, every)


def fit_one(source: str, out: Path, method: str, name: str, unit: AttackUnit, subjects: Subjects, every: int) -> None:
    """One fit from where it was left to its end."""
    make, limit = LONG[method]
    key = {"source": source, "method": method, "attack": name, "image": unit.image}
    known = [row for row in rows.read(out) if key.items() <= row.items()]
    if any(row["iteration"] >= limit for row in known):
        return
    given = torch.from_numpy(subjects.under(unit, name).adversarial)
    fit = make(given, image_seed(0, given))
    # Of this very image: under another attack of the same name a fit that was begun is no beginning.
    state_file = CACHE / f"{method}-{name}-{unit.image.replace('/', '-')}-{digest(given)}.pt"
    cpu = seconds = 0.0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        fit.load_state_dict(state["fit"])
        cpu, seconds = state["cpu_seconds"], state["seconds"]
    recorded = {row["iteration"] for row in known}
    while fit.iteration < limit:
        begin, begin_cpu = time.perf_counter(), time.process_time()
        fit.advance_only(min(every, limit - fit.iteration))
        seconds, cpu = seconds + time.perf_counter() - begin, cpu + time.process_time() - begin_cpu
        if fit.iteration not in recorded:
            row = {**key, "iteration": fit.iteration, "cpu_seconds": round(cpu, 2), "seconds": round(seconds, 2)}
            rows.append(out, [{**row, **subjects.judge(unit, fit.output())}])
        part = state_file.with_suffix(".part")
        torch.save({"fit": fit.state_dict(), "cpu_seconds": cpu, "seconds": seconds}, part)
        part.replace(state_file)
    state_file.unlink(missing_ok=True)


def digest(pixels: Tensor) -> str:
    """A name for an image by its pixels."""
    return blake2b(pixels.contiguous().numpy().tobytes(), digest_size=8).hexdigest()


class Claim:
    """A fit that this process works on and no other; let go when the process ends, however it ends."""

    def __init__(self, name: str) -> None:
        CACHE.mkdir(exist_ok=True)
        self._path = CACHE / (name.replace("/", "-").replace(" ", "-") + ".lock")
        self.is_mine = False

    def __enter__(self) -> "Claim":
        import fcntl

        self._file = os.open(self._path, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.is_mine = True
        except BlockingIOError:
            pass
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
