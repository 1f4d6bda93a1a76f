"""Small measurements as lines of JSON, which several processes may append to and people may read.

What has many rows is a table of :mod:`deep_protection.evaluation.experiment.store`.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
RESULTS = Path("docs/results/speed")
"""Where they are kept, from the repository's root."""


def read(path: Path) -> list[Row]:
    """All rows; a line that was cut off in the middle of writing is left out, and so measured again."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{") and line.endswith("}")]


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add rows in one write, which several processes may do at once."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if file.tell() and not _ends_with_newline(path):
            text = "\n" + text
        os.write(file.fileno(), text.encode())


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
