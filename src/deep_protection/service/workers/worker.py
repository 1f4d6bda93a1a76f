"""The process that fits: ``python -m deep_protection.service.workers.worker``. Lines of JSON in, lines of JSON out.

It holds no state: what it is given lies in files, what it makes it writes to files, and the service alone keeps the
job table. When the service goes, however suddenly, its end of the pipe closes and the worker ends at once.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

import torch

from deep_protection.errors import CancelledError, DeepProtectionError, OutputError
from deep_protection.service.errors import to_problem
from deep_protection.service.jobs.job_files import DamagedError, JobFiles
from deep_protection.service.workers.handlers import run_jobs
from deep_protection.service.workers.observed_rule import json_safe
from deep_protection.service.workers.worker_context import JobInput, Outcome, WorkerContext


class Worker:
    """Reads commands in a thread of its own, so that a fit can be cancelled."""

    def __init__(self, commands: TextIO, answers: TextIO) -> None:
        self._commands, self._answers = commands, answers
        self._writing = threading.Lock()
        self._cancelled: set[str] = set()
        self._watched: set[str] = set()
        self._waiting = threading.Condition()
        self._work: list[dict[str, Any]] | None = None

    def run(self) -> None:
        setup = json.loads(self._commands.readline())
        torch.set_num_threads(1)  # there is one worker a core
        files = JobFiles(Path(setup["data"]))
        threading.Thread(target=self._listen, daemon=True).start()
        context = WorkerContext(setup["classifier"], setup["calibration"], setup["device"], setup["budget"])
        self._say("ready")
        while True:
            with self._waiting:
                self._waiting.wait_for(lambda: self._work is not None)
                jobs, self._work = self._work or [], None
            begin = time.process_time()
            self._do(context, files, jobs)
            self._cancelled -= {job["id"] for job in jobs}
            self._watched -= {job["id"] for job in jobs}
            self._say("idle", cpu_seconds=round(time.process_time() - begin, 3))

    def _listen(self) -> None:
        for line in self._commands:
            command = json.loads(line)
            if command["do"] == "cancel":
                self._cancelled.add(command["id"])
            elif command["do"] == "watch":
                self._watched.add(command["id"])
            else:
                with self._waiting:
                    self._work = command["jobs"]
                    self._waiting.notify()
        os._exit(0)  # the service is gone; a fit in the other thread has nobody to give its result to

    def _do(self, context: WorkerContext, files: JobFiles, jobs: list[dict[str, Any]]) -> None:
        job_inputs = []
        for job in jobs:
            try:
                inputs = {name: files.read(job["id"], "in", name, digest) for name, digest in job["inputs"].items()}
            except DamagedError as error:
                self._say("failed", id=job["id"], code="damaged", message=f"{error}; send it again")
                continue
            job_inputs.append(self._job_input(job, inputs))
        if not job_inputs:
            return
        try:
            outcomes = run_jobs(context, job_inputs)
        except (MemoryError, torch.OutOfMemoryError):
            raise  # as a death: a fresh process tries once more
        except Exception:  # a mistake of ours: the log has it, the client a clear state, and the next job its turn
            traceback.print_exc()
            for job_input in job_inputs:
                self._say("failed", id=job_input.id, code="internal", message="something went wrong; the log says what")
            return
        for job_input, outcome in zip(job_inputs, outcomes, strict=True):
            self._settle(files, job_input, outcome)

    def _settle(self, files: JobFiles, job_input: JobInput, outcome: Outcome) -> None:
        if isinstance(outcome, CancelledError):
            self._say("cancelled", id=job_input.id)
        elif isinstance(outcome, DeepProtectionError):
            code, message = to_problem(outcome)
            self._say("failed", id=job_input.id, code=code, message=message)
        else:
            try:
                written = {name: files.write(job_input.id, "out", name, data) for name, data in outcome.files.items()}
            except (OutputError, OSError):
                message = "the result could not be written: no space is left, or the disk refuses; try again later"
                self._say("failed", id=job_input.id, code="storage_full", message=message)
                return
            self._say("done", id=job_input.id, answer=outcome.answer, files=written)

    def _job_input(self, job: dict[str, Any], inputs: dict[str, bytes]) -> JobInput:
        name = job["id"]
        return JobInput(
            id=name,
            kind=job["kind"],
            options=job["options"],
            inputs=inputs,
            tell=lambda progress: self._say("progress", id=name, progress=progress),
            is_cancelled=lambda: name in self._cancelled,
            is_watched=lambda: name in self._watched,
        )

    def _say(self, what: str, **more: Any) -> None:
        # A classifier of others may answer with no number; that is no reason to die.
        line = json.dumps({"say": what, **json_safe(more)}, allow_nan=False)
        with self._writing:
            self._answers.write(line + "\n")
            self._answers.flush()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the service says when to end
    # Nothing that a library prints may come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    Worker(sys.stdin, answers).run()


if __name__ == "__main__":
    main()
