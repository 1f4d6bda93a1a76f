"""Sheets that lie on their side or their head: seen from most of their lettering, set upright to be read."""

from dataclasses import replace
from math import atan2, degrees

import numpy as np

from deep_protection.maps.reader import Line
from deep_protection.maps.words import Word, letters_of

LEAST_LETTERS = 8
"""Letters that have to lie in one direction before a sheet is turned."""
MOST = 0.5
"""Share of all letters that they have to be more than."""


def quarters_turned(lines: list[Line]) -> int:
    """Quarters that a sheet has to be turned by, against the clock, for most of its letters to stand upright."""
    votes = np.zeros(4)
    for line in lines:
        letters = letters_of(line.text)
        if len(letters) > 1:
            right, down = line.corners[1] - line.corners[0]
            votes[round(degrees(atan2(down, right)) / 90) % 4] += len(letters) * line.confidence
    best = int(votes.argmax())
    return best if votes[best] >= LEAST_LETTERS and votes[best] > MOST * votes.sum() else 0


def as_it_lay(word: Word, quarters: int, size: tuple[int, int]) -> Word:
    """A word of a sheet that was turned by so many quarters, on the sheet as it was, of ``size`` height × width."""
    height, width = size
    corners = word.corners
    if quarters == 1:
        corners = tuple((width - y, x) for x, y in corners)
    elif quarters == 2:
        corners = tuple((width - x, height - y) for x, y in corners)
    elif quarters == 3:
        corners = tuple((y, height - x) for x, y in corners)
    return replace(word, corners=corners)
