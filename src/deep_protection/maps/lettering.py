"""From ink to lettering: what is of the size of letters, long lines cut out of what hangs together with them."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from deep_protection.maps.library import opencv

Ink = NDArray[np.float32]
Mask = NDArray[np.bool_]

ENLARGED = 2
"""Letters of ten pixels leave no room for morphology; everything is done on an image this much larger."""
DIRECTIONS = 24


@dataclass(frozen=True, slots=True)
class Sizes:
    """What separates letters from lines, in pixels of the map."""

    smallest: int = 5
    """Marks with both sides under this are specks."""
    largest: int = 70
    """What hangs together over more than this is cut along its lines."""
    line: int = 30
    """A straight run of at least this is no stroke of a small letter."""
    bridge: int = 3
    """Gaps of a letter up to twice this are closed where a line was cut out of it."""


def lettering(ink: Ink, sizes: Sizes | None = None) -> Mask:
    """``H×W`` ink in ``[0, 1]`` to a mask of ``(2·H)×(2·W)``: the pixels of marks that may be letters."""
    cv2, sizes = opencv(), sizes or Sizes()
    large = enlarged(ink)
    dark = darker(large)
    lines = _lines(_longer_than(dark, sizes.largest), sizes.line)
    kept = _marks(dark & ~lines, smallest=sizes.smallest - 1, largest=None)
    reach = 2 * sizes.bridge * ENLARGED // 2 * 2 + 1
    closed = cv2.morphologyEx(
        _bytes(kept), cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    )
    return _marks(kept | (closed.astype(bool) & dark), smallest=sizes.smallest, largest=sizes.largest)


def darker(ink: Ink) -> Mask:
    """What is ink and not paper."""
    return np.asarray(ink > threshold(ink))


def enlarged(ink: Ink) -> Ink:
    """``H×W`` to ``(2·H)×(2·W)``, bicubic."""
    made: Ink = opencv().resize(ink, None, fx=ENLARGED, fy=ENLARGED, interpolation=opencv().INTER_CUBIC)
    return made


def layer(ink: Ink, letters: Mask) -> Ink:
    """The ink of the letters alone, ``H×W`` in ``[0, 1]``, as dark as print: their darker tenth is black."""
    cv2 = opencv()
    if not letters.any():
        return np.zeros_like(ink)
    large = enlarged(ink)
    near = cv2.dilate(_bytes(letters), np.ones((3, 3), np.uint8))  # their soft edges
    black = max(float(np.quantile(large[letters], 0.9)), 1e-6)
    made: Ink = cv2.resize(large / black * near, ink.shape[::-1], interpolation=cv2.INTER_AREA)
    return np.clip(made, 0, 1)


def _lines(mask: Mask, length: int) -> Mask:
    """Pixels of straight runs of ``length`` px in any direction, with their edges (Soille & Talbot 2001)."""
    cv2, side = opencv(), length * ENLARGED
    source, found = _bytes(mask), np.zeros(mask.shape, np.uint8)
    for turn in range(DIRECTIONS):
        angle, middle = pi * turn / DIRECTIONS, side // 2
        dx, dy = middle * cos(angle), middle * sin(angle)
        run = np.zeros((2 * middle + 1,) * 2, np.uint8)
        cv2.line(run, (round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy)), 1)
        found |= cv2.morphologyEx(source, cv2.MORPH_OPEN, run)
    edges: NDArray[np.uint8] = cv2.dilate(found, np.ones((3, 3), np.uint8))
    return edges.astype(bool) & mask


def _longer_than(mask: Mask, length: int) -> Mask:
    """What hangs together over more than ``length`` px."""
    labels, extents, _ = _components(mask)
    return np.asarray((extents > length * ENLARGED)[labels]) & mask


def _marks(mask: Mask, *, smallest: int, largest: int | None) -> Mask:
    """Without specks and, if asked for, without what is larger than a letter."""
    thinned = opencv().morphologyEx(_bytes(mask), opencv().MORPH_OPEN, np.ones((2, 2), np.uint8)).astype(bool)
    labels, extents, areas = _components(thinned)
    kept = (extents >= smallest * ENLARGED) & (areas >= 3 * ENLARGED**2)
    if largest is not None:
        kept &= extents <= largest * ENLARGED
    kept[0] = False
    return np.asarray(kept[labels])


def _components(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Label of every pixel, and longer side and area of every label; 0 is the background."""
    _, labels, figures, _ = opencv().connectedComponentsWithStats(_bytes(mask), connectivity=8)
    return labels, figures[:, 2:4].max(axis=1), figures[:, 4]


def _bytes(mask: Mask) -> NDArray[np.uint8]:
    return mask.astype(np.uint8)


def threshold(values: Ink) -> float:
    """The level that parts ink from paper best (Otsu 1979, https://doi.org/10.1109/TSMC.1979.4310076)."""
    cv2 = opencv()
    top = max(float(values.max()), 1e-6)
    eight_bit = np.clip(values / top * 255, 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(eight_bit, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return float(level) / 255 * top
