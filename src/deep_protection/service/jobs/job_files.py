"""The images of jobs: one folder a job, every file whole or not there, and known by its SHA-256.

What the job table does not know is never deleted: the table may be an older or an empty one, after another broke.
"""

import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from deep_protection.images import write_atomically

_NAME = re.compile(r"[a-z][a-z_]{0,30}\Z")
_JOB = re.compile(r"[0-9a-f]{32}\Z")
UNKNOWN = "unknown"
"""Folder for what the job table does not know, beside that of the jobs."""
COMING = "coming"
"""And the one for what is on its way in."""


class DamagedError(Exception):
    """A file is gone or is not what was written."""


class JobFiles:
    """``jobs/ID/in.NAME`` is what came, ``jobs/ID/out.NAME`` what was made."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.unknown, self.coming = folder / "jobs", folder / UNKNOWN, folder / COMING
        self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, job: str, direction: str, name: str, data: bytes) -> str:
        """Put a file on the disk and give its SHA-256. Raises :class:`~deep_protection.errors.OutputError`."""
        path = self._path(job, direction, name)
        if direction == "in":  # results of a job that was deleted meanwhile have no folder to go to
            with suppress(FileExistsError):
                path.parent.mkdir(mode=0o700)
                _sync(self.folder)
        write_atomically(data, path)
        _sync(path.parent)
        return hashlib.sha256(data).hexdigest()

    def accept(self, folder: Path) -> None:
        """Make a folder of images that came that of a job, all at once."""
        _sync(folder)
        folder.rename(self.folder / folder.name)
        _sync(self.folder)

    def remove_coming(self) -> int:
        """Delete what was on its way when the service ended: nobody was told that it is kept."""
        cut_off = [path for path in self.coming.iterdir() if _JOB.match(path.name)] if self.coming.is_dir() else []
        for path in cut_off:
            shutil.rmtree(path, ignore_errors=True)
        return len(cut_off)

    def read(self, job: str, direction: str, name: str, digest: str) -> bytes:
        try:
            data = self._path(job, direction, name).read_bytes()
        except OSError:
            raise DamagedError(f"the file {name} of this job is gone") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise DamagedError(f"the file {name} of this job was damaged on the disk")
        return data

    def remove(self, job: str) -> None:
        shutil.rmtree(self.folder / job, ignore_errors=True)

    def put_aside(self, known: set[str]) -> int:
        """Move the folders of jobs that the table does not know out of the way, and give their number.

        Those without a file go: nothing came. What has no job's name was put there by others, and stays.
        """
        moved = 0
        for path in self.folder.iterdir():
            if path.name in known or not _JOB.match(path.name):
                continue
            with suppress(OSError):  # it stays then, and is in nobody's way
                path.rmdir()
                continue
            moved += self._move(path, self.unknown)
        return moved

    def take_back(self, known: set[str]) -> int:
        """The other way round, when a table has come back that knows them; their number."""
        if not self.unknown.is_dir():
            return 0
        return sum(self._move(path, self.folder) for path in self.unknown.iterdir() if path.name in known)

    def _move(self, path: Path, where: Path) -> bool:
        target = where / path.name
        if target.exists():
            return False
        with suppress(OSError):
            where.mkdir(mode=0o700, exist_ok=True)
            path.rename(target)
            _sync(where)
            return True
        return False

    def _path(self, job: str, direction: str, name: str) -> Path:
        if not job.isalnum() or not _NAME.match(name):
            raise DamagedError(f"no file {name!r}")
        return self.folder / job / f"{direction}.{name}"


def _sync(folder: Path) -> None:
    """Make a folder's entries durable, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sealed(path: Path) -> str:
    """Force a file to the disk and give its SHA-256."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
