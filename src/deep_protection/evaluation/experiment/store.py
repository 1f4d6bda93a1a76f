"""The rows of an experiment on disk: nothing lost when the process is killed, nothing twice.

Every finished unit is a line of ``journal.jsonl``, appended and flushed at once. From time to time, and at the end, the
lines go into ``results.parquet`` and ``trajectories.parquet``, which are written beside and renamed, and the journal is
emptied. Wherever a kill falls, each row is in one of them or in both, and what is in both is taken once.
"""

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deep_protection.errors import MissingExtraError, OutputError
from deep_protection.evaluation.experiment.units import Judged, Row
from deep_protection.images import write_atomically

RESULT_KEY = ("image", "attack", "defence", "stop", "seed", "views")
CHECKPOINT_KEY = ("image", "attack", "defence", "seed", "views", "iteration")
MERGE_SECONDS = 60.0
"""The journal goes into the tables about so often."""


def parquet() -> Any:
    """pyarrow.parquet, imported late."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            f"experiments need pyarrow, which is missing ({error}); run: pip install 'deep-protection[experiment]'"
        ) from error
    return pyarrow.parquet


class Store:
    """The tables of one folder. Opened by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._results, self._trajectories = folder / "results.parquet", folder / "trajectories.parquet"
        self._journal, self._lock = folder / "journal.jsonl", folder / ".lock"
        parquet()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder} ({error.strerror}); choose another --out") from None
        self._merged = time.monotonic()
        self._locked = _lock(self._lock)
        self.merge()
        self._file = self._journal.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self.merge()
        os.close(self._locked)
        with suppress(OSError):
            self._lock.unlink()

    def results(self) -> list[Row]:
        """All rows that are in the table already."""
        return read_table(self._results)

    def add(self, judged: Judged) -> None:
        """Keep a unit's rows; on disk when this returns."""
        self._file.write(json.dumps({"results": judged.results, "checkpoints": judged.checkpoints}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        if time.monotonic() - self._merged > MERGE_SECONDS:
            self._file.close()
            self.merge()
            self._file = self._journal.open("a", encoding="utf-8")

    def merge(self) -> None:
        """Move what the journal holds into the tables."""
        lines = list(_lines(self._journal))
        if lines:
            # Checkpoints first: a result's row promises that its trajectory is there.
            for path, part, key in (
                (self._trajectories, "checkpoints", CHECKPOINT_KEY),
                (self._results, "results", RESULT_KEY),
            ):
                new = [row for line in lines for row in line[part]]
                if new:
                    write_table(path, read_table(path) + new, key)
        self._journal.unlink(missing_ok=True)
        self._merged = time.monotonic()


def read_table(path: Path) -> list[Row]:
    """The rows of a Parquet file; none of one that is not there."""
    if not path.exists():
        return []
    try:
        rows: list[Row] = parquet().read_table(path).to_pylist()
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read as Parquet ({error}); move it away or choose another --out") from None
    return rows


def write_table(path: Path, rows: Iterable[Row], key: tuple[str, ...]) -> None:
    """Sorted by ``key``, of rows with the same key the first, so that equal experiments give equal files."""
    import pyarrow as pa

    unique: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        unique.setdefault(tuple(row[name] for name in key), row)
    ordered = [unique[each] for each in sorted(unique)]
    columns = dict.fromkeys(name for row in ordered for name in row)  # rows of an earlier version may lack some
    table = pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in ordered])
    buffer = pa.BufferOutputStream()
    parquet().write_table(table, buffer, compression="zstd")
    write_atomically(buffer.getvalue().to_pybytes(), path)


def _lines(journal: Path) -> Iterable[dict[str, list[Row]]]:
    """Every whole line. The last may have been cut off by a kill: that unit is computed again."""
    if not journal.exists():
        return
    for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(json.JSONDecodeError):
            yield json.loads(line)


def _lock(path: Path) -> int:
    """Hold the folder until the process ends, however it ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        import fcntl
    except ImportError:  # Windows has no such locks; two runs there are the user's own care
        return handle
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise OutputError(f"another run is writing to {path.parent}; wait for it or choose another --out") from None
    return handle
