"""Reading: images in, lines of text with their places out."""

from dataclasses import dataclass, replace
from hashlib import sha256
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deep_protection.maps.library import opencv, rapidocr

Points = NDArray[np.float64]
"""Four corners ``(x, y)`` in pixels, in reading order: along the top of the text, then back along its foot."""


LONGEST = 40
"""Width of a strip over its height beyond which it is not read: no word is so long, and the engine shrinks such a strip
until nothing is left of its height. Dashed lines are chains of that kind."""


NARROW, BROADER = 8, 4
"""Longer side over shorter one of an image beyond which it is shown on paper, and what that is then. The engine
enlarges the shorter side to hundreds of pixels, whatever becomes of the longer one: ten pixels wide and a thousand high
took gigabytes."""


STEEP = 1.5
"""Height of a box over its width from which on it is read from above and from below."""
WORD = 1.4
"""Longer side of a box over the shorter one under which it holds a single sign."""
UNSURE = 0.85
"""Confidence under which a line is also read on its head."""
LEAST = 0.5
"""Confidence under which nothing is read, as with the engine itself."""


@dataclass(frozen=True, slots=True)
class Line:
    """Text as the recogniser read it, several words perhaps."""

    text: str
    corners: Points
    confidence: float


class Reader:
    """rapidocr's detector and recogniser, whose models come with its wheel; one core."""

    def __init__(self) -> None:
        self._engine = rapidocr()
        self._said: dict[tuple[tuple[int, ...], bytes], tuple[str, float]] = {}

    def read(
        self,
        image: NDArray[np.uint8],
        *,
        turned: float = 0.0,
        stretched: float = 1.0,
        signs: bool = True,
        known: NDArray[np.bool_] | None = None,
    ) -> list[Line]:
        """Lines of text in an ``H×W×3`` RGB image, whichever way they lie; corners are in the order of reading.

        It is shown ``turned`` by so many degrees (clockwise as seen) and ``stretched`` to so many times its height:
        letters set wide apart stand closer for their height then. Corners are those of the image as given. Without
        ``signs``, what is no longer than a single sign is not read; nor is what has its middle where ``known``
        (``H×W``) is true.
        """
        shown, back = _shown(image, turned, stretched)
        lines = []
        for corners in self._places(shown):
            own = corners @ back[:, :2].T + back[:, 2]
            if (not signs and _is_square(corners)) or (known is not None and _lies_on(known, own)):
                continue
            line = self._line(shown, corners)
            if line is not None:
                lines.append(replace(line, corners=line.corners @ back[:, :2].T + back[:, 2]))
        return lines

    def _places(self, image: NDArray[np.uint8]) -> list[Points]:
        """Where text may be."""
        shown, offset = _broad(image)
        found = self._engine(shown[..., ::-1], use_det=True, use_cls=False, use_rec=False)
        return [] if found.boxes is None else [np.asarray(corners, np.float64) - offset for corners in found.boxes]

    def _line(self, image: NDArray[np.uint8], corners: Points) -> Line | None:
        """What stands at a place: steep ones are read from above and from below, unsure ones on their head, too."""
        strip = cut_out(image, corners)
        if _is_steep(corners):
            return self._surer(strip, corners, (1, 3))
        line = self._surer(strip, corners, (0,))
        if (line is None or line.confidence < UNSURE) and not _is_square(corners):
            line = max(
                (each for each in (line, self._surer(strip, corners, (2,))) if each), key=_confidence, default=None
            )
        return line

    def _surer(self, strip: NDArray[np.uint8], corners: Points, quarters: tuple[int, ...]) -> Line | None:
        """The surest reading of a strip, turned by so many quarters; None where nothing is legible."""
        lines = []
        for turns in quarters:
            text, confidence = self.recognise(np.ascontiguousarray(np.rot90(strip, turns)))
            if text.strip() and confidence >= LEAST:
                lines.append(Line(text.strip(), np.roll(corners, -turns, axis=0), confidence))
        return max(lines, key=_confidence, default=None)

    def recognise(self, strip: NDArray[np.uint8]) -> tuple[str, float]:
        """What stands in a strip that holds one line of text and nothing else, and how sure that is; maybe nothing."""
        if strip.shape[1] > LONGEST * strip.shape[0]:
            return "", 0.0
        key = strip.shape, sha256(strip.tobytes()).digest()
        if key not in self._said:  # layers of one sheet hold many of each other's letters
            found = self._engine(strip[..., ::-1], use_det=False, use_cls=False, use_rec=True)
            self._said[key] = (found.txts[0], float(found.scores[0])) if found.txts else ("", 0.0)
        return self._said[key]


def _confidence(line: Line) -> float:
    return line.confidence


def sides_of(corners: Points) -> tuple[float, float]:
    """Length along the text and across it, of the longer of two sides each."""
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return max(float(sides[0]), float(sides[2])), max(float(sides[1]), float(sides[3]))


def way_straight(corners: Points, width: int, height: int) -> Points:
    """The ``3×3`` map that sets what is within four corners straight, so large."""
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    way: Points = opencv().getPerspectiveTransform(corners.astype(np.float32), frame)
    return way


def cut_out(image: NDArray[np.uint8], corners: Points) -> NDArray[np.uint8]:
    """What is within four corners, set straight."""
    cv2 = opencv()
    width, height = (max(2, int(side)) for side in sides_of(corners))
    way = way_straight(corners, width, height)
    made: NDArray[np.uint8] = cv2.warpPerspective(
        image, way, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return made


def _lies_on(known: NDArray[np.bool_], corners: Points) -> bool:
    x, y = corners.mean(axis=0).astype(int)
    return bool(0 <= y < known.shape[0] and 0 <= x < known.shape[1] and known[y, x])


def _is_square(corners: Points) -> bool:
    """Whether there is room for one sign only."""
    along, across = sides_of(corners)
    return max(along, across) < WORD * min(along, across)


def _is_steep(corners: Points) -> bool:
    """Whether text in a box runs up or down."""
    along, across = sides_of(corners)
    return across >= STEEP * along


def _broad(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A narrow image in the middle of paper of its own colour, and where there; others as they are."""
    height, width = image.shape[:2]
    if max(height, width) <= NARROW * min(height, width):
        return image, (0, 0)
    least = -(-max(height, width) // BROADER)
    size = (max(height, least), max(width, least))
    shown = np.broadcast_to(_paper(image), (*size, 3)).copy()
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    shown[top : top + height, left : left + width] = image
    return shown, (left, top)


def _shown(image: NDArray[np.uint8], turned: float, stretched: float) -> tuple[NDArray[np.uint8], Points]:
    """The image as it is shown, on paper of its own colour, and the ``2×3`` map from there back."""
    if turned == 0 and stretched == 1:
        return image, np.eye(2, 3)
    height, width = image.shape[:2]
    angle = radians(turned)
    forth = np.diag([1.0, stretched]) @ np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ forth.T
    size = np.ceil(np.ptp(corners, axis=0)).astype(int)
    inverse = np.linalg.inv(forth)
    back = np.column_stack([inverse, inverse @ corners.min(axis=0)])
    shown = Image.fromarray(image).transform(
        (int(size[0]), int(size[1])),
        Image.Transform.AFFINE,
        tuple(back.ravel()),
        Image.Resampling.BICUBIC,
        fillcolor=tuple(_paper(image).tolist()),
    )
    return np.asarray(shown), back


def _paper(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colour of most of an image, ``3`` values."""
    middle: NDArray[np.uint8] = np.median(image.reshape(-1, 3), axis=0).astype(np.uint8)
    return middle
