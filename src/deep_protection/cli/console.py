"""What the commands print and where: results on stdout, everything else on stderr."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:  # PyTorch comes with it, and what is not fitted needs none
    from deep_protection.fitting import Progress as FitProgress
    from deep_protection.fitting import ProgressCallback

stderr = Console(stderr=True)
stdout = Console()
LOG_SECONDS = 60.0


def say_error(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    line = " ".join(message.split())
    sys.stderr.write(f"error: {line}\n")


def say_note(message: str) -> None:
    """Something a user should know, on stderr."""
    stderr.print(Text(f"note: {message}"), style="yellow", soft_wrap=True)


def say_notes(notes: Iterable[str], *, quiet: bool = False) -> None:
    """All of them, unless nothing but results is wanted."""
    for note in () if quiet else notes:
        say_note(note)


def print_json(value: Any) -> None:
    """A result for programs, on stdout."""
    sys.stdout.write(json.dumps(value, indent=1, allow_nan=False) + "\n")


@contextmanager
def progress_bar(what: str, *, shown: bool = True) -> Iterator["ProgressCallback"]:
    """A bar on stderr, fed by the library's progress callback; nothing where stderr is no terminal."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        disable=not (shown and stderr.is_terminal),
    )
    with bar:
        row = bar.add_task(what, total=1.0, state="starting")

        def report(progress: "FitProgress") -> None:
            left = "" if progress.seconds_left is None else f", {duration(progress.seconds_left)} left"
            state = (
                f"{progress.images_done}/{progress.images_total} images, "
                f"iteration {progress.iteration}/{progress.max_iterations}{left}"
            )
            bar.update(row, completed=progress.fraction, state=state)

        yield report


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def counting_bar(what: str, *, shown: bool = True) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr with time left, fed with things done, things in all and the last one's name.

    Where stderr is no terminal, a line about once a minute, as a log wants it.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[last]}", markup=False),
        console=stderr,
        transient=True,
        disable=not (shown and stderr.is_terminal),
    )
    begin = said = time.monotonic()
    with bar:
        row = bar.add_task(what, total=None, last="")

        def report(done: int, total: int, last: str) -> None:
            nonlocal said
            bar.update(row, completed=done, total=total, last=last)
            now = time.monotonic()
            if shown and not stderr.is_terminal and now - said >= LOG_SECONDS:
                said = now
                sys.stderr.write(f"{what}: {done} of {total} after {duration(now - begin)}\n")

        yield report
