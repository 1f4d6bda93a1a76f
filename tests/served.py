"""A real service in a process of its own, for tests and measurements: started, killed, started again."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from deep_protection.service.client import Client

START_SECONDS = 300.0
_RECORDER = """
CREATE TABLE IF NOT EXISTS recorded_ends (job TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS record_end AFTER UPDATE OF state ON jobs
WHEN new.state IN ('done', 'failed', 'cancelled') BEGIN INSERT INTO recorded_ends VALUES (new.id); END;
"""


class Served:
    """``deep-protection serve`` on a free port. Its folder stays over restarts.

    ``files`` limits the size of any file it writes, in bytes: a full disk as the operating system tells it.
    """

    def __init__(self, data: Path, *options: str, token: str | None = None, files: int | None = None) -> None:
        self.data, self.options, self.token, self.files = data, options, token, files
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the service)
        self._starts = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        self._log.close()

    def start(self) -> None:
        """Begin, and wait until a worker is ready."""
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        if self.token is not None:
            environment["DEEP_PROTECTION_TOKEN"] = self.token
        command = [sys.executable, "-W", "error", "-m", "deep_protection", "serve", "--port", "0"]
        if self.files is not None:
            limited = f"import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, ({self.files},) * 2); "
            run = "runpy.run_module('deep_protection', run_name='__main__')"
            command[3:5] = ["-c", limited + run]
        before = self._log.seek(0, os.SEEK_END)
        self.process = subprocess.Popen(
            [*command, "--data", str(self.data), *self.options],
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            env=environment,
        )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended with {self.process.returncode}:\n{self.log()}")
            found = re.search(r"listening on http://[^ ]*:(\d+)", self.log()[before:])
            if found is not None:
                self.url = f"http://127.0.0.1:{found[1]}"
                with suppress(httpx2.TransportError):
                    if httpx2.get(f"{self.url}/readyz", trust_env=False).status_code == 200:
                        return
            time.sleep(0.1)
        raise RuntimeError(f"the service was not ready in {START_SECONDS:.0f} s:\n{self.log()}")

    def record_ends(self) -> None:
        """Have the job table note from now on how often each job ends, over all restarts."""
        with closing(sqlite3.connect(self.data / "jobs.db", timeout=30)) as table:
            table.executescript(_RECORDER)

    def ends(self) -> dict[str, int]:
        """Job to how often it ended since :meth:`record_ends`."""
        with closing(sqlite3.connect(f"file:{self.data / 'jobs.db'}?mode=ro", uri=True, timeout=30)) as table:
            found = table.execute(
                "SELECT jobs.id, count(recorded_ends.job) FROM jobs LEFT JOIN recorded_ends ON recorded_ends.job = "
                "jobs.id GROUP BY jobs.id"
            ).fetchall()
        return dict(found)

    def log(self) -> str:
        """All that it has written, over all starts."""
        self._log.flush()
        return os.pread(self._log.fileno(), 2**24, 0).decode(errors="replace")

    def http(self, **settings: float) -> httpx2.Client:
        """A plain HTTP client, with the token."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=settings.get("timeout", 60.0), trust_env=False)

    def client(self) -> Client:
        return Client(self.url, token=self.token)

    def stop(self) -> int:
        """Ask it to end, and wait."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """``kill -9``."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(how)
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def workers(self) -> list[int]:
        """Process ids of its workers. Linux."""
        assert self.process is not None
        return children(self.process.pid)


def children(parent: int) -> list[int]:
    """Processes that another one started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            # The name, in brackets, may hold anything.
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return sorted(found)


def descendants(name: bytes) -> set[int]:
    """Processes that this one started, or that one of those did, of a name that begins so. Linux."""
    found, family = set(), [os.getpid()]
    while family:
        family += (below := children(family.pop()))
        for process in below:
            with suppress(OSError):  # it has just ended
                if Path(f"/proc/{process}/cmdline").read_bytes().startswith(name):
                    found.add(process)
    return found


def resident(process: int) -> int:
    """Bytes of memory that a process holds. Linux."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
