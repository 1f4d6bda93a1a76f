"""A part of a sheet, small enough to be read at once: its layers, and all that is read from them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep_protection.maps.bands import MIDDLES, Band, letters_between
from deep_protection.maps.chains import Mark, chains, completed, directions, is_even, marks_of, straightened
from deep_protection.maps.lettering import ENLARGED, Ink, Mask, Sizes, darker, enlarged, layer, lettering, threshold
from deep_protection.maps.library import opencv
from deep_protection.maps.reader import Line, Points, Reader
from deep_protection.maps.words import Word, agreed, letters_of, together, words_in
from deep_protection.restoration.tiles import Tile

TURNS = ((0.0, 1.0), (0.0, 1.7), (-25.0, 1.4), (25.0, 1.4), (-80.0, 1.4), (80.0, 1.4))
"""How a text layer is shown to the reader: degrees, and times its height."""
FURTHER = (0, 1, 2)
"""Letters by which a band goes on at both ends of its chain."""
SAME_PLACE = 4
"""Pixels of the enlarged image that two chains may differ by and be one."""
LEGIBLE = 0.5
"""Confidence of a band's reading from which on it is worth going further."""
LONGEST_LINES = (30, 40)
"""Straight runs that are cut out as lines, in pixels: both are tried, for no length fits all letters."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a sheet, small enough to be read at once."""

    tile: Tile
    sheet: NDArray[np.uint8]
    """``h×w×3`` RGB of the part."""
    whole: tuple[int, int]
    """Height and width of the sheet."""
    inks: list[Ink]
    """Enlarged; one for every layer."""
    masks: list[Mask]
    layers: list[Ink]
    """``h×w`` ink of the lettering: from the residual, then from the sheet itself, once for each length of line."""

    @classmethod
    def of(cls, tile: Tile, sheet: NDArray[np.uint8], ink: Ink) -> "Window":
        """Residual ink leaves strokes thin and apart, the sheet's own whole: they break in different places."""
        part = tile_of(sheet, tile)
        own = 1 - part.max(axis=2).astype(np.float32) / 255
        residual = tile_of(ink, tile)
        inks = [residual, *[own] * len(LONGEST_LINES)]
        masks = [lettering(residual)] + [lettering(own, Sizes(line=length)) for length in LONGEST_LINES]
        layers = [layer(each, mask) for each, mask in zip(inks, masks, strict=True)]
        return cls(tile, part, (sheet.shape[0], sheet.shape[1]), [enlarged(each) for each in inks], masks, layers)

    def words(self, reader: Reader) -> list[Word]:
        """Words of the sheet as it is, and those that its layers add, in pixels of the sheet."""
        sheet = self.sheet_words(reader)
        return self.placed(self.found(reader, sheet, self.readings(reader, sheet)))

    def found(self, reader: Reader, sheet: list[Word], readings: list[list[list[Word]]]) -> list[Word]:
        """What the ``sheet`` said, what ``readings`` of its layers add, and then what bands add where nothing is yet.

        A layer of which nothing is given adds no chains to read bands along.
        """
        found = together(sheet, agreed(readings))
        silent_layers = [number for number, each in enumerate(readings) if not each]
        return together(found, agreed([*readings, *self.bands(reader, found, silent_layers)]))

    def placed(self, words: list[Word]) -> list[Word]:
        """Words of the window in pixels of the sheet, without those that its edges cut."""
        return [word.moved(self.tile.left, self.tile.top) for word in words if not self._is_cut(word)]

    def sheet_words(self, reader: Reader) -> list[Word]:
        """What the reader sees without our help, in pixels of the window."""
        return _words(reader.read_sheet(self.sheet), "sheet")

    def readings(self, reader: Reader, known: Sequence[Word] = ()) -> list[list[list[Word]]]:
        """For each layer: what the reader alone says of it, turned and stretched, and what its chains say.

        Chains that lie on ``known`` words are not read again.
        """
        silent = self._silent(known)
        made: list[list[list[Word]]] = []
        for ink, mask, shown in zip(self.inks, self.masks, self.layers, strict=True):
            if not mask.any():
                made.append([])
                continue
            turned = [_words(reader.read(on_paper(shown), turned=t, stretched=s), "layer") for t, s in TURNS]
            dark, found = darker(ink), _chains(mask, silent)
            longer = [completed(chain, dark) for chain in found]
            grown = [new for new, old in zip(longer, found, strict=True) if len(new) > len(old)]
            made.append(
                [*turned, *([word for c in each for word in _chained(reader, c, ink)] for each in (found, grown))]
            )
        return made

    def bands(self, reader: Reader, known: Sequence[Word] = (), without: Sequence[int] = ()) -> list[list[list[Word]]]:
        """What stands between lines along the chains: for each length of band, a list for each of ``MIDDLES``.

        Bands show the sheet itself, so each length is a layer of its own to those who ask whether readings agree. A
        chain that several layers have is read once; layers ``without`` count for nothing.
        """
        ink, silent = self.inks[-1], self._silent(known)
        level = threshold(ink)
        made: list[list[list[Word]]] = [[[] for _ in MIDDLES] for _ in FURTHER]
        seen: set[bytes] = set()
        for number, mask in enumerate(self.masks):
            for chain in _chains(mask, silent) if number not in without else ():
                places = np.round(np.array([mark.centre for mark in chain]) / SAME_PLACE).astype(np.int32).tobytes()
                if places in seen:
                    continue
                seen.add(places)
                for attempt, middle in enumerate(MIDDLES):
                    for length, further in enumerate(FURTHER):
                        line = _along(reader, chain, further, middle, ink, level)
                        if line is None or line.confidence < LEGIBLE:
                            break
                        made[length][attempt] += [word.bare() for word in words_in(line, "layer")]
        return made

    def _silent(self, known: Sequence[Word]) -> NDArray[np.uint8]:
        """``h×w``: zero where a known word stands."""
        silent = np.ones(self.sheet.shape[:2], np.uint8)
        for word in known:
            if len(word.text) > 1:
                opencv().fillPoly(silent, [np.round(np.array(word.corners)).astype(np.int32)], 0)
        return silent

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


def _words(lines: list[Line], source: str) -> list[Word]:
    return [word for line in lines for word in words_in(line, source)]


def _chains(mask: Mask, places: NDArray[np.uint8]) -> list[list[Mark]]:
    """Rows of letters of one height, where ``places`` is one."""
    marks = marks_of(mask)
    found = [[marks[number] for number in chain] for chain in chains(marks)]
    return [chain for chain in found if _lies_on(places, chain) and is_even(chain)]


def _lies_on(places: NDArray[np.uint8], chain: list[Mark]) -> bool:
    """Whether more than half of a chain's marks have their middle where ``places`` is one."""
    height, width = places.shape
    middles = np.array([mark.centre for mark in chain]) / ENLARGED
    columns, rows = np.clip(middles.astype(int), 0, (width - 1, height - 1)).T
    return bool(places[rows, columns].mean() > 0.5)


def _chained(reader: Reader, chain: list[Mark], ink: Ink) -> Iterator[Word]:
    """What a chain of marks says; about as many letters as marks, or nothing."""
    strips = (straightened(marks, ink) for marks in directions(chain))
    best = _surest(reader, ((strip.image, strip.corners) for strip in strips))
    if best is not None and abs(len(letters_of(best.text)) - len(chain)) <= 1:
        yield from words_in(best, "layer")


def _along(reader: Reader, chain: list[Mark], further: int, middle: float, ink: Ink, level: float) -> Line | None:
    """What stands in the band along a chain."""
    bands = (Band.through(marks, further) for marks in directions(chain))
    shown = (letters_between(band, ink, level, middle) for band in bands)
    return _surest(reader, (strip for strip in shown if strip is not None))


def _surest(reader: Reader, strips: Iterable[tuple[NDArray[np.uint8], Points]]) -> Line | None:
    """The reading of one chain from whichever end it reads better; each strip comes with its corners on the sheet."""
    lines = []
    for image, corners in strips:
        text, confidence = reader.recognise(image)
        lines.append(Line(text, corners, confidence))
    return max(lines, key=lambda line: line.confidence, default=None)
