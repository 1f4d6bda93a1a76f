"""Reading: images in, lines of text with their places out."""

from dataclasses import dataclass, replace
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deep_protection.maps.library import rapidocr

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
"""Height of a box over its width from which on the engine reads it from above."""


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

    def read(self, image: NDArray[np.uint8], *, turned: float = 0.0, stretched: float = 1.0) -> list[Line]:
        """Lines of text in an ``H×W×3`` RGB image.

        It is shown ``turned`` by so many degrees (clockwise as seen) and ``stretched`` to so many times its height:
        text that rises or falls lies level then, and letters set wide apart stand closer for their height. Corners are
        those of the image as given.
        """
        shown, back = _shown(image, turned, stretched)
        found = self._lines(shown, turning=False)
        return [replace(line, corners=line.corners @ back[:, :2].T + back[:, 2]) for line in found]

    def read_sheet(self, image: NDArray[np.uint8]) -> list[Line]:
        """Lines of text in an ``H×W×3`` RGB image that may lie on its side or its head.

        Each is read as it lies and as the engine's own classifier turns it, and the surer reading counts. Corners are
        in the order of reading: steep lines are read from above, turned ones from the other end.
        """
        lying = {line.corners.tobytes(): line for line in self._lines(image, turning=False)}
        lines = []
        for line in self._lines(image, turning=True):
            other = lying.pop(line.corners.tobytes(), None)
            corners = np.roll(line.corners, -1, axis=0) if _is_steep(line.corners) else line.corners
            if other is not None and (other.text == line.text or other.confidence > line.confidence):
                lines.append(replace(other, corners=corners))
            else:
                lines.append(replace(line, corners=np.roll(corners, 2, axis=0)))
        return lines + list(lying.values())

    def _lines(self, image: NDArray[np.uint8], *, turning: bool) -> list[Line]:
        """With ``turning``, lines that the engine takes to stand on their head are read from the other end."""
        shown, offset = _broad(image)
        found = self._engine(shown[..., ::-1], use_det=True, use_cls=turning, use_rec=True)
        if found.boxes is None:
            return []
        return [
            Line(text, np.asarray(corners, np.float64) - offset, float(confidence))
            for corners, text, confidence in zip(found.boxes, found.txts, found.scores, strict=True)
        ]

    def recognise(self, strip: NDArray[np.uint8]) -> tuple[str, float]:
        """What stands in a strip that holds one line of text and nothing else, and how sure that is; maybe nothing."""
        if strip.shape[1] > LONGEST * strip.shape[0]:
            return "", 0.0
        found = self._engine(strip[..., ::-1], use_det=False, use_cls=False, use_rec=True)
        return (found.txts[0], float(found.scores[0])) if found.txts else ("", 0.0)


def _is_steep(corners: Points) -> bool:
    """Whether the engine turns a box by a quarter before it reads it."""
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return bool(max(sides[1], sides[3]) >= STEEP * max(sides[0], sides[2]))


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
