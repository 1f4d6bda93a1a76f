"""Words with places: from lines of text, and from readings that agree."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from math import atan2, degrees

import numpy as np

from deep_protection.maps.reader import Line, Points

SUREST = 0.8
"""Confidence that a reading needs to be proposed as a word."""
WITNESSES = 2
"""Other readings of the same place that have to say the same, or a part of it."""
PART = 0.6
"""A reading bears a word out if it has at least this share of its letters, in their order, and no other."""
WHOLE = 4
"""Letters of a word that also counts as borne out where it stands within a longer reading, with scraps at its ends."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word on a sheet."""

    text: str
    corners: tuple[tuple[float, float], ...]
    """Four corners ``(x, y)`` in pixels of the sheet, in reading order: along the top, then back along the foot."""
    confidence: float
    """0 to 1, the recogniser's own."""
    source: str
    """``"sheet"``: read from the sheet as it is; ``"layer"``: from what was found in the residual."""

    @property
    def angle(self) -> float:
        """Direction of reading in degrees, 0 to the right, 90 downwards, -90 upwards."""
        (x0, y0), (x1, y1) = self.corners[:2]
        return degrees(atan2(y1 - y0, x1 - x0))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of what stands upright around it."""
        xs, ys = zip(*self.corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def bare(self) -> "Word":
        """Without what is neither letter nor figure at its ends: scraps of lines, mostly."""
        return replace(self, text=re.sub(r"^[\W_]+|[\W_]+$", "", self.text))

    def moved(self, right: float, down: float) -> "Word":
        return replace(self, corners=tuple((x + right, y + down) for x, y in self.corners))


def letters_of(text: str) -> str:
    """Letters alone, case-folded: what two readings are compared by."""
    return "".join(letter for letter in text.casefold() if letter.isalpha())


def words_in(line: Line, source: str) -> list[Word]:
    """The words of a line, each with its share of the line's length."""
    top = line.corners[1] - line.corners[0]
    foot = line.corners[2] - line.corners[3]
    found = []
    for match in re.finditer(r"\S+", line.text):
        begin, end = match.start() / len(line.text), match.end() / len(line.text)
        corners = np.array(
            [
                line.corners[0] + begin * top,
                line.corners[0] + end * top,
                line.corners[3] + end * foot,
                line.corners[3] + begin * foot,
            ]
        )
        found.append(Word(match.group(), as_corners(corners), line.confidence, source))
    return found


def as_corners(points: Points) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)


def covers(one: Word, other: Word, share: float) -> bool:
    """Whether their boxes share more than ``share`` of the smaller one."""
    a, b = one.box, other.box
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width > 0 and height > 0 and width * height > share * smaller


def agreed(layers: Iterable[list[list[Word]]]) -> list[Word]:
    """Words that several readings of one place bear out, the longest where they overlap.

    For every text layer all that was read from it, one list a reading. Layers show trees and houses too; of those every
    reading says something else, or one layer's readings alone agree.
    """
    said = [
        (word, letters_of(word.text), number, (number, turn))
        for number, readings in enumerate(layers)
        for turn, words in enumerate(readings)
        for word in words
    ]
    proposed = []
    for word, text, layer, reading in said:
        if word.confidence < SUREST or not text.isascii() or _is_a_row(text):
            continue
        around = [each for each in said if each[3] != reading and covers(each[0], word, 0.5)]
        witnesses = [each for each in around if _bears_out(each[1], text)]
        if len(witnesses) >= WITNESSES and any(each[2] != layer for each in witnesses):
            likeness = sum(SequenceMatcher(None, each[1], text).ratio() for each in around)
            proposed.append((len(text), likeness, word.confidence, word))
    proposed.sort(key=lambda item: item[:3], reverse=True)
    kept: list[Word] = []
    for *_, word in proposed:
        if not any(covers(word, other, 0.3) for other in kept):
            kept.append(word)
    return kept


def _is_a_row(text: str) -> bool:
    """Of trees, or houses: mostly one letter, three times at least."""
    most = max((text.count(letter) for letter in text), default=0)
    return len(set(text)) < 2 or (most > 2 and most > 0.6 * len(text))


def _bears_out(said: str, text: str) -> bool:
    """Whether ``said`` is a good part of ``text``, or all of it among other things."""
    left = iter(text)
    is_part = len(said) >= max(2, PART * len(text)) and all(letter in left for letter in said)
    return is_part or (len(text) >= WHOLE and text in said)


def together(sheet: list[Word], layer: list[Word]) -> list[Word]:
    """What the sheet itself said, and what the layer adds where the sheet said nothing, or single characters."""
    added = [word for word in layer if not any(len(other.text) > 1 and covers(word, other, 0.3) for other in sheet)]
    kept = [word for word in sheet if len(word.text) > 1 or not any(covers(word, other, 0.3) for other in added)]
    return kept + added
