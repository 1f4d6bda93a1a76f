"""Rows on disk: nothing lost when the process is killed, nothing twice, one writer at a time.

While a run lasts every finished unit is one transaction of an SQLite file. When it ends, the rows go into Parquet
tables and the SQLite file goes away. A run that was killed leaves it behind: the next one goes on from both, and
reports read both.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deep_protection.errors import OutputError
from deep_protection.evaluation.experiment.units import Row
from deep_protection.images import write_atomically
from deep_protection.optional import import_optional

RESULT_KEY = ("image", "attack", "defence", "stop", "seed", "views")
CHECKPOINT_KEY = ("image", "attack", "defence", "seed", "views", "iteration")
EXPERIMENT: Mapping[str, tuple[str, ...]] = {"trajectories": CHECKPOINT_KEY, "results": RESULT_KEY}
"""The tables of an experiment and the columns that name a row. Checkpoints first: a result promises its trajectory."""
PATIENCE = 60.0
"""Seconds that a writer waits for a report to have read."""


def parquet() -> Any:
    """pyarrow.parquet, imported late."""
    return import_optional("pyarrow.parquet", needed_for="an experiment", extra="experiment")


class Store:
    """Tables of one folder, opened by one process at a time."""

    def __init__(self, folder: Path, tables: Mapping[str, tuple[str, ...]] = EXPERIMENT) -> None:
        """``tables`` names each with the columns of its key.

        Raises:
            OutputError: the folder cannot be made, or another run is writing to these tables.
        """
        self.folder, self.tables = folder, tables
        parquet()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder} ({error.strerror}); choose another --out") from None
        self._path = _database(folder, tables)
        self._lock = self._locked(self._path.with_suffix(".lock"))
        self._file = sqlite3.connect(self._path, timeout=PATIENCE)
        with self._file:
            self._file.execute("CREATE TABLE IF NOT EXISTS rows (of_table TEXT, row TEXT)")
        self._take_journal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._export()
        finally:
            self._file.close()
            with suppress(OSError):  # Windows keeps a file that is open
                self._path.with_suffix(".lock").unlink()
            self._lock.close()

    def rows(self, table: str) -> list[Row]:
        """All that is known, of this run and of those before."""
        found = [*read_table(self.folder / f"{table}.parquet"), *_rows(self._file, table)]
        return list(_unique(found, self.tables[table]).values())

    def add(self, **tables: Iterable[Row]) -> None:
        """Keep a unit's rows, all of them or none; on disk when this returns."""
        with self._file:
            self._file.executemany(
                "INSERT INTO rows VALUES (?, ?)",
                [(name, json.dumps(row)) for name, rows in tables.items() for row in rows],
            )

    def _export(self) -> None:
        for name, key in self.tables.items():
            if new := _rows(self._file, name):
                path = self.folder / f"{name}.parquet"
                write_table(path, [*read_table(path), *new], key)
        self._file.close()
        self._path.unlink()

    def _take_journal(self) -> None:
        """Rows of a run that an earlier version began and that was killed; its last line may have been cut off."""
        journal = self.folder / "journal.jsonl"
        if journal.exists() and self.tables is EXPERIMENT:
            for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(json.JSONDecodeError):
                    unit = json.loads(line)
                    self.add(results=unit["results"], trajectories=unit["checkpoints"])
            journal.unlink()

    def _locked(self, path: Path) -> sqlite3.Connection:
        """Hold the tables until the process ends, however it ends: the operating system lets go of a file's lock."""
        lock = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            lock.close()
            raise OutputError(f"another run is writing to {self.folder}; wait for it or choose another --out") from None
        return lock


def read_rows(folder: Path, table: str) -> list[Row]:
    """The rows of an experiment's table, also while a run is writing and after one that was killed."""
    path, found = _database(folder, EXPERIMENT), []
    if path.exists():
        try:
            # To be written to: what a kill has left half done is undone.
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", timeout=PATIENCE, uri=True)) as file:
                found = _rows(file, table)
        except sqlite3.OperationalError as error:
            # Begun this moment, or exported since, which is why Parquet is read after this.
            if "no such table" not in str(error) and path.exists():
                raise OutputError(f"{path} cannot be read ({error})") from None
    found += read_table(folder / f"{table}.parquet")
    return list(_unique(found, EXPERIMENT[table]).values())


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
    import pyarrow.compute

    unique = _unique(rows, key)
    ordered = [unique[each] for each in sorted(unique)]
    columns = dict.fromkeys(name for row in ordered for name in row)  # rows of an earlier version may lack some
    table = pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in ordered])
    buffer = pa.BufferOutputStream()
    # Measured values hardly ever repeat: byte by byte they take a third less than in a dictionary.
    measured = [
        name
        for name in table.column_names
        if pa.types.is_floating(table.schema.field(name).type)
        and 2 * pa.compute.count_distinct(table[name]).as_py() > len(table)
    ]
    parquet().write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table.column_names if name not in measured],
        use_byte_stream_split=measured,
    )
    write_atomically(buffer.getvalue().to_pybytes(), path)


def _unique(rows: Iterable[Row], key: tuple[str, ...]) -> dict[tuple[Any, ...], Row]:
    """By key, of rows with the same one the first: a kill may have left some both in SQLite and in Parquet."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in key), row)
    return found


def _database(folder: Path, tables: Iterable[str]) -> Path:
    return folder / f"{'-'.join(tables)}.sqlite"


def _rows(file: sqlite3.Connection, table: str) -> list[Row]:
    return [
        json.loads(row) for (row,) in file.execute("SELECT row FROM rows WHERE of_table = ? ORDER BY rowid", (table,))
    ]
