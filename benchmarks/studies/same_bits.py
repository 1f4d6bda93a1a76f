"""Whether a change kept every figure: the same experiment by this checkout and by an earlier commit, row by row.

    python -m benchmarks same-bits --against COMMIT --images DIR

Both run on this machine, one after the other, from the same seeds: attacks, restorations, answers and all that is
measured of them have to be equal to the last bit. Times and what names the code may differ.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.commits import call, checked_out
from deep_protection.evaluation.experiment.store import read_table

KEY = ("image", "attack", "defence", "stop", "seed")
FREE = ("attack_seconds", "cpu_seconds", "seconds", "versions", "commit", "labels", "device")
"""Columns that say when, by what and where a row was made."""


def run(against: str, images: Path, limit: int, attacks: str, defences: str) -> int:
    """Print what differs; the number of values that do.

    Raises:
        DeepProtectionError: the commit cannot be checked out, or an experiment fails.
    """
    with checked_out(against) as before, tempfile.TemporaryDirectory() as folder:
        arguments = ["--images", str(images.resolve()), "--limit", str(limit), "--workers", "1"]
        arguments += ["--attacks", attacks, "--defences", defences]
        for tree, name in ((before, "old"), (ROOT, "new")):
            command = [sys.executable, "-m", "deep_protection", "experiment", "run", *arguments]
            call([*command, "--out", str(Path(folder) / name)], tree, PYTHONPATH=str(tree / "src"))
        old, new = (_rows(Path(folder) / name) for name in ("old", "new"))
    columns = sorted({name for rows in (old, new) for row in rows.values() for name in row} - {*FREE, *KEY})
    differing = [
        f"{' '.join(map(str, key))}: {name} was {old.get(key, {}).get(name)}, is {new.get(key, {}).get(name)}"
        for key in sorted({*old, *new}, key=str)
        for name in columns
        if old.get(key, {}).get(name) != new.get(key, {}).get(name)
    ]
    print(*differing, sep="\n", end="\n" if differing else "")
    print(f"{len(new)} rows, {len(columns)} columns, {len(differing)} values differ from {against}")
    return len(differing)


def _rows(folder: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = read_table(folder / "results.parquet")
    return {tuple(row[name] for name in KEY): row for row in rows}
