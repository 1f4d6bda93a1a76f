"""Words with boxes as tight as their ink: a detector frames whole lines, and generously."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deep_protection.maps.lettering import Mask
from deep_protection.maps.library import opencv
from deep_protection.maps.reader import Line, sides_of, way_straight
from deep_protection.maps.words import Word, as_corners, spans_of, words_in

MARGIN = 1
"""Pixels left around ink."""
NEAR = 1.5
"""Line heights that a gap between words may be from where their letters' number says."""
LEAST = 0.3
"""Share of a word's place that ink has to reach over to be taken for the word."""


def outlined(line: Line, ink: Mask, source: str) -> list[Word]:
    """The words of a line, parted at gaps of the ``ink`` (``H×W``) and framed by it.

    Where that shows nothing, each has its letters' share of the line.
    """
    width, height = (max(2, round(side)) for side in sides_of(line.corners))
    way = way_straight(line.corners, width, height)
    strip = _of_the_line(
        opencv().warpPerspective(ink.astype(np.uint8), way, (width, height), flags=opencv().INTER_NEAREST)
    )
    back = np.linalg.inv(way)
    words = []
    for word, (begin, end) in zip(words_in(line, source), _parted(line.text, strip), strict=True):
        rows, columns = np.nonzero(strip[:, begin:end])
        if not rows.size or np.ptp(columns) < LEAST * (end - begin) or np.ptp(rows) < LEAST * height:
            words.append(word)
            continue
        left, right = begin + columns.min() - MARGIN, begin + columns.max() + 1 + MARGIN
        top, foot = rows.min() - MARGIN, rows.max() + 1 + MARGIN
        corners = np.array([[left, top, 1], [right, top, 1], [right, foot, 1], [left, foot, 1]], float) @ back.T
        words.append(Word(word.text, as_corners(corners[:, :2] / corners[:, 2:]), line.confidence, source))
    return words


def _of_the_line(strip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Without what belongs to lines above and below."""
    _, labels, _, middles = opencv().connectedComponentsWithStats(strip, connectivity=8)
    own = np.abs(middles[:, 1] / len(strip) - 0.5) < 0.3
    own[0] = False
    made: NDArray[np.uint8] = own[labels].astype(np.uint8)
    return made


def _parted(text: str, strip: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """First and last column of every word, exclusive: cut in the widest gaps near where letters' numbers put them."""
    width = strip.shape[1]
    spans = [(begin * width, end * width) for begin, end in spans_of(text)]
    empty = np.concatenate([[False], ~strip.any(axis=0), [False]])
    edges = np.flatnonzero(np.diff(empty.astype(int)))
    gaps = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if a > 0 and b < width]
    cuts = [0]
    for (_, before), (after, _) in pairwise(spans):
        wanted = (before + after) / 2
        near = [gap for gap in gaps if abs(sum(gap) / 2 - wanted) < NEAR * len(strip) and gap[0] >= cuts[-1]]
        best = max(near, key=lambda gap: gap[1] - gap[0] - abs(sum(gap) / 2 - wanted) / 4, default=None)
        cuts.append(max(cuts[-1] + 1, round(wanted if best is None else sum(best) / 2)))
    return [(begin, max(begin + 1, end)) for begin, end in pairwise([*cuts, width])]
