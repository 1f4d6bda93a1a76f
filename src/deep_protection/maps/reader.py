"""Reading: pictures in, lines of text with their places out."""

from dataclasses import dataclass
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

    def read(self, picture: NDArray[np.uint8], *, turned: float = 0.0, stretched: float = 1.0) -> list[Line]:
        """Lines of text in an ``H×W×3`` RGB picture.

        It is shown ``turned`` by so many degrees (clockwise as seen) and ``stretched`` to so many times its height:
        text that rises or falls lies level then, and letters set wide apart stand closer for their height. Corners are
        those of the picture as given.
        """
        shown, back = _shown(picture, turned, stretched)
        found = self._engine(shown[..., ::-1], use_det=True, use_cls=False, use_rec=True)
        if found.boxes is None:
            return []
        lines = []
        for corners, text, confidence in zip(found.boxes, found.txts, found.scores, strict=True):
            lines.append(Line(text, np.asarray(corners, np.float64) @ back[:, :2].T + back[:, 2], float(confidence)))
        return lines

    def recognise(self, strip: NDArray[np.uint8]) -> tuple[str, float]:
        """What stands in a strip that holds one line of text and nothing else, and how sure that is; maybe nothing."""
        if strip.shape[1] > LONGEST * strip.shape[0]:
            return "", 0.0
        found = self._engine(strip[..., ::-1], use_det=False, use_cls=False, use_rec=True)
        return (found.txts[0], float(found.scores[0])) if found.txts else ("", 0.0)


def _shown(picture: NDArray[np.uint8], turned: float, stretched: float) -> tuple[NDArray[np.uint8], Points]:
    """The picture as it is shown, on paper of its own colour, and the ``2×3`` map from there back."""
    if turned == 0 and stretched == 1:
        return picture, np.eye(2, 3)
    height, width = picture.shape[:2]
    angle = radians(turned)
    forth = np.diag([1.0, stretched]) @ np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ forth.T
    size = np.ceil(np.ptp(corners, axis=0)).astype(int)
    inverse = np.linalg.inv(forth)
    back = np.column_stack([inverse, inverse @ corners.min(axis=0)])
    paper = tuple(int(value) for value in np.median(picture.reshape(-1, 3), axis=0))
    shown = Image.fromarray(picture).transform(
        (int(size[0]), int(size[1])),
        Image.Transform.AFFINE,
        tuple(back.ravel()),
        Image.Resampling.BICUBIC,
        fillcolor=paper,
    )
    return np.asarray(shown), back
