"""A part of a sheet: its text layers, and the words that it and they say."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep_protection.maps.again import completed, looks
from deep_protection.maps.bands import MIDDLES, Band, letters_between
from deep_protection.maps.chains import Mark, chains, directions, is_even, marks_of, straightened
from deep_protection.maps.lettering import ENLARGED, Ink, Mask, Sizes, enlarged, layer, lettering, threshold
from deep_protection.maps.library import opencv
from deep_protection.maps.outlines import outlined
from deep_protection.maps.reader import Line, Points, Reader
from deep_protection.maps.streets import beyond, on
from deep_protection.maps.vocabulary import Vocabulary, corrected
from deep_protection.maps.words import (
    Places,
    Word,
    agreed,
    is_borne_out,
    is_taken,
    letters_of,
    merged,
    together,
    words_in,
)
from deep_protection.restoration.tiles import Tile

TURNED = (30.0, 1.4)
"""How the black ink of a coloured sheet is shown to the reader once more: degrees, and times its height."""
FURTHER = (0, 1, 2)
"""Letters by which a band goes on at both ends of its chain."""
SAME_PLACE = 6
"""Pixels of the enlarged image that marks of two chains may differ by and be one."""
LEGIBLE = 0.5
"""Confidence of a band's reading from which on it is worth going further."""
PROMISING = 0.5
"""Confidence of a chain's reading from which on its band is read: rows of trees say nothing with confidence."""
LONGEST_LINES = (30, 40)
"""Straight runs that are cut out as lines, in pixels: both are tried, for no length fits all letters."""
TINT, TINTED = 20, 0.02
"""Spread of a pixel's channels, of 255 and beyond the paper's, that makes it coloured; and the share of such pixels
that makes a sheet coloured."""
BLACKEST = 0.998
"""Share of pixels that are paler than what is shown black."""
PALE = 0.35
"""Of black, what coloured ink is at the most."""
KNOWN, ON_KNOWN = 0.9, 0.85
"""Confidence of a word from which on its place is not read again; and the share of a chain's marks that have to stand
there: a chain may go on where the word was cut short."""


@dataclass(frozen=True)
class Window:
    """A part of a sheet, small enough to be read at once."""

    tile: Tile
    sheet: NDArray[np.uint8]
    """``h×w×3`` RGB of the part."""
    whole: tuple[int, int]
    """Height and width of the sheet."""
    ink: Ink
    """``h×w`` in ``[0, 1]``: how dark the sheet is in its lightest channel, as only black is and no coloured ink."""
    black: Ink | None
    """Of a coloured sheet: ``h×w`` in ``[0, 1]``, black ink as dark as print on white paper, other colours pale."""
    masks: list[Mask]
    """Enlarged; lettering of the sheet's own ink, once for each length of line."""
    layers: list[Ink]
    """``h×w`` ink of the lettering: from the residual, then from the sheet itself."""

    @classmethod
    def of(cls, tile: Tile, sheet: NDArray[np.uint8], ink: Ink) -> "Window":
        """Of a sheet and its residual's ``ink``; a sheet that is light on dark is to be given turned round."""
        part = tile_of(sheet, tile)
        own: Ink = 1 - part.max(axis=2).astype(np.float32) / 255
        black = _black(own) if is_coloured(part) else None
        if black is not None:
            # Where contours crowd, a threshold between ink and paper falls between them and paper.
            own = np.clip((black - PALE) / (1 - PALE), 0, 1)
        masks = [lettering(own, Sizes(line=length)) for length in LONGEST_LINES]
        residual = np.where(own > threshold(own), tile_of(ink, tile), 0).astype(np.float32)
        layers = [layer(residual, lettering(residual)), *(layer(own, mask) for mask in masks)]
        return cls(tile, part, (sheet.shape[0], sheet.shape[1]), own, black, masks, layers)

    def words(
        self, reader: Reader, seen: Sequence[Line], vocabulary: Vocabulary | None = None
    ) -> tuple[list[Word], list[Word]]:
        """Words of the sheet as it is and those that its layers add; and what is doubtful: in pixels of the sheet.

        ``seen`` are lines that were read of the whole sheet: the sure ones are not read again. Doubtful is what the
        sheet alone says, and without confidence.
        """
        sheet = self.sheet_words(reader, seen)
        readings = self.readings(reader, sheet)
        found = self.found(reader, sheet, readings, vocabulary)
        doubtful = [word for word in sheet if not is_borne_out(word, readings)]
        return self.placed(found), self.placed(doubtful)

    def found(
        self,
        reader: Reader,
        sheet: list[Word],
        readings: list[list[list[Word]]],
        vocabulary: Vocabulary | None = None,
    ) -> list[Word]:
        """What the ``sheet`` said, and what ``readings`` and bands add, spelt as all of that bears out."""
        own = [word for word in sheet if is_borne_out(word, readings)]
        # All chains but those on words of the sheet have bands: a chain may have lost the letters at its ends.
        layers = [*readings, [sheet], *self.bands(reader, own)]
        words = self._spelt(reader, together(own, agreed(layers)), layers, vocabulary)
        more = [word for word in self.beyond(reader, words, own) if not is_taken(word, words)]
        return words + self._spelt(reader, more, layers, vocabulary)

    def _spelt(
        self, reader: Reader, words: list[Word], layers: list[list[list[Word]]], vocabulary: Vocabulary | None
    ) -> list[Word]:
        """With letters that they lack, and as words of the vocabulary that they are a letter off."""
        whole = [completed(reader, self.shown, word, [other for other in words if other is not word]) for word in words]
        if vocabulary is None:
            return whole
        said = [word for readings in layers for each in readings for word in each]
        places = Places(said)

        def judged(word: Word) -> Word:
            near = (said[number] for number in np.flatnonzero(places.shared(word) > 0.5))
            return corrected(word, near, lambda: looks(reader, self.shown, word), vocabulary)

        return [judged(word) for word in whole]

    def beyond(self, reader: Reader, words: list[Word], known: Sequence[Word] = ()) -> list[Word]:
        """What stands on along the streets that ``words`` of chains stand in."""
        found: list[Word] = []
        ink, level = self._large
        for chain in self._rows(self._places(known)):
            word = on(chain, words)
            if word is not None:
                heading = np.array(word.corners[1]) - np.array(word.corners[0])
                is_forth = float((chain[-1].centre - chain[0].centre) @ heading) > 0
                way = chain if is_forth else chain[::-1]
                found += [each for each in beyond(reader, way, word, ink, level) if not is_taken(each, found)]
        return found

    @cached_property
    def shown(self) -> NDArray[np.uint8]:
        """The part as it is looked at again: of a coloured sheet its black ink."""
        return self.sheet if self.black is None else on_paper(self.black)

    def placed(self, words: list[Word]) -> list[Word]:
        """Words of the window in pixels of the sheet, without those that its edges cut."""
        return [word.moved(self.tile.left, self.tile.top) for word in words if not self._is_cut(word)]

    def sheet_words(self, reader: Reader, seen: Sequence[Line]) -> list[Word]:
        """What the reader sees without our help, in pixels of the window; all of that may have been ``seen`` before.

        Of a coloured sheet, it also sees black ink alone.
        """
        corner = np.array([self.tile.left, self.tile.top])
        moved = [replace(line, corners=line.corners - corner) for line in seen]
        words = self._words([line for line in moved if self._holds(line.corners)], "sheet")
        if self.ink.shape != self.whole:
            words = merged(words, self._words(reader.read(self.sheet, signs=False, known=self._places(words)), "sheet"))
        if self.black is not None:
            words = merged(words, self._words(reader.read(on_paper(self.black)), "layer"))
        return words

    def readings(self, reader: Reader, known: Sequence[Word] = ()) -> list[list[list[Word]]]:
        """What layers say, where nothing is ``known``.

        The residual's, black ink turned where the sheet is coloured, and of each lettering what the reader alone says
        of it and what its chains say.
        """
        places = self._places(known)
        residual, *own = self.layers
        shown = [on_paper(residual)] if residual.any() else []
        made = [[self._read(reader, image, places)] for image in shown]
        if self.black is not None:
            black = on_paper(self.black)
            turned, stretched = TURNED
            made.append([self._read(reader, black, places, turned=turned, stretched=stretched)])
        for mask, rows, letters in zip(self.masks, self._chains, own, strict=True):
            if mask.any():
                near = (chain for chain in rows if not _lies_on(places, chain))
                chained = [word for chain in near for word in _chained(chain, self._line(reader, chain))]
                # Of a coloured sheet the detector has seen all of this, in its black ink.
                straight = self._read(reader, on_paper(letters), places) if self.black is None else []
                made.append([straight, chained])
        return made

    def bands(self, reader: Reader, known: Sequence[Word] = ()) -> list[list[list[Word]]]:
        """What stands between lines along the chains: for each length of band, a list for each of ``MIDDLES``.

        Bands show the sheet itself, so each length is a layer of its own to those who ask whether readings agree. A
        chain that several layers have is read once.
        """
        (ink, level), places = self._large, self._places(known)
        made: list[list[list[Word]]] = [[[] for _ in MIDDLES] for _ in FURTHER]
        for chain in self._rows(places):
            if self._line(reader, chain).confidence < PROMISING:
                continue
            for attempt, middle in enumerate(MIDDLES):
                lines = list(_along(reader, chain, middle, ink, level))
                for length, line in enumerate(lines):
                    made[length][attempt] += [word.bare() for word in words_in(line, "layer")]
                if not lines:
                    break
        return made

    @cached_property
    def _large(self) -> tuple[Ink, float]:
        """The ink, enlarged, that chains and bands are read from; and the threshold between it and paper."""
        ink = enlarged(self.ink)
        return ink, threshold(ink)

    @cached_property
    def _chains(self) -> list[list[list[Mark]]]:
        """For each mask rows of letters of one height."""
        made = []
        for mask in self.masks:
            marks = marks_of(mask)
            rows = [[marks[number] for number in chain] for chain in chains(marks)]
            made.append([chain for chain in rows if is_even(chain)])
        return made

    @cached_property
    def _lines(self) -> dict[int, Line]:
        """What chains say that were read, by their ``id``."""
        return {}

    def _line(self, reader: Reader, chain: list[Mark]) -> Line:
        """What a chain of marks says, set straight."""
        if id(chain) not in self._lines:
            strips = (straightened(marks, self._large[0]) for marks in directions(chain))
            self._lines[id(chain)] = _surest(reader, ((strip.image, strip.corners) for strip in strips))
        return self._lines[id(chain)]

    def _rows(self, known: Mask) -> Iterator[list[Mark]]:
        """Chains of all masks, but where words are ``known``; what several have, once."""
        seen: list[Points] = []
        for chain in (each for rows in self._chains for each in rows if not _lies_on(known, each)):
            centres = np.array([mark.centre for mark in chain])
            if not _is_again(centres, seen):
                seen.append(centres)
                yield chain

    def _read(self, reader: Reader, image: NDArray[np.uint8], known: Mask, **how: float) -> list[Word]:
        """Words of a layer: more than single signs, where nothing is known."""
        return self._words(reader.read(image, signs=False, known=known, **how), "layer")

    def _words(self, lines: list[Line], source: str) -> list[Word]:
        """Framed by the ink that is left where lines are cut out."""
        ink = opencv().resize(self.masks[-1].astype(np.uint8), self.ink.shape[::-1], interpolation=opencv().INTER_AREA)
        return [word for line in lines for word in outlined(line, ink > 0, source)]

    def _holds(self, corners: Points) -> bool:
        """Whether all of it lies in the window, but for a detector's margin."""
        height, width = self.ink.shape
        return bool((corners >= -3).all() and (corners <= (width + 3, height + 3)).all())

    def _places(self, known: Sequence[Word]) -> Mask:
        """``h×w``: where a sure word stands."""
        places = np.zeros(self.ink.shape, np.uint8)
        for word in known:
            if len(word.text) > 1 and word.confidence >= KNOWN:
                opencv().fillPoly(places, [np.round(np.array(word.corners)).astype(np.int32)], 1)
        return places.astype(bool)

    def _is_cut(self, word: Word) -> bool:
        """Whether it touches an edge where the sheet goes on: a neighbour has all of it."""
        left, top, right, bottom = word.box
        tile, (height, width) = self.tile, self.whole
        return (
            (left < 3 and tile.left > 0)
            or (top < 3 and tile.top > 0)
            or (right > tile.right - tile.left - 3 and tile.right < width)
            or (bottom > tile.bottom - tile.top - 3 and tile.bottom < height)
        )


def tile_of(values: NDArray[Any], tile: Tile) -> NDArray[Any]:
    """A view of a tile's rows and columns."""
    return values[tile.top : tile.bottom, tile.left : tile.right]


def on_paper(ink: Ink) -> NDArray[np.uint8]:
    """``H×W`` ink as ``H×W×3`` RGB, dark on white."""
    return np.repeat((255 * (1 - ink)).astype(np.uint8)[..., None], 3, axis=2)


def is_coloured(part: NDArray[np.uint8]) -> bool:
    """Whether a good part of it is of another colour than paper and black."""
    spread = np.ptp(part, axis=2).astype(np.int16)
    return bool((spread > np.median(spread) + TINT).mean() > TINTED)


def _black(ink: Ink) -> Ink:
    """Black ink as dark as print, and paper as nothing."""
    paper = float(np.median(ink))
    made: Ink = np.clip((ink - paper) / max(float(np.quantile(ink, BLACKEST)) - paper, 0.3), 0, 1)
    return made


def _lies_on(known: Mask, chain: list[Mark]) -> bool:
    """Whether nearly all of a chain's marks have their middle where something is known."""
    height, width = known.shape
    middles = np.array([mark.centre for mark in chain]) / ENLARGED
    columns, rows = np.clip(middles.astype(int), 0, (width - 1, height - 1)).T
    return bool(known[rows, columns].mean() > ON_KNOWN)


def _is_again(centres: Points, seen: list[Points]) -> bool:
    """Whether nearly all marks of a chain are those of one that was ``seen``, of as many but one."""
    for other in seen:
        if abs(len(other) - len(centres)) < 2:
            nearest = np.linalg.norm(centres[:, None] - other[None], axis=2).min(axis=1)
            if (nearest < SAME_PLACE).mean() > ON_KNOWN:
                return True
    return False


def _chained(chain: list[Mark], line: Line) -> Iterator[Word]:
    """Words of a chain; about as many letters as marks, or nothing."""
    if abs(len(letters_of(line.text)) - len(chain)) <= 1:
        yield from words_in(line, "layer")


def _along(reader: Reader, chain: list[Mark], middle: float, ink: Ink, level: float) -> Iterator[Line]:
    """What stands in the band along a chain, and in longer ones, as long as it is legible."""
    ways = directions(chain)
    for further in FURTHER:
        read = []
        for marks in ways:
            shown = letters_between(Band.through(marks, further), ink, level, middle)
            if shown is not None:
                read.append((_surest(reader, [shown]), marks))
        line, way = max(read, key=lambda each: each[0].confidence, default=(None, None))
        if line is None or way is None or line.confidence < LEGIBLE:
            return
        ways = [way]  # it is read from one end only
        yield line


def _surest(reader: Reader, strips: Iterable[tuple[NDArray[np.uint8], Points]]) -> Line:
    """The reading of one chain from whichever end it reads better; each strip comes with its corners on the sheet."""
    lines = []
    for image, corners in strips:
        text, confidence = reader.recognise(image)
        lines.append(Line(text, corners, confidence))
    return max(lines, key=lambda line: line.confidence)
