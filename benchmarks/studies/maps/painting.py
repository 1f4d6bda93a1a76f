"""What is painted where words stood, beside what the prior paints and biharmonic inpainting: on ground that is known.

    python -m benchmarks maps-painting --maps DIR

The ink of the words that `maps` found is moved elsewhere on its sheet, where none stands, and that is filled. Tiles
alone, three moves each.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from math import log10
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import deep_protection as dp
from benchmarks import ROOT, rows
from benchmarks.rows import Row
from benchmarks.studies.maps.words import RESULTS
from deep_protection.evaluation.experiment.store import read_table
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.fitting import Recipe
from deep_protection.images import ImageRecord, as_image, read_image
from deep_protection.maps import Word
from deep_protection.maps.library import opencv
from deep_protection.maps.painting import flat_ground, ink_of_words, painted_over
from deep_protection.restoration import FitOptions, Preset, purify_each, with_holes

ROWS = ROOT / RESULTS / "painting.jsonl"
MOVES = ((60, 40), (-50, 110), (130, -70))
"""Rows and columns that the ink is moved by."""
SHEETS = 10
"""Tiles of the table, three moves each: it is shown when all are there."""
APART = 15
"""Pixels, to every side together, that it keeps from the words."""

Mask = NDArray[np.bool_]


def _by_prior(iterations: int) -> Callable[[Any, Mask], Any]:
    recipe = Recipe(generator="fast", precision="bfloat16", ema_decay=0.95, checkpoint_every=25)
    preset = Preset(name="painting", recipe=recipe, stop=f"fixed:{iterations}")

    def fill(sheet: Any, hidden: Mask) -> Any:
        image, missing = as_image(sheet), torch.from_numpy(hidden)
        ground, is_flat = flat_ground(image.pixels, missing)
        seen = with_holes(ImageRecord(torch.where(is_flat, ground, image.pixels)), ~missing | is_flat)
        (result,) = purify_each([seen], 1, preset, preset.rule(), FitOptions(workers=1))
        return image.to_original(torch.where(is_flat, ground, result.image))

    return fill


METHODS: dict[str, tuple[str, Callable[[Any, Mask], Any]]] = {
    "shipped": ("flat ground evenly, else Navier–Stokes (`extract-text`)", lambda s, h: painted_over(as_image(s), h)),
    "flat-prior": ("flat ground evenly, else the prior, 40 iterations", _by_prior(40)),
    "biharmonic": ("biharmonic (`inpaint`, filters alone)", lambda s, h: dp.inpaint(s, h, fits=0)),
}
KINDS = {"os": "seven tiles, black", "usgs": "three tiles, coloured"}


def run(folder: Path) -> None:
    """Every tile of which `maps` has rows."""
    torch.set_num_threads(1)
    known = {(row["sheet"], row["move"], row["method"]) for row in rows.read(ROWS)}
    found = [row for row in read_table(ROOT / RESULTS / "words.parquet") if row["method"] == "together"]
    for row in (row for row in found if "_x" in row["sheet"]):
        sheet = np.asarray(read_image(str(folder / row["sheet"]))[0].convert("RGB"))
        ink, _ = ink_of_words(sheet, [_word(each) for each in row["words"]])
        near = opencv().dilate(ink.astype(np.uint8), np.ones((APART, APART), np.uint8)) > 0
        for number, move in enumerate(MOVES):
            hidden = np.roll(ink, move, (0, 1)) & ~near
            given = sheet.copy()
            given[hidden] = 0  # nothing can be taken from there
            for name, (_, fill) in METHODS.items():
                if (row["sheet"], number, name) in known:
                    continue
                begin = time.process_time()
                made = np.asarray(fill(given, hidden))
                spent = time.process_time() - begin
                error = float(((made[hidden].astype(float) - sheet[hidden]) ** 2).sum())
                values = 3 * int(hidden.sum())
                about: Row = {"sheet": row["sheet"], "move": number, "method": name, "values": values}
                rows.append(ROWS, [about | {"squared_error": round(error), "cpu_seconds": round(spent, 3)}])
        sys.stderr.write(f"maps-painting: {row['sheet']}\n")


def _word(record: Row) -> Word:
    corners = tuple((float(x), float(y)) for x, y in record["corners"])
    return Word(record["text"], corners, record["confidence"], record["source"], record.get("read_as"))


def table() -> str:
    """PSNR where the ink was moved to, over all tiles of a kind, and CPU seconds a tile."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows.read(ROWS):
        found[row["method"], row["sheet"].split("_")[0]].append(row)
    lines = []
    for name, (title, _) in METHODS.items():
        own = [found[name, kind] for kind in KINDS]
        every = [row for each in own for row in each]
        if len(every) < SHEETS * len(MOVES):
            continue  # not measured yet
        cells = [f"{_psnr(each):.1f}" for each in own]
        lines.append([title, *cells, f"{sum(row['cpu_seconds'] for row in every) / len(every):.2g}", str(len(every))])
    if not lines:
        return "Not measured yet.\n"
    return block_markdown(Table(["", *(f"{kind}: PSNR, dB" for kind in KINDS.values()), "CPU s", "n"], lines))


def _psnr(found: list[Row]) -> float:
    error, values = (sum(row[name] for row in found) for name in ("squared_error", "values"))
    return 10 * log10(255**2 * values / error)
