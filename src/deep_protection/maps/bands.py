"""Words between lines: names of streets stand in the street, and their letters touch its sides.

Cut out of the lines that they touch, such letters are maimed. But a chain of what is left of them says where the word
runs. So the whole band along it is set straight, lines and all; between the letters one sees how far it is free, and
what lies beyond is taken away over the letters too.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deep_protection.maps.chains import Mark, framed, space, to_be_read, to_the_right
from deep_protection.maps.lettering import ENLARGED, Ink
from deep_protection.maps.library import opencv
from deep_protection.maps.reader import Points

AROUND = 1.1
"""Half a band's width, in letter heights: letters, and lines that they may touch."""
MIDDLES = (0.35, 0.4)
"""Half of the strip along the middle that every letter crosses, in letter heights, which chains know roughly: both are
tried."""
GAP = 0.3
"""Free columns in a row that part letters, in letter heights; strokes of one letter stand closer."""
OPENING = 0.3
"""A gap's width over the usual one from which on it is between letters, not within one."""
LEAST_FREE = 0.15
"""Share of a band that has to be free: what has less is no row of letters set apart."""


@dataclass(frozen=True, slots=True)
class Band:
    """A line through the middle of a row of letters, point by point, in pixels of the enlarged image."""

    places: Points
    """``L×2``, a pixel apart."""
    along: Points
    """``L×2``: unit vectors in the direction of reading."""
    height: float
    """Of a letter."""
    pitch: float
    """From letter to letter."""

    @classmethod
    def through(cls, chain: list[Mark], further: int) -> "Band":
        """Through a chain's marks, bent no more than a parabola, and ``further`` letters on at both ends."""
        places, along, reach = framed(chain)
        gaps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        height, pitch = float(np.median(reach[:, 3] - reach[:, 2])), float(np.median(gaps))
        middles = places + to_the_right(along) * reach[:, 2:].mean(axis=1, keepdims=True)
        at = np.concatenate([[0.0], np.cumsum(gaps)])
        # Three places bend a parabola at will.
        bent = [np.polynomial.Polynomial.fit(at, values, 2 if len(chain) > 4 else 1) for values in middles.T]
        more = further * pitch + 0.6 * height
        way = np.arange(-more, at[-1] + more)
        inside = np.clip(way, 0, at[-1])  # beyond the chain straight on
        heading = _normal(np.column_stack([curve.deriv()(inside) for curve in bent]))
        points = np.column_stack([curve(inside) for curve in bent]) + heading * (way - inside)[:, None]
        return cls(points, heading, height, pitch)

    def straightened(self, ink: Ink) -> Ink:
        """The band of ``ink`` as a level strip, ``H×L``, its middle in the middle row; a pixel is a pixel."""
        half = round(AROUND * self.height)
        away = np.arange(-half, half + 1.0)[:, None]
        across = to_the_right(self.along)
        xs, ys = (self.places[:, axis] + away * across[:, axis] for axis in (0, 1))
        made: Ink = opencv().remap(ink, xs.astype(np.float32), ys.astype(np.float32), opencv().INTER_LINEAR)
        return made

    def moved(self, sideways: Points) -> "Band":
        """With every place so far to the right of the direction of reading."""
        places = self.places + to_the_right(self.along) * sideways[:, None]
        return replace(self, places=places, along=_normal(np.gradient(places, axis=0)))


@dataclass(frozen=True, slots=True)
class Free:
    """How far a strip is free of lines, column by column: rows of the first and last free pixel."""

    top: Points
    foot: Points


def letters_between(
    band: Band, ink: Ink, level: float, middle: float = MIDDLES[0]
) -> tuple[NDArray[np.uint8], Points] | None:
    """What stands in a band, free of lines and set close, to be read; and where. None where no letters stand apart.

    ``ink`` is that of the enlarged image, in ``[0, 1]``; above ``level`` it is dark; ``middle`` is one of
    ``MIDDLES``. The strip is ``48×W×3`` RGB, the corners ``4×2`` in pixels of the sheet, in reading order.
    """
    moves_left = 2  # a chain knows the middle of what is free roughly, a look at its band better
    while True:
        strip = band.straightened(ink)
        dark = strip > level
        free = _free(dark, band.height, middle)
        if free is None:
            return None
        if not moves_left:
            break
        moves_left -= 1
        aside = (free.top + free.foot) / 2 - round(AROUND * band.height)
        band = band.moved(np.convolve(np.pad(aside, 10, mode="edge"), np.full(21, 1 / 21), mode="valid"))
    letters = _inside(dark, free, band.height)
    is_letter = np.asarray(letters.any(axis=0))
    columns = np.flatnonzero(is_letter)
    if len(columns) < 2:
        return None
    near = opencv().dilate(letters.astype(np.uint8), np.ones((3, 3), np.uint8))
    ends = slice(columns[0], columns[-1] + 1)
    whole = replace(band, places=band.places[ends], along=band.along[ends])
    return to_be_read(_close(strip * near, is_letter, band)), _corners(whole) / ENLARGED


def _free(dark: NDArray[np.bool_], height: float, middle: float) -> Free | None:
    """Seen between the letters, and drawn on from there over them."""
    cv2 = opencv()
    centre = len(dark) // 2
    reach = round(middle * height)
    crossed = dark[centre - reach : centre + reach + 1]
    open_columns = np.asarray(~crossed.any(axis=0), np.uint8)[None]
    wide = np.ones((1, max(3, round(GAP * height))), np.uint8)
    gaps = np.flatnonzero(cv2.morphologyEx(open_columns, cv2.MORPH_OPEN, wide)[0])
    if len(gaps) < LEAST_FREE * dark.shape[1]:
        return None
    runs = np.split(gaps, np.flatnonzero(np.diff(gaps) > 1) + 1)
    # A C is open too, and shows its own inside.
    usual = float(np.quantile([len(run) for run in runs], 0.75))
    runs = [run for run in runs if len(run) >= OPENING * usual]
    sides = []
    for part in (dark[centre::-1], dark[centre:]):
        distance = np.where(part.any(axis=0), part.argmax(axis=0), len(part))
        # One number for each gap: serifs reach into it.
        steady = [float(np.median(distance[run])) for run in runs]
        sides.append(np.interp(np.arange(dark.shape[1]), [float(run.mean()) for run in runs], steady))
    return Free(centre - sides[0] + 1, centre + sides[1] - 1)


def _inside(dark: NDArray[np.bool_], free: Free, height: float) -> NDArray[np.bool_]:
    """What is dark where it is free of lines, without specks."""
    rows = np.arange(len(dark))[:, None]
    within = (dark & (rows >= free.top) & (rows <= free.foot)).astype(np.uint8)
    _, labels, figures, _ = opencv().connectedComponentsWithStats(within, connectivity=8)
    tall = figures[:, 3] >= 0.3 * height
    tall[0] = False
    return np.asarray(tall[labels])


def _close(strip: Ink, is_letter: NDArray[np.bool_], band: Band) -> Ink:
    """Letters set close, words apart."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_letter, [False]]).astype(int)))
    margin = np.zeros((len(strip), round(0.4 * band.height)), np.float32)
    parts = [margin]
    for number, (begin, end) in enumerate(zip(edges[::2], edges[1::2], strict=True)):
        if number:
            gap = int(begin - edges[2 * number - 1])
            # From middle to middle, for letters four fifths as wide as high.
            wide = space(gap + 0.8 * band.height, band.pitch, band.height)
            parts.append(np.zeros((len(strip), min(gap, wide)), np.float32))
        parts.append(strip[:, begin:end])
    return np.concatenate([*parts, margin], axis=1)


def _corners(band: Band) -> Points:
    """Of the smallest rectangle in the direction from end to end that holds the letters."""
    heading = _normal((band.places[-1] - band.places[0])[None])[0]
    normal = np.array([-heading[1], heading[0]])
    forward, sideways = band.places @ heading, band.places @ normal
    half = band.height / 2
    top, foot = sideways.min() - half, sideways.max() + half
    reach = [(forward[0], top), (forward[-1], top), (forward[-1], foot), (forward[0], foot)]
    return np.array([f * heading + s * normal for f, s in reach])


def _normal(vectors: Points) -> Points:
    made: Points = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return made
