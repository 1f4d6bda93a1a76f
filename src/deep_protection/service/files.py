"""The pictures of jobs: one folder a job, every file whole or not there, and known by its SHA-256."""

import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from deep_protection.images import write_atomically

_NAME = re.compile(r"[a-z][a-z_]{0,30}\Z")


class DamagedError(Exception):
    """A file is gone or is not what was written."""


class Files:
    """``jobs/ID/in.NAME`` is what came, ``jobs/ID/out.NAME`` what was made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "jobs"
        self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, job: str, direction: str, name: str, data: bytes) -> str:
        """Put a file on the disk and give its SHA-256. Raises :class:`~deep_protection.errors.OutputError`."""
        path = self._path(job, direction, name)
        with suppress(FileExistsError):
            path.parent.mkdir(mode=0o700)
            _sync(self.folder)
        write_atomically(data, path)
        _sync(path.parent)
        return hashlib.sha256(data).hexdigest()

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

    def remove_others(self, known: set[str]) -> int:
        """Delete the folders of jobs that are in no table: their request was cut off before it was accepted."""
        others = [path.name for path in self.folder.iterdir() if path.name not in known]
        for job in others:
            self.remove(job)
        return len(others)

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
