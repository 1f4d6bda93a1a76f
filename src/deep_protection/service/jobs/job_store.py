"""The job table: SQLite, so that what was accepted is still there after a crash and ends exactly once.

Every change of state is one transaction that names the state it comes from; whoever comes second changes nothing.

The table is one file, with SQLite's rollback journal, and not a write-ahead log of some files: what an operator moves
away, copies or puts in its place is then the whole of it, and SQLite itself refuses to write to a table that was moved
while it was open.
"""

import json
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from deep_protection.errors import OutputError
from deep_protection.service.jobs.job import Job, State, dumped

VERSION = 2
BUSY_SECONDS = 5.0
"""How long another program may hold the table before a request is refused."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, client TEXT NOT NULL, state TEXT NOT NULL, options TEXT NOT NULL,
    inputs TEXT NOT NULL, created REAL NOT NULL, started REAL, ended REAL, deaths INTEGER NOT NULL DEFAULT 0,
    answer TEXT, error TEXT, files TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, created);
"""
_SINCE_VERSION_1 = """
DROP TRIGGER IF EXISTS note_new;
DROP TRIGGER IF EXISTS note_change;
DROP TRIGGER IF EXISTS forget;
DROP TABLE IF EXISTS transitions;
"""
"""Changes of state were kept there too, though nothing read them."""


class JobStore:
    """One connection, used by one thread at a time. Raises ``sqlite3.Error`` where the table cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            _check_journals(path)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            if self._connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("quick_check failed")
            self._connection.execute("PRAGMA journal_mode = TRUNCATE")
            self._connection.execute("PRAGMA synchronous = FULL")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, 1, VERSION):
                raise sqlite3.DatabaseError(f"version {version}, expected {VERSION}")
            if version == 1:
                self._connection.executescript(_SINCE_VERSION_1)
            self._connection.executescript(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {VERSION}")
            self._identity = _identity(path)
        except sqlite3.Error as error:
            raise OutputError(
                f"the job table {path} cannot be used ({error}); move it and its neighbours {path.name}-* away, then "
                "put a backup in its place or begin with an empty one: images of jobs that it does not know are kept"
            ) from None

    def close(self) -> None:
        self._connection.close()

    @property
    def is_moved(self) -> bool:
        """Whether something else lies, or nothing, where the table was when it was opened."""
        return _identity(self.path) != self._identity

    def check(self, *, thoroughly: bool) -> None:
        """Raise ``sqlite3.DatabaseError`` where the table is no table any more."""
        self._connection.execute("PRAGMA schema_version").fetchone()
        if thoroughly and self._connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")

    def add(self, job: Job) -> None:
        """Keep a new job; when this returns, it is on the disk."""
        with self._connection:
            self._connection.execute(
                "INSERT INTO jobs (id, kind, client, state, options, inputs, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (job.id, job.kind, job.client, job.state, dumped(job.options), dumped(job.inputs), job.created),
            )

    def get(self, job_id: str) -> Job | None:
        rows = self._select("WHERE id = ?", (job_id,))
        return rows[0] if rows else None

    def in_state(self, state: State) -> list[Job]:
        """Oldest first; without those whose rows cannot be read."""
        found = self._select("WHERE state = ? ORDER BY created, rowid", (state,))
        return [job for job in found if job.state == state]

    def fail_unreadable(self) -> list[str]:
        """Let jobs fail that have not ended and whose rows cannot be read; their ids."""
        broken = [job for job in self._select("WHERE state IN ('queued', 'running')", ()) if job.error is not None]
        return [job.id for job in broken if job.error and self.fail(job.id, job.error["code"], job.error["message"])]

    def ids(self) -> set[str]:
        with closing(self._connection.execute("SELECT id FROM jobs")) as found:
            return {row["id"] for row in found}

    def start(self, job_id: str) -> bool:
        return self._change("state = 'running', started = ?", (time.time(),), job_id, ("queued",))

    def finish(self, job_id: str, answer: dict[str, Any], files: dict[str, str]) -> bool:
        """Call it when the files are on the disk."""
        values = (time.time(), dumped(answer), dumped(files))
        return self._change("state = 'done', ended = ?, answer = ?, files = ?", values, job_id, ("running",))

    def fail(self, job_id: str, code: str, message: str) -> bool:
        values = (time.time(), dumped({"code": code, "message": message}))
        return self._change("state = 'failed', ended = ?, error = ?", values, job_id, ("queued", "running"))

    def cancel(self, job_id: str) -> bool:
        return self._change("state = 'cancelled', ended = ?", (time.time(),), job_id, ("queued", "running"))

    def requeue(self, job_id: str, *, died: bool) -> bool:
        """Back into the queue, after its worker (``died``) or the whole service ended in the middle of it."""
        return self._change("state = 'queued', started = NULL, deaths = deaths + ?", (int(died),), job_id, ("running",))

    def expire(self, before: float) -> list[str]:
        """Mark what ended before that time as expired, and give their ids: their files may go."""
        return self._return(
            "UPDATE jobs SET state = 'expired', answer = NULL, files = '{}' "
            "WHERE state IN ('done', 'failed', 'cancelled') AND ended < ? RETURNING id",
            (before,),
        )

    def forget(self, before: float) -> list[str]:
        """Delete the rows of what expired and ended before that time."""
        return self._return("DELETE FROM jobs WHERE state = 'expired' AND ended < ? RETURNING id", (before,))

    def delete(self, job_id: str) -> bool:
        """Delete a job that has ended."""
        return bool(
            self._return(
                "DELETE FROM jobs WHERE id = ? AND state IN ('done', 'failed', 'cancelled', 'expired') RETURNING id",
                (job_id,),
            )
        )

    def _change(self, change: str, values: tuple[Any, ...], job_id: str, expected: Iterable[str]) -> bool:
        states = ", ".join(f"'{state}'" for state in expected)  # our own words, no client's
        return bool(
            self._return(
                f"UPDATE jobs SET {change} WHERE id = ? AND state IN ({states}) RETURNING id",  # noqa: S608
                (*values, job_id),
            )
        )

    def _return(self, statement: str, values: tuple[Any, ...]) -> list[str]:
        with self._connection:
            return [row["id"] for row in self._connection.execute(statement, values).fetchall()]

    def _select(self, condition: str, values: tuple[Any, ...]) -> list[Job]:
        found = self._connection.execute(f"SELECT * FROM jobs {condition}", values).fetchall()  # noqa: S608
        return [_job(row) for row in found]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_journals(path: Path) -> None:
    """SQLite deletes the journal of a table that is not there, and with it what the table needs when it comes back."""
    if path.exists() and path.stat().st_size:
        return
    for end in ("-wal", "-journal"):
        other = path.with_name(path.name + end)
        if other.exists() and other.stat().st_size:
            raise sqlite3.DatabaseError(f"it is gone and its journal {other.name} is still there")


def _job(row: sqlite3.Row) -> Job:
    """One whose row cannot be read has failed: a table that is whole may hold a row that an editor touched."""
    values, damaged = dict(row), []
    for name in ("options", "inputs", "answer", "error", "files"):
        try:
            values[name] = None if values[name] is None else json.loads(values[name])
            is_right = values[name] is None or isinstance(values[name], dict)
        except ValueError:
            is_right = False
        if not is_right:
            damaged.append(name)
            values[name] = None if name in ("answer", "error") else {}
    if damaged:
        message = f"what the job table holds of it is damaged ({', '.join(damaged)}); send the image again"
        values |= {"state": "failed", "error": {"code": "damaged", "message": message}}
    return Job(**values)
