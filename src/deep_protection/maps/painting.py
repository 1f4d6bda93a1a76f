"""The map without its words: flat ground in its own colour, and what is drawn on it led on."""

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deep_protection.errors import CancelledError
from deep_protection.images import ImageRecord
from deep_protection.maps.lettering import Ink, Mask
from deep_protection.maps.library import opencv
from deep_protection.maps.words import Word
from deep_protection.restoration.options import never
from deep_protection.restoration.tiles import Patches, cut_tiles

TILE, OVERLAP = 576, 64
"""Pixels of a side that are filled at a time, and that neighbours share."""
REACH = 6
"""Pixels around a hidden one that it is filled from."""
AROUND = 5.0
"""Pixels over which the ground around a letter is looked at: the deviation of a Gaussian."""
RIM, BESIDE = 3, 0.02
"""Pixels beside what is hidden that ink has run into, or that scanning has blurred; and what their colour weighs."""
LEAST = 1e-3
"""Share of what is around that has to be seen."""
FLAT = 2.5
"""Times the grain of the sheet's quietest ground that flat ground may vary by."""
GRAIN = (1.5 / 255, 6 / 255)
"""The least and the most that grain may be: a sheet that is full of lines has no quiet ground to tell it."""
FAINTEST = 24
"""Difference to the ground, of 255, under which nothing is ink."""
BLACKEST, INK = 0.97, 0.4
"""Share of a word's place that is paler than its lettering; and the share of that blackness from which on ink is its
own, and not a contour's."""
TINGE, SOFT = 0.08, 3
"""Share of that blackness that a letter's soft edge has at least; and how wide that is at the most, in pixels."""
RUN, OUTSIDE = 40, 0.3
"""Straight runs of at least this, in pixels, are lines and stay, where so much of them is outside a word."""


def ink_of_words(sheet: NDArray[np.uint8], words: list[Word]) -> tuple[Mask, Mask]:
    """``H×W``: the pixels of the words on an ``H×W×3`` RGB sheet, dark on light or light on dark, without lines; and
    those of the lines through them.
    """
    cv2 = opencv()
    found, through = np.zeros(sheet.shape[:2], np.uint8), np.zeros(sheet.shape[:2], np.uint8)
    for word in words:
        corners = np.array(word.corners)
        height = min(np.linalg.norm(corners[3] - corners[0]), np.linalg.norm(corners[1] - corners[0]))
        run = max(RUN, round(1.3 * height))
        (left, top), (right, bottom) = np.floor(corners.min(axis=0) - run), np.ceil(corners.max(axis=0) + run)
        rows, columns = slice(max(0, int(top)), int(bottom)), slice(max(0, int(left)), int(right))
        part = sheet[rows, columns]
        if not part.size:
            continue
        own = np.zeros(part.shape[:2], np.uint8)
        places = np.round(corners - (columns.start, rows.start)).astype(np.int32)
        cv2.fillPoly(own, [places], 1)
        own = cv2.dilate(own, np.ones((5, 5), np.uint8))
        strange, tinge = _unlike_ground(part, own.astype(bool))
        lines = _lines(strange, run, own)
        letters = (strange & own.astype(bool) & ~lines).astype(np.uint8)
        halo = cv2.dilate(letters, np.ones((2 * SOFT + 1,) * 2, np.uint8)) & tinge
        letters = cv2.dilate(letters | halo, np.ones((3, 3), np.uint8))
        found[rows, columns] |= letters & ~lines
        through[rows, columns] |= cv2.dilate(letters, np.ones((2 * REACH + 1,) * 2, np.uint8)) & lines
    return found.astype(bool), through.astype(bool) & ~found.astype(bool)


def ink_of_lettering(letters: Ink) -> Mask:
    """``H×W``: where the text layer has anything, with its edges."""
    return np.asarray(opencv().dilate((letters > 0.1).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0)


def _unlike_ground(part: NDArray[np.uint8], own: Mask) -> tuple[Mask, Mask]:
    """What is of the colour of lettering, which differs from the ground in every channel and in one direction.

    And what has at least a tinge of it, as a letter's soft edges have.
    """
    if not own.any():
        return own, own
    pixels = part.astype(np.int16)
    ground = np.median(pixels[own], axis=0)
    apart = [(ground - pixels).min(axis=2), (pixels - ground).min(axis=2)]  # darker, lighter
    darkest = [float(np.quantile(values[own], BLACKEST)) for values in apart]
    shown, most = apart[int(np.argmax(darkest))], max(darkest)
    return np.asarray(shown > max(FAINTEST, INK * most)), np.asarray(shown > TINGE * most)


def _lines(strange: Mask, run: int, own: NDArray[np.uint8]) -> Mask:
    """Straight runs that are for a good part outside ``own``."""
    cv2, found = opencv(), np.zeros(strange.shape, np.uint8)
    runs = cv2.HoughLinesP(strange.astype(np.uint8), 1, pi / 180, run // 2, minLineLength=run, maxLineGap=4)
    for ends in runs.reshape(-1, 4) if runs is not None else ():
        drawn = cv2.line(np.zeros_like(found), ends[:2].tolist(), ends[2:].tolist(), 1)
        if drawn[own == 0].sum() > OUTSIDE * drawn.sum():
            found |= cv2.dilate(drawn, np.ones((3, 3), np.uint8))
    return found.astype(bool) & strange


def painted_over(
    image: ImageRecord, hidden: Mask, lines: Mask | None = None, is_cancelled: Callable[[], bool] = never
) -> Any:
    """The sheet, in its own type, with what is ``hidden`` (``H×W``) filled from what is around it, but not from
    ``lines`` (``H×W``), which stay as they are: what is nearest would be their black.

    Tile by tile, so that a large sheet takes no more memory than a small one; only what is hidden changes, and where
    nothing else is seen, nothing.
    """
    paper = image.on_paper
    wanted = torch.from_numpy(hidden)
    unseen = wanted if lines is None else wanted | torch.from_numpy(lines)
    if not bool(wanted.any()) or bool(unseen.all()):
        return image.to_original(image.pixels)
    painted = Patches(wanted, OVERLAP)
    for tile in cut_tiles(hidden.shape[0], hidden.shape[1], TILE, OVERLAP):
        if is_cancelled():
            raise CancelledError("painting over the words was cancelled")
        missing = tile.of(unseen)
        if not bool(tile.of(wanted).any()):
            continue
        ground, is_flat = flat_ground(tile.of(paper), missing)
        if bool(missing.all()):
            ground = paper[:, ~unseen].mean(dim=1)[:, None, None].expand(ground.shape)
        elif min(missing.shape) > 1:  # else there is no line to lead on
            ground = _continued(torch.where(is_flat, ground, tile.of(paper)), missing & ~is_flat)
        painted.add(tile, ground)
    # In place, where nothing else is made of them: a sheet's floats are its largest part.
    pixels = image.pixels if image.alpha is None else image.pixels.clone()
    pixels[:, wanted] = painted.finish()
    return image.to_original(pixels)


def _continued(pixels: Tensor, missing: Tensor) -> Tensor:
    """``3×h×w`` with lines led on over what is missing (Navier–Stokes: Bertalmio, Bertozzi, Sapiro 2001).

    Where contours and letters cross it does as well as the prior, in a small part of the time (docs/maps.md).
    """
    cv2, mask = opencv(), missing.numpy().astype(np.uint8)
    planes = (cv2.inpaint(plane, mask, REACH, cv2.INPAINT_NS) for plane in pixels.contiguous().numpy())
    return torch.from_numpy(np.stack(list(planes)))


def flat_ground(pixels: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """What lies around every hidden pixel of ``3×h×w``, smoothed; and ``h×w``: which of them lie on flat ground.

    Flat is what varies no more than the grain of the sheet's quietest ground.
    """
    cv2 = opencv()
    values = pixels.movedim(0, -1).numpy()

    def around(maps: NDArray[np.float32]) -> NDArray[np.float32]:
        made: NDArray[np.float32] = cv2.GaussianBlur(maps, (0, 0), AROUND)
        return made

    def mean_of(values: NDArray[np.float32], seen: NDArray[np.float32]) -> NDArray[np.float32]:
        shown = values * seen[..., None]
        mean = shown.sum(axis=(0, 1)) / max(1, seen.sum())  # for what is too far from all that is seen
        return np.asarray((around(shown) + 1e-6 * mean) / (around(seen) + 1e-6)[..., None])

    seen = (~hidden).numpy().astype(np.float32)
    mean = mean_of(values, seen)
    spread = np.sqrt(np.maximum(mean_of(values**2, seen) - mean**2, 0).max(axis=2))
    grain = float(np.clip(np.quantile(spread[seen > 0], 0.1) if seen.any() else 0.0, *GRAIN))
    is_flat = hidden.numpy() & (spread <= FLAT * grain) & (around(seen) > LEAST)
    clear = cv2.erode(seen, np.ones((2 * RIM + 1,) * 2))
    ground = mean_of(values, np.maximum(clear, BESIDE * seen))
    return torch.from_numpy(ground).movedim(-1, 0), torch.from_numpy(is_flat)
