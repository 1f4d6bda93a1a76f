"""Words with places: from lines of text, and from readings that agree."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from math import atan2, degrees

import numpy as np

from deep_protection.maps.library import geometry
from deep_protection.maps.reader import Line, Points

SUREST = 0.8
"""Confidence that a reading needs to be proposed as a word."""
SURE = 0.9
"""Confidence from which on a word of the sheet itself yields to no other reading of its place."""
ALONE = 0.7
"""Confidence from which on a word of the sheet itself needs no witness."""
WITNESSES = 2
"""Other readings of the same place that have to say the same, or a part of it."""
PART = 0.6
"""A reading bears a word out if it has at least this share of its letters, in their order, and no other."""
CUT = 2
"""Letters that a word of the sheet may have lost at its ends, where a sure reading of a layer has them."""
LENGTH = 0.25
"""What a letter more weighs against likeness: readings lose letters more often than they invent them."""
TAKEN = 0.3
"""Share of the smaller frame that two words share from which on they are at one place."""
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
    read_as: str | None = None
    """What was read, where ``text`` is the word of the vocabulary that is a letter off."""

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


def spans_of(text: str) -> list[tuple[float, float]]:
    """Where each word of a line begins and ends, as shares of its letters."""
    return [(match.start() / len(text), match.end() / len(text)) for match in re.finditer(r"\S+", text)]


def words_in(line: Line, source: str) -> list[Word]:
    """The words of a line, each with its share of the line's length."""
    top = line.corners[1] - line.corners[0]
    foot = line.corners[2] - line.corners[3]
    found = []
    for text, (begin, end) in zip(line.text.split(), spans_of(line.text), strict=True):
        corners = np.array(
            [
                line.corners[0] + begin * top,
                line.corners[0] + end * top,
                line.corners[3] + end * foot,
                line.corners[3] + begin * foot,
            ]
        )
        found.append(Word(text, as_corners(corners), line.confidence, source))
    return found


def as_corners(points: Points) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)


def covers(one: Word, other: Word, share: float) -> bool:
    """Whether their frames share more than ``share`` of the smaller one."""
    return bool(Places([one]).shared(other)[0] > share)


def is_taken(word: Word, others: Iterable[Word]) -> bool:
    """Whether one of the others stands at its place."""
    return any(covers(word, other, TAKEN) for other in others)


class Places:
    """Frames of words, turned as they are, to ask which lie on another's."""

    def __init__(self, words: list[Word]) -> None:
        shapely = geometry()
        # What crosses itself, as a frame of nothing may, has no area to share.
        self._frames = shapely.make_valid(
            shapely.polygons(np.array([word.corners for word in words]).reshape(-1, 4, 2))
        )
        self._areas = shapely.area(self._frames)

    def shared(self, word: Word) -> Points:
        """For each of them the share of the smaller frame that both cover."""
        shapely = geometry()
        frame = shapely.make_valid(shapely.polygons(np.array(word.corners)))
        least = np.minimum(self._areas, shapely.area(frame))
        made: Points = np.zeros(len(self._frames))
        near = np.flatnonzero(shapely.intersects(self._frames, frame) & (least > 0))
        made[near] = shapely.area(shapely.intersection(self._frames[near], frame)) / least[near]
        return made


def agreed(layers: Iterable[list[list[Word]]]) -> list[Word]:
    """Words that several readings of one place bear out; where they overlap, the one that is most like all readings.

    For every text layer all that was read from it, one list a reading. Layers show trees and houses too; of those every
    reading says something else, or one layer's readings alone agree.
    """
    said = [
        (word, letters_of(word.text), number, (number, turn))
        for number, readings in enumerate(layers)
        for turn, words in enumerate(readings)
        for word in words
    ]
    places = Places([word for word, *_ in said])
    proposed = []
    for word, text, layer, reading in said:
        if word.confidence < SUREST or not text or _is_a_row(text):
            continue
        near = np.flatnonzero(places.shared(word) > 0.5)
        around = [said[number] for number in near if said[number][3] != reading]
        witnesses = [each for each in around if _bears_out(each[1], text)]
        if len(witnesses) >= WITNESSES and any(each[2] != layer for each in witnesses):
            likeness = sum(SequenceMatcher(None, each[1], text).ratio() * each[0].confidence for each in around)
            proposed.append(((likeness + LENGTH * len(text)) * word.confidence, word))
    proposed.sort(key=lambda item: item[0], reverse=True)
    kept: list[Word] = []
    for *_, word in proposed:
        if not is_taken(word, kept):
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


def is_borne_out(word: Word, layers: Iterable[list[list[Word]]]) -> bool:
    """Whether it is sure, or a reading of a layer says it, too, or a part of it."""
    if word.confidence >= ALONE:
        return True
    text = letters_of(word.text)
    said = (other for readings in layers for words in readings for other in words)
    return any(_bears_out(letters_of(other.text), text) and covers(word, other, 0.5) for other in said)


def merged(words: list[Word], more: list[Word]) -> list[Word]:
    """Words of two readings or windows: of what both have, what is of the vocabulary, the longer, the surer."""
    kept = list(words)
    for word in more:
        rivals = [other for other in kept if covers(word, other, 0.5)]
        if all(_worth(word) > _worth(other) for other in rivals):
            kept = [other for other in kept if other not in rivals] + [word]
    return kept


def _worth(word: Word) -> tuple[bool, int, float]:
    return word.read_as is not None, len(letters_of(word.text)), word.confidence


def together(sheet: list[Word], layer: list[Word]) -> list[Word]:
    """What the sheet itself said, and what the layer adds where that was nothing, single signs or less sure."""

    def yields(word: Word, other: Word) -> bool:
        own, theirs = letters_of(word.text), letters_of(other.text)
        longer = len(theirs) - len(own) if own in theirs else 0
        is_part = longer > 0 and (len(own) < WHOLE or (longer <= CUT and other.confidence >= SURE))
        return len(word.text) < 2 or is_part or (word.confidence < SURE and other.confidence > word.confidence)

    added = [
        word
        for word in layer
        if not _is_glued(word, sheet) and all(yields(other, word) for other in sheet if covers(word, other, TAKEN))
    ]
    return [word for word in sheet if not is_taken(word, added)] + added


def _is_glued(word: Word, sheet: list[Word]) -> bool:
    """Whether it is two or more words of the sheet, run together: chains see no gaps."""
    parts = [letters_of(other.text) for other in sheet if covers(word, other, 0.5)]
    parts = [part for part in parts if len(part) > 1]
    return len(parts) > 1 and sum(map(len, parts)) >= len(letters_of(word.text)) - 1
