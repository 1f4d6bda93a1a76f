"""Counting what was read on maps against what stands there. The truth stays with its owners; the counts are kept."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.rows import Row, append
from deep_protection.evaluation.experiment.store import read_table
from deep_protection.maps.words import letters_of

WORDS = Path("docs/results/maps/words.parquet")
SCORES = Path("docs/results/maps/scores.jsonl")
SHORTEST = 3
"""Letters of a word that counts: shorter ones are noise and numbers."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Truth:
    """What stands on a sheet."""

    words: list[tuple[str, Box]]
    boxes: list[Box]
    cut: list[Box]
    """Words that the sheet's edge cuts in two: what is read there neither counts nor harms."""


def score(folder: Path, words: Path = WORDS, out: Path = SCORES) -> None:
    """Every row of ``words`` against ``folder``'s ground_truth.json; ``out`` is written anew."""
    known = json.loads((folder / "ground_truth.json").read_text())
    read_words = list(read_table(words))
    read_words += [_as_read(row) for row in read_words if row["method"] == "together"]
    rows = [_scored(row, _truth(row["sheet"], known)) for row in read_words]
    out.unlink(missing_ok=True)
    append(out, rows)


def _as_read(row: Row) -> Row:
    """The same words as they were read, before the vocabulary changed a letter."""
    words = [{**word, "text": word.get("read_as") or word["text"]} for word in row["words"]]
    return {**row, "method": "as read", "words": words}


def _truth(sheet: str, known: dict[str, Any]) -> Truth:
    entries = [(letters_of(entry["text"]), _box(entry["bbox"])) for entry in known[sheet]]
    words = [(text, box) for text, box in entries if len(text) >= SHORTEST]
    return Truth(words, [box for _, box in entries], list(_cut(sheet, known)))


def _cut(sheet: str, known: dict[str, Any]) -> Iterable[Box]:
    """Words of the whole sheet that lie partly on this tile of it."""
    place = re.fullmatch(r"(os_.*)_x(\d+)_y(\d+)\.png", sheet)
    if place is None:
        return
    x, y, whole = int(place[2]), int(place[3]), {_box(entry["bbox"]) for entry in known[sheet]}
    for entry in known[f"{place[1]}_full.png"]:
        left, top, right, bottom = entry["bbox"]
        box = (left - x, top - y, right - x, bottom - y)
        if box not in whole and box[2] > 0 and box[3] > 0 and box[0] < 640 and box[1] < 640:
            yield (max(box[0], 0), max(box[1], 0), min(box[2], 640), min(box[3], 640))


def _box(values: Iterable[float]) -> Box:
    left, top, right, bottom = values
    return left, top, right, bottom


def _scored(row: Row, truth: Truth) -> Row:
    read_words = [(letters_of(word["text"]), _box(word["box"])) for word in row["words"]]
    counted = [
        (text, box)
        for text, box in read_words
        if len(text) >= SHORTEST and not any(_shared(box, cut) > 0.3 for cut in truth.cut)
    ]
    return {
        **{key: row[key] for key in ("sheet", "method", "cpu_seconds")},
        "truth": len(truth.words),
        "read": len(counted),
        "exact": _matched(counted, truth.words, 0),
        "within_one": _matched(counted, truth.words, 1),
        "boxes": len(truth.boxes),
        "boxes_found": sum(any(_iou(box, own) >= 0.5 for _, own in read_words) for box in truth.boxes),
    }


def _matched(counted: list[tuple[str, Box]], words: list[tuple[str, Box]], edits: int) -> int:
    """How many true words are met by a word of their own, of nearly the same letters in the same place."""
    left = list(counted)
    for text, box in words:
        for each in left:
            if _shared(each[1], box) > 0.3 and _distance(each[0], text) <= edits:
                left.remove(each)
                break
    return len(counted) - len(left)


def _distance(one: str, other: str) -> int:
    from torchmetrics.functional.text import edit_distance

    return int(edit_distance([one], [other], reduction="sum"))


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _area(box: Box) -> float:
    return max(1e-9, (box[2] - box[0]) * (box[3] - box[1]))


def _shared(one: Box, other: Box) -> float:
    """Of the smaller one."""
    return _overlap(one, other) / min(_area(one), _area(other))


def _iou(one: Box, other: Box) -> float:
    both = _overlap(one, other)
    return both / (_area(one) + _area(other) - both)
