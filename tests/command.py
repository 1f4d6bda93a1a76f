"""The command ``deep-protection``, for the tests: in this process, or in one of its own."""

import subprocess
import sys
from contextlib import chdir, nullcontext
from io import BytesIO, TextIOWrapper
from pathlib import Path
from unittest import mock

from deep_protection.cli import main

Done = subprocess.CompletedProcess[bytes]


def run(*arguments: object, stdin: bytes = b"", cwd: Path | None = None) -> Done:
    """Run it here: PyTorch is imported once, not once a call."""
    words = ["deep-protection", *map(str, arguments)]
    given, out, err = (TextIOWrapper(BytesIO(data), encoding="utf-8", write_through=True) for data in (stdin, b"", b""))
    streams = mock.patch.multiple(sys, argv=words, stdin=given, stdout=out, stderr=err)
    with streams, chdir(cwd) if cwd else nullcontext():
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return Done(words, code, *(stream.detach().getvalue() for stream in (out, err)))


def run_apart(*arguments: object, stdin: bytes = b"", cwd: Path | None = None) -> Done:
    """Run it in a process of its own, where pipes, signals or what is imported count."""
    command = [sys.executable, "-W", "error", "-m", "deep_protection", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, check=False)


def refused(result: Done, message: str) -> None:
    """One line on stderr that says what to do, nothing on stdout, exit code not 0."""
    lines = result.stderr.decode().splitlines()
    assert result.returncode != 0
    assert result.stdout == b""
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert message in lines[0]
