"""Worker processes as the service sees them: started, given work, and started anew when they die."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from deep_protection.fitting.devices import usable_cores
from deep_protection.restoration import find_device
from deep_protection.service.jobs.job import Job
from deep_protection.service.settings import Settings

log = logging.getLogger("deep_protection.service")
LONGEST_LINE = 64 * 2**20
LONGEST_PAUSE = 30.0
GRACE_SECONDS = 60.0
BROKEN = 3
"""Processes in a row that never became ready, after which none is expected to."""
TOKEN_VARIABLE = "DEEP_PROTECTION_TOKEN"  # noqa: S105  (a name)

Message = dict[str, Any]


class WorkerProcess:
    """One place for work. Its process may die; the place stays and gets a new one."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        device: str,
        on_message: Callable[["WorkerProcess", Message], None],
        on_death: Callable[["WorkerProcess", dict[str, Job], bool], None],
    ) -> None:
        self.number, self.device = number, device
        self.jobs: dict[str, Job] = {}
        """What it has in hand and has not told the end of."""
        self.is_ready = self.is_idle = False
        """It takes work only once it has said that it is idle, not when all its jobs have ended: what it says of them
        would be taken for what it says of the next ones.
        """
        self._settings = settings
        self._on_message, self._on_death = on_message, on_death
        self._process: asyncio.subprocess.Process | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._late = self._closing = False
        self._failures = 0

    @property
    def is_broken(self) -> bool:
        """Whether its processes die before they are ready."""
        return self._failures >= BROKEN

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Keep a process alive until :meth:`close`."""
        pause = 1.0
        while not self._closing:
            was_ready = False
            try:
                was_ready = await self._run_once()
            except OSError as error:
                log.error("worker %d cannot be started: %s", self.number, error)
            if self._closing:
                return
            self._failures = 0 if was_ready else self._failures + 1
            pause = 0.1 if was_ready else min(LONGEST_PAUSE, 2 * pause)
            await asyncio.sleep(pause)

    async def _run_once(self) -> bool:
        """One process from beginning to end; whether it ever became ready."""
        environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        environment["OMP_NUM_THREADS"] = "1"
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "deep_protection.service.workers.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            env=environment,
        )
        try:
            return await self._read_messages(process)
        finally:
            # However it ended, what it had in hand has to be seen to.
            self.is_idle = self.is_ready = False
            self.kill()
            await process.wait()
            lost, late = self.jobs, self._late
            self._clear()
            if not self._closing:
                log.warning("worker %d died (exit code %s)", self.number, process.returncode)
                self._on_death(self, lost, late)

    async def _read_messages(self, process: asyncio.subprocess.Process) -> bool:
        """Hear what it says until it ends; whether it ever became ready."""
        self._send(
            {
                "data": str(self._settings.data),
                "classifier": self._settings.classifier,
                "calibration": self._settings.calibration,
                "device": self.device,
                "budget": self._settings.budget,
            }
        )
        was_ready = False
        assert process.stdout is not None  # noqa: S101  (piped)
        with suppress(ValueError):  # a line beyond all measure: treated as its end
            while line := await process.stdout.readline():
                try:
                    message = json.loads(line)
                except ValueError:
                    break  # cut off in the middle by its death
                if message["say"] in ("ready", "idle"):
                    self._clear()
                    self.is_idle = self.is_ready = was_ready = True
                    self._failures = 0
                self._on_message(self, message)
        return was_ready

    def give(self, jobs: list[Job]) -> None:
        """Have these done, together."""
        self.is_idle, self._late = False, False
        self.jobs = {job.id: job for job in jobs}
        asked = [{"id": job.id, "kind": job.kind, "options": job.options, "inputs": job.inputs} for job in jobs]
        self._alarm = asyncio.get_running_loop().call_later(2 * self._settings.budget + GRACE_SECONDS, self._overdue)
        self._send({"do": "work", "jobs": asked})

    def cancel(self, job: str) -> None:
        self._send({"do": "cancel", "id": job})

    def watch(self, job: str) -> None:
        """Have previews made."""
        self._send({"do": "watch", "id": job})

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    def end(self) -> None:
        """Begin no process any more."""
        self._closing = True
        self._clear()
        self.kill()  # it holds nothing that would have to be saved

    async def close(self) -> None:
        """The same, and wait."""
        self.end()
        if self._process is not None:
            await self._process.wait()

    def _overdue(self) -> None:
        self._late = True
        self.kill()

    def _clear(self) -> None:
        self.jobs = {}
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _send(self, command: Message) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(json.dumps(command).encode() + b"\n")


def worker_devices(settings: Settings) -> list[str]:
    """The device of every worker: one a core, or one a GPU. None uses more than one core."""
    device = find_device(settings.device)
    if device.type == "cpu":
        return ["cpu"] * (settings.workers or usable_cores())
    cards = [str(device)] if device.index is not None else [f"{device.type}:{i}" for i in range(_cards())]
    return [cards[number % len(cards)] for number in range(settings.workers or len(cards))]


def _cards() -> int:
    return max(1, torch.cuda.device_count())


def batch_size(settings: Settings) -> int:
    """Images that a worker takes at once: on a GPU they share operations, on a core they would only wait."""
    return settings.batch or (1 if find_device(settings.device).type == "cpu" else 64)
