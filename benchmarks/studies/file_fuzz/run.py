"""Damaged files of every kind through the functions that people give files to: right, or refused in one clear error.

python -m benchmarks file-fuzz

A file is made of the run's seed and its number, so each can be made again. They are tried in a process of its own,
which is replaced when it dies, hangs or takes too much memory.
"""

import multiprocessing
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from served import resident

from benchmarks import RESULTS, rows
from benchmarks.machine import describe
from benchmarks.rows import Row
from benchmarks.studies.file_fuzz.mutations import MUTATIONS
from benchmarks.studies.file_fuzz.seeds import UNREAD, Seed, seeds
from benchmarks.studies.file_fuzz.trial import FINE, serve
from deep_protection.evaluation.report.document import Table, block_markdown

OUT = RESULTS / "inputs/file_fuzz.jsonl"
MOST_BYTES = 2 * 2**30
"""Of memory, for the whole process."""
SOUND = "none"
"""The mutation of a file that is as it was made."""
LOOK = 0.05
"""Seconds between two looks at the memory."""
RIGHT, REFUSED = "result of the right size and mode", "refused in one clear error"


def run(out: Path, numbers: range, seed: int, seconds: float, kept: Path) -> None:
    """Try the files of these numbers that ``out`` has no row of; those at fault are put into ``kept``."""
    done = {row["n"] for row in rows.read(out) if "n" in row}
    if not out.exists():
        about = {"seconds_a_file": seconds, "most_mib": MOST_BYTES // 2**20}
        rows.append(out, [{"what": "machine", **describe(), "seed": seed, **about}])
    known = seeds()
    with TemporaryDirectory() as folder, _Trial(Path(folder), seconds) as trial:
        for number in numbers:
            if number in done:
                continue
            given, mutation, data = damaged(known, seed, number)
            row = {"n": number, "of": given.name, "damage": mutation}
            row |= short(trial.of(number, data, given.suffix, is_sound=mutation == SOUND and given.name not in UNREAD))
            rows.append(out, [row])
            if is_at_fault(row):
                print(row, flush=True)
                kept.mkdir(parents=True, exist_ok=True)
                (kept / f"{number}-{given.name}-{mutation}{given.suffix}").write_bytes(data)
        rows.append(out, [{"what": "memory", "most_mib": trial.most // 2**20, "processes": trial.processes}])


def damaged(known: list[Seed], seed: int, number: int) -> tuple[Seed, str, bytes]:
    """The file of a number, what it was made of and how: first all sound ones, then damaged ones."""
    if number < len(known):
        return known[number], SOUND, known[number].data
    chance = random.Random(f"{seed} {number}")  # noqa: S311  (damage, no secret)
    given = known[number % len(known)]
    mutation = chance.choice(list(MUTATIONS))
    alike = [each for each in known if each.kind == given.kind]
    return given, mutation, MUTATIONS[mutation](given, chance.choice(alike if chance.random() < 0.5 else known), chance)


def short(outcomes: dict[str, str]) -> dict[str, Any]:
    """One outcome where all functions had the same."""
    same = set(outcomes.values())
    return {"all": same.pop(), "by": "".join(name[0] for name in outcomes)} if len(same) == 1 else outcomes


def outcomes_of(row: Row) -> dict[str, str]:
    """What became of a row's file, by function."""
    if "all" in row:
        return {name: row["all"] for name in FUNCTIONS if name[0] in row["by"]}
    return {name: row[name] for name in FUNCTIONS if name in row}


def is_at_fault(row: Row) -> bool:
    return not all(each.partition(":")[0] in FINE for each in outcomes_of(row).values())


FUNCTIONS = {
    "read": "reading only, of more than 100,000 pixels",
    "purify": "`dp.purify`",
    "inpaint": "`dp.inpaint`",
    "detect": "`dp.detect`",
    "extract_text": "`dp.extract_text`",
    "words": "`dp.extract_text`, words read",
}
"""By their names in rows, whose first letters differ: what they are."""


@dataclass(slots=True)
class _Trial:
    """The process in which files are tried, replaced where that is needed."""

    folder: Path
    seconds: float
    most: int = 0
    processes: int = 0
    _process: Any = None
    _pipe: Connection | None = None
    _at: str = field(default="")

    def __enter__(self) -> "_Trial":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def of(self, number: int, data: bytes, suffix: str, *, is_sound: bool) -> dict[str, str]:
        """What became of a file, by function."""
        pipe = self._begun()
        pipe.send((number, data, suffix, is_sound))
        found: dict[str, str] = {}
        at = "purify"
        end = time.monotonic() + self.seconds
        fault = ""
        while not fault:
            try:
                if pipe.poll(LOOK):
                    said = pipe.recv()
                    if said is None:
                        return found
                    at, outcome = said
                    if outcome:
                        found[at] = outcome
                size = resident(self._process.pid)
            except (EOFError, OSError):
                self._process.join(10)
                fault = f"died: {self._process.exitcode}"
                continue
            self.most = max(self.most, size)
            if size > MOST_BYTES:
                fault = f"memory: {size // 2**20} MiB"
            elif time.monotonic() > end:
                fault = f"hang: over {self.seconds:.0f} s"
        self._end()
        return {**found, at: fault}

    def _begun(self) -> Connection:
        if self._pipe is None:
            fresh = multiprocessing.get_context("spawn")
            self._pipe, theirs = fresh.Pipe()
            self._process = fresh.Process(target=serve, args=(theirs, str(self.folder)), daemon=True)
            self._process.start()
            theirs.close()
            self.processes += 1
            self._pipe.recv()  # it is ready
        return self._pipe

    def _end(self) -> None:
        if self._pipe is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._pipe = None


def table() -> str:
    """What became of the files, by function and by kind of damage."""
    found = [row for row in rows.read(OUT) if "n" in row]
    memory = [row["most_mib"] for row in rows.read(OUT) if row.get("what") == "memory"]
    counts = {name: Counter(_sort(outcomes_of(row).get(name, "")) for row in found) for name in FUNCTIONS}
    lines = [
        [told, *(str(counts[name][sort]) for sort in ("right", "refused", "fault"))] for name, told in FUNCTIONS.items()
    ]
    sorts = len({row["of"] for row in found})
    kinds = len({row["of"].partition("-")[0] for row in found})
    damage = Counter(row["damage"] for row in found)
    by_damage = [
        [name, str(count), *(str(sum(worst(row) == sort for row in found if row["damage"] == name)) for sort in SORTS)]
        for name, count in damage.items()
    ]
    most = f" The most memory that the process held was {max(memory)} MiB." if memory else ""
    return (
        f"{len(found)} files, made of {sorts} sorts of {kinds} kinds.{most}\n\n"
        + block_markdown(
            Table(["", "result of the right size and mode", "refused in one clear error", "anything else"], lines)
        )
        + "\n"
        + block_markdown(Table(["damage", "files", *SORTS], by_damage))
    )


SORTS = ("right", "refused", "fault")
TABLES = {"file_fuzz": table}


def _sort(outcome: str) -> str:
    name = outcome.partition(":")[0]
    return name if name in FINE or not name else "fault"


def worst(row: Row) -> str:
    """Of what became of a file by all functions."""
    found = {_sort(each) for each in outcomes_of(row).values()}
    return next(sort for sort in reversed(SORTS) if sort in found)
