"""A second look at the place of a word: frames cut letters off at the ends, and readers lose one of two that touch."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deep_protection.maps.library import opencv
from deep_protection.maps.reader import Points, Reader, cut_out
from deep_protection.maps.words import Word, as_corners, covers, letters_of

SHAPES = ((0.1, 1.0), (0.3, 1.0), (0.1, 1.3), (0.3, 1.3))
"""How a place is shown: what is added above and below, in heights of the frame, and times its length."""
NARROW, WIDE = 0.1, 1.0
"""Letters by which a look goes on beyond an end."""
AGREED = 0.9
"""Confidence that all looks have to have."""
SHORTEST = 3
"""Letters of a word that is looked at again."""
ON_ANOTHER = 0.1
"""Share of its frame that a longer word may have in common with another word, of the smaller one."""


Said = tuple[str, float]
"""Text and confidence."""


@dataclass(frozen=True, slots=True)
class Side:
    """Which ends of a word's frame a look goes on beyond, by so many letters."""

    before: float
    after: float

    def frame(self, word: Word, above: float = 0.0) -> Points:
        """The word's four corners moved outwards; ``above`` and below by so much of its height."""
        corners = np.array(word.corners)
        ahead, down = corners[1] - corners[0], corners[3] - corners[0]
        letter = ahead / max(1, len(word.text))
        moves = [
            -self.before * letter - above * down,
            self.after * letter - above * down,
            self.after * letter + above * down,
            -self.before * letter + above * down,
        ]
        made: Points = corners + np.array(moves)
        return made

    def is_one_more(self, text: str, own: str) -> bool:
        """Whether ``text`` is ``own`` with a letter more where this look may show one: inside, or at its wide end."""
        if len(text) != len(own) + 1:
            return False
        if self.before == WIDE:
            return text[1:] == own
        if self.after == WIDE:
            return text[:-1] == own
        return any(text[:at] + text[at + 1 :] == own for at in range(1, len(own)))


SIDES = (Side(NARROW, NARROW), Side(WIDE, NARROW), Side(NARROW, WIDE))


def look(reader: Reader, image: NDArray[np.uint8], word: Word, side: Side, shape: tuple[float, float]) -> Said:
    """What stands at a word's place on ``H×W×3`` RGB, its frame made wider."""
    above, stretched = shape
    strip = cut_out(image, side.frame(word, above))
    # Twice as large, too: what is enlarged by the engine itself is enlarged coarsely.
    size = (max(2, round(2 * stretched * strip.shape[1])), 2 * strip.shape[0])
    return reader.recognise(opencv().resize(strip, size, interpolation=opencv().INTER_CUBIC))


def looks(reader: Reader, image: NDArray[np.uint8], word: Word) -> Iterable[Said]:
    """All that can be seen at a word's place."""
    return (look(reader, image, word, side, shape) for side in SIDES for shape in SHAPES)


def completed(reader: Reader, image: NDArray[np.uint8], word: Word, others: list[Word]) -> Word:
    """The word with a letter that it lacks, if every look shows it; not one that stands on one of the ``others``.

    A letter beyond an end counts only where the look at the word alone does not show it: what that shows was not taken
    for a part of the word before.
    """
    own = letters_of(word.text)
    if len(own) < SHORTEST or len(own) < sum(sign.isalnum() for sign in word.text):
        return word
    alone = letters_of(look(reader, image, word, SIDES[0], SHAPES[0])[0])
    for side in SIDES[1:] if alone == own else SIDES[:1]:
        longer = _longer(reader, image, word, side)
        if longer is not None and not any(covers(longer, other, ON_ANOTHER) for other in others):
            return longer
    return word


def _longer(reader: Reader, image: NDArray[np.uint8], word: Word, side: Side) -> Word | None:
    own, said = letters_of(word.text), []
    for shape in SHAPES:
        said.append(look(reader, image, word, side, shape))
        text, confidence = letters_of(said[-1][0]), said[-1][1]
        if not side.is_one_more(text, own) or text != letters_of(said[0][0]) or confidence < AGREED:
            return None  # the first look ends it, mostly
    text, confidence = max(said, key=lambda each: each[1])
    made = Word(text, as_corners(side.frame(word)), confidence, word.source).bare()
    return None if " " in made.text else made
