"""Letters set wide apart along a curve: found as chains of marks, set straight and close, and read.

Over 300 lines by a few: one search, from marks to words.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import cos, log, radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep_protection.maps.lettering import ENLARGED, Ink, Mask
from deep_protection.maps.library import geometry, opencv
from deep_protection.maps.reader import Points

FARTHEST = 3.3
"""Distance of neighbours, in letter sizes."""
UNLIKE = 1.8
"""Sizes of neighbours differ by less than this factor."""
BEND = cos(radians(30))
"""The most that a chain turns from letter to letter."""
SHORTEST = 4
UNEVEN = 0.3
"""The most that heights of a chain's marks may spread, their standard deviation over their mean."""
STEEP = cos(radians(60))
WORD_GAP = 1.55
"""Distance of letters at which a word ends, over the usual one."""
HEIGHT = 48
"""Of the strip that is read, in pixels: what recognisers are trained on."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What hangs together in a text layer, in pixels of the enlarged image."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    centre: NDArray[np.float64]
    """``(x, y)`` of the middle of its box."""
    size: float
    """Longer side of the smallest rectangle around it."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A chain set straight, ready to be read: ``H×W×3`` RGB, dark on white."""

    image: NDArray[np.uint8]
    letters: int
    corners: Points
    """Around the chain, in pixels of the sheet."""


def marks_of(letters: Mask, smallest: int = 6, largest: int = 60) -> list[Mark]:
    """The marks of letter size, in pixels of the map."""
    cv2 = opencv()
    count, labels, figures, _ = cv2.connectedComponentsWithStats(letters.astype(np.uint8), connectivity=8)
    marks = []
    for label in range(1, count):
        left, top, width, height = figures[label, :4]
        if not smallest * ENLARGED <= max(width, height) <= largest * ENLARGED:
            continue
        rows, columns = np.nonzero(labels[top : top + height, left : left + width] == label)
        points = np.column_stack([columns, rows]).astype(np.float32)
        size = max(cv2.minAreaRect(points)[1]) + 1.0
        centre = np.array([left + width / 2, top + height / 2])
        marks.append(Mark(rows + top, columns + left, centre, float(size)))
    return marks


def chains(marks: list[Mark]) -> list[list[int]]:
    """Rows of at least four marks of like size and spacing, the straightest and longest first; none twice."""
    if len(marks) < SHORTEST:
        return []
    grower = _Grower(marks)
    best: dict[tuple[int, ...], tuple[float, list[int]]] = {}
    for first, near in enumerate(grower.gaps):
        for second in near:
            if first < second:
                chain, cost = grower.grown(first, second)
                if len(chain) >= SHORTEST:
                    rated = (cost / (len(chain) - 2) - 0.25 * min(len(chain), 8), chain)
                    members = tuple(sorted(chain))
                    best[members] = min(rated, best.get(members, rated))
    kept: list[list[int]] = []
    holders: list[list[int]] = [[] for _ in marks]  # which of the kept a mark is in: only they can share it
    for _, chain in sorted(best.values()):
        shared = Counter(number for mark in chain for number in holders[mark])
        if not any(count > 0.6 * len(chain) for count in shared.values()):
            for mark in chain:
                holders[mark].append(len(kept))
            kept.append(chain)
    return kept


class _Grower:
    """Grows a chain from two neighbours, by the mark that fits on best, in both directions."""

    def __init__(self, marks: list[Mark]) -> None:
        self.places = np.array([mark.centre for mark in marks])
        self.sizes = np.array([mark.size for mark in marks])
        self.gaps = self._neighbours()
        """For each mark how far its neighbours are, by their numbers, in order."""
        self._follows: dict[tuple[int, int], tuple[float, int] | None] = {}

    def _neighbours(self) -> list[dict[int, float]]:
        shapely = geometry()
        reach = FARTHEST * (1 + UNLIKE) / 2 * self.sizes[:, None]  # of the largest that is alike
        tree = shapely.STRtree(shapely.points(self.places))
        ours, theirs = tree.query(shapely.box(*(self.places - reach).T, *(self.places + reach).T))
        order = np.lexsort((theirs, ours))
        begins = np.searchsorted(ours[order], np.arange(len(self.places) + 1))
        gaps = []
        for mark, (begin, end) in enumerate(pairwise(begins)):
            others = theirs[order[begin:end]]
            apart = np.linalg.norm(self.places[mark] - self.places[others], axis=1)
            ratio, mean = self.sizes[mark] / self.sizes[others], (self.sizes[mark] + self.sizes[others]) / 2
            near = (ratio < UNLIKE) & (ratio > 1 / UNLIKE) & (apart < FARTHEST * mean) & (apart > 0.55 * mean)
            gaps.append(dict(zip(others[near].tolist(), apart[near].tolist(), strict=True)))
        return gaps

    def grown(self, first: int, second: int) -> tuple[list[int], float]:
        chain, members, cost = [first, second], {first, second}, 0.0
        for _ in range(2):
            while (found := self._next(chain[-2], chain[-1])) is not None and found[1] not in members:
                chain.append(found[1])
                members.add(found[1])
                cost += found[0]
            chain.reverse()
        return chain, cost

    def _next(self, before: int, last: int) -> tuple[float, int] | None:
        """Cost and number of the mark that goes on best from ``before`` and ``last``."""
        if (before, last) not in self._follows:
            self._follows[before, last] = self._best(before, last)
        return self._follows[before, last]

    def _best(self, before: int, last: int) -> tuple[float, int] | None:
        step = self.gaps[last][before]
        heading = (self.places[last] - self.places[before]) / step
        best: tuple[float, int] | None = None
        for mark, gap in self.gaps[last].items():
            straight = float(heading @ (self.places[mark] - self.places[last])) / gap
            spacing = gap / step
            if mark == before or straight < BEND or not 0.4 < spacing < 2.6:
                continue
            cost = (
                6 * (1 - straight)
                + abs(log(spacing))
                + 0.8 * abs(log(self.sizes[mark] / self.sizes[last]))
                + gap / (2 * (self.sizes[last] + self.sizes[mark]))
            )
            if cost < 1.6 and (best is None or cost < best[0]):
                best = (float(cost), mark)
        return best


def is_even(chain: list[Mark]) -> bool:
    """Whether its marks are of one height, as letters of a line are; houses and hatching are not."""
    _, _, reach = framed(chain)
    heights = reach[:, 3] - reach[:, 2]
    return bool(heights.std() <= UNEVEN * heights.mean())


def directions(chain: list[Mark]) -> list[list[Mark]]:
    """From left to right; both ways where it is so steep that maps write upwards and downwards."""
    way = chain[-1].centre - chain[0].centre
    forth, back = (chain, chain[::-1]) if way[0] >= 0 else (chain[::-1], chain)
    return [forth] if abs(way[0]) > STEEP * float(np.linalg.norm(way)) else [forth, back]


def straightened(chain: list[Mark], ink: Ink) -> Strip:
    """Each mark turned level and set close to the next; ``ink`` is that of the enlarged image, dark is 1."""
    places, along, reach = framed(chain)
    sideways = to_the_right(along)
    height = float(np.median(reach[:, 3] - reach[:, 2]))
    half = 1.15 * max(float(np.abs(reach[:, 2:]).max()), 0.6 * height)
    gaps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    rows = round(2 * half)
    margin = np.zeros((rows, round(0.4 * height) + 1), np.float32)
    parts = [margin]
    for number, mark in enumerate(chain):
        if number:
            parts.append(np.zeros((rows, space(gaps[number - 1], float(np.median(gaps)), height)), np.float32))
        parts.append(_turned(mark, ink, along[number], sideways[number], reach[number], half))
    strip = np.concatenate([*parts, margin], axis=1)
    return Strip(to_be_read(strip), len(chain), _around(places, along, sideways, reach) / ENLARGED)


def to_be_read(strip: Ink) -> NDArray[np.uint8]:
    """A strip of ink at the height that recognisers are trained on, ``48×W×3`` RGB: its darker tenth black on white."""
    cv2 = opencv()
    seen = strip[strip > 0.05]
    strip = np.clip(strip / max(float(np.quantile(seen, 0.9)) if seen.size else 1.0, 1e-3), 0, 1)
    scale = HEIGHT / len(strip)
    strip = cv2.resize(strip, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    grey = (255 * (1 - np.clip(strip, 0, 1))).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def space(gap: float, usual: float, height: float, close: float = 0.25) -> int:
    """Pixels to be left between two letters that stand ``gap`` apart: more where a word ends."""
    return round((0.9 if gap > WORD_GAP * usual else close) * height) + 1


def to_the_right(along: Points) -> Points:
    """Unit vectors to the right of each of ``along``, ``L×2``; downwards for one to the right, as pixels count."""
    return np.column_stack([-along[:, 1], along[:, 0]])


def framed(chain: list[Mark]) -> tuple[Points, Points, Points]:
    """Places of its marks, directions of reading there, and how far each mark goes."""
    places = np.array([mark.centre for mark in chain])
    along = _headings(places)
    across = to_the_right(along)
    return places, along, np.array([_reach(*each) for each in zip(chain, along, across, strict=True)])


def _headings(places: Points) -> Points:
    """Direction of reading at every place, smoothed over the neighbours."""
    steps = np.gradient(places, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    smooth = np.array([steps[max(0, index - 1) : index + 2].sum(axis=0) for index in range(len(steps))])
    made: Points = smooth / np.linalg.norm(smooth, axis=1, keepdims=True)
    return made


def _reach(mark: Mark, along: Points, across: Points) -> tuple[float, float, float, float]:
    """How far a mark goes from its centre: back and on along the chain, up and down across it."""
    points = np.column_stack([mark.columns, mark.rows]) - mark.centre
    forward, sideways = points @ along, points @ across
    return float(forward.min()), float(forward.max()), float(sideways.min()), float(sideways.max())


def _turned(mark: Mark, ink: Ink, along: Points, across: Points, reach: Any, half: float) -> NDArray[np.float32]:
    """The ink of a mark alone, level."""
    cv2 = opencv()
    top, left = max(0, int(mark.rows.min()) - 3), max(0, int(mark.columns.min()) - 3)
    own = ink[top : int(mark.rows.max()) + 4, left : int(mark.columns.max()) + 4].astype(np.float32)
    near = np.zeros(own.shape, np.uint8)
    near[mark.rows - top, mark.columns - left] = 1
    own = own * cv2.dilate(near, np.ones((3, 3), np.uint8))
    begin, end = reach[0] - 1.5, reach[1] + 1.5
    forward, sideways = np.meshgrid(
        np.linspace(begin, end, max(2, round(end - begin))), np.linspace(-half, half, round(2 * half))
    )
    xs = mark.centre[0] + forward * along[0] + sideways * across[0] - left
    ys = mark.centre[1] + forward * along[1] + sideways * across[1] - top
    made: NDArray[np.float32] = cv2.remap(own, xs.astype(np.float32), ys.astype(np.float32), cv2.INTER_LINEAR)
    return made


def _around(places: Points, along: Points, across: Points, reach: Points) -> Points:
    """Four corners around the whole chain, in reading order, for its direction from end to end."""
    heading = places[-1] - places[0]
    heading = heading / np.linalg.norm(heading)
    normal = np.array([-heading[1], heading[0]])
    ends = np.concatenate(
        [places + reach[:, i : i + 1] * along + reach[:, j : j + 1] * across for i in (0, 1) for j in (2, 3)]
    )
    forward, sideways = ends @ heading, ends @ normal
    corners = [(forward.min(), sideways.min()), (forward.max(), sideways.min()), (forward.max(), sideways.max())]
    corners.append((forward.min(), sideways.max()))
    return np.array([f * heading + s * normal for f, s in corners])
