"""An earlier commit beside this checkout."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import ROOT
from deep_protection.errors import DeepProtectionError


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A folder with that commit's files, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        call(["git", "worktree", "add", "--detach", str(tree), commit])
        try:
            yield tree
        finally:
            call(["git", "worktree", "remove", "--force", str(tree)])


def call(command: list[str], cwd: Path = ROOT, given: str = "", **env: str) -> str:
    """What a command says, which is ``given`` something to read.

    Raises:
        DeepProtectionError: it fails.
    """
    environment = {**os.environ, **env}
    done = subprocess.run(  # noqa: S603
        command, cwd=cwd, env=environment, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DeepProtectionError(f"{' '.join(command[:4])} … failed: {done.stderr.strip()}")
    return done.stdout
