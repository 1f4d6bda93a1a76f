"""On along a street: names of several words stand in it, and of some too few letters are free to make a chain."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from deep_protection.maps.bands import Band, letters_between
from deep_protection.maps.chains import Mark
from deep_protection.maps.lettering import ENLARGED, Ink
from deep_protection.maps.library import geometry
from deep_protection.maps.reader import Points, Reader
from deep_protection.maps.words import Word, as_corners, letters_of

FURTHER = (4, 6, 8, 10)
"""Letters by which the band along a word goes on at both ends."""
LEGIBLE = 0.8
"""Confidence that such a long band is read with."""
KNOWN, LONG = 0.9, 4
"""Confidence and letters of a word that is worth following."""
SHORTEST, TWICE = 3, 2
"""Letters of a word beyond; and how many bands have to say it."""
OWN = 0.85
"""Share of a chain's marks that stand in the word's frame."""


def on(chain: list[Mark], words: list[Word]) -> Word | None:
    """The word that a chain of marks is of, if it is worth following."""
    shapely = geometry()
    places = shapely.points(np.array([mark.centre for mark in chain]) / ENLARGED)
    for word in words:
        if word.confidence >= KNOWN and len(letters_of(word.text)) >= LONG:
            frame = shapely.make_valid(shapely.polygons(np.array(word.corners)))
            if shapely.contains(frame, places).mean() >= OWN:
                return word
    return None


def beyond(reader: Reader, way: list[Mark], word: Word, ink: Ink, level: float) -> Iterator[Word]:
    """Words before and after ``word`` on the band along its marks, where two bands agree."""
    own = letters_of(word.text)
    found: tuple[list[Word], list[Word]] = ([], [])
    for further in FURTHER:
        shown = letters_between(Band.through(way, further), ink, level)
        if shown is None:
            continue
        strip, corners = shown
        text, confidence = reader.recognise(strip)
        at = text.casefold().find(own)
        if at < 0 or confidence < LEGIBLE:
            continue
        for side, (begin, end) in enumerate(((0, at), (at + len(own), len(text)))):
            found[side].append(_part(text, begin, end, corners, confidence))
    for parts in found:
        said = Counter(letters_of(each.text) for each in parts)
        best, times = said.most_common(1)[0] if said else ("", 0)
        if times >= TWICE and len(best) >= SHORTEST:
            yield next(each for each in parts if letters_of(each.text) == best)


def _part(text: str, begin: int, end: int, corners: Points, confidence: float) -> Word:
    """Some letters of a line, without scraps at its ends, on their share of its length."""
    bare = text[begin:end].strip(" ")
    begin += text[begin:end].find(bare)
    shares = begin / len(text), (begin + len(bare)) / len(text)
    top, foot = corners[1] - corners[0], corners[2] - corners[3]
    frame = [corners[0] + shares[0] * top, corners[0] + shares[1] * top, corners[3] + shares[1] * foot]
    return Word(bare, as_corners(np.array([*frame, corners[3] + shares[0] * foot])), confidence, "layer").bare()
