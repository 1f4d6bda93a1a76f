"""Strong JPEG compression, undone by what is known of it: where its blocks lie and how coarsely it counts."""

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deep_protection.images import as_image, to_pillow
from deep_protection.optional import import_optional
from deep_protection.restoration.filters import smoothed

BLOCK, MARGIN = 8, 16
"""Side of a block; of a block of colours, which most files have at half the size."""
LOOKED_AT = 256
"""Side of the middle of an image that is looked at for blocks."""
SURE = 0.6
"""Mean cosine of coefficients over their step from which on they are multiples of it: 1 if all are, 0 by chance."""
LIKELY = 8
"""Places of blocks, of 64, that are looked at closely."""
NEIGHBOURS = 5
"""Qualities whose tables are nearly the same: of these the best counts."""
SHIFT = 3
"""Pixels between two shifts; no divisor of a block's side, or some would be left as they are."""
FACTOR, POWER = 5 / 255, 0.3
"""What non-local means is told of the blocks' noise: this times a power of the mean step of low frequencies; chosen on
photographs of ``imagenet-dev``."""
NARROW = 0.3
"""Part of a step that the result may differ by: the true value may by half, and is mostly nearer."""


@dataclass(frozen=True, slots=True)
class Compression:
    """How an image was compressed."""

    top: int
    left: int
    """Where the first whole block begins: an image may have been cut since."""
    quality: int
    """In Pillow's, that is libjpeg's, terms."""


def compression_of(pixels: Tensor) -> Compression | None:
    """What a ``3×H×W`` image shows of its compression; None where it shows none.

    Steps between neighbours are larger where blocks meet; and in blocks that lie right, coefficients are multiples of
    a step of the quality's table. Of qualities that explain them the lowest counts: a multiple of 80 is one of 16.
    """
    height, width = pixels.shape[-2:]
    # The middle, beginning at a multiple of a block's side.
    top, left = (max(0, side - LOOKED_AT) // 2 // BLOCK * BLOCK for side in (height, width))
    middle = _brightness(pixels[:, top : top + LOOKED_AT, left : left + LOOKED_AT].numpy())
    if min(middle.shape) < 2 * BLOCK:
        return None
    rows, columns = _meeting(middle.T), _meeting(middle)
    places = sorted(product(range(BLOCK), repeat=2), key=lambda place: rows[place[0]] + columns[place[1]], reverse=True)
    found = [
        (*_quality_of(_transformed(middle[down:, right:])), down, right) for down, right in {(0, 0), *places[:LIKELY]}
    ]
    sure, quality, down, right = max(found)
    return Compression(down, right, quality) if sure > SURE else None


def _meeting(plane: NDArray[np.float64]) -> list[float]:
    """How much larger steps to the next column are from one block to another, for each column that might begin one."""
    step = np.abs(np.diff(plane, axis=1))
    more = step[:, 1:-1] - (step[:, :-2] + step[:, 2:]) / 2  # the step to column i is step[:, i - 1]
    return [float(more[:, (first - 2) % BLOCK :: BLOCK].mean()) for first in range(BLOCK)]


def _quality_of(blocks: NDArray[np.float64]) -> tuple[float, int]:
    """How surely the coefficients are multiples of the steps of a quality, and of which."""
    sure = 0.0, 0
    for quality in range(1, 96):
        low = blocks[..., :4, :4] / _tables(quality)[0][:4, :4]
        counted = np.abs(low) > 0.5
        counted[..., 0, 0] = False  # the mean may be anything
        if counted.sum() >= BLOCK**2:
            sure = max(sure, (float(np.cos(2 * np.pi * low[counted]).mean()), quality))
        if sure[0] > SURE and quality >= sure[1] + NEIGHBOURS:
            break
    return sure


def without_blocks(pixels: Tensor, known: Compression, top: int = 0, left: int = 0) -> Tensor:
    """The image, or a part of it that begins at ``top`` and ``left``, without its blocks.

    Non-local means, and a third of itself compressed again in all shifts (Nosratinia 1999, doi:10.1109/83.784430); then
    brought back to what the file may have been made of, so that they may be strong.
    """
    sigma = FACTOR * _tables(known.quality)[0][:3, :3].mean() ** POWER
    made = (_compressed_again(pixels, known.quality) + 2 * smoothed(pixels, sigma)) / 3
    # How far into a block of colours the part begins; of an image that was cut, only blocks of brightness are known.
    down, right = (top - known.top) % MARGIN, (left - known.left) % MARGIN
    return _possible(made, pixels, known.quality, down, right, colours=not (known.top or known.left))


def _compressed_again(pixels: Tensor, quality: int) -> Tensor:
    height, width = pixels.shape[-2:]
    wide = _mirrored(pixels, MARGIN, MARGIN, MARGIN, MARGIN)
    total, count = torch.zeros_like(pixels), 0
    for down in range(0, MARGIN, SHIFT):
        for right in range(0, MARGIN, SHIFT):
            buffer = BytesIO()
            part = wide[:, down : down + height + MARGIN, right : right + width + MARGIN]
            to_pillow(part).save(buffer, format="JPEG", quality=quality)
            again = as_image(buffer.getvalue()).pixels
            total += again[:, MARGIN - down :, MARGIN - right :][:, :height, :width]
            count += 1
    return total / count


def _possible(made: Tensor, seen: Tensor, quality: int, down: int, right: int, *, colours: bool) -> Tensor:
    """``made`` with every coefficient within :data:`NARROW` steps of that of ``seen``, which begin ``down`` and
    ``right`` inside a block; those of colours at half the size, if at all.
    """
    height, width = made.shape[-2:]
    below, beside = (-(side + offset) % MARGIN for side, offset in ((height, down), (width, right)))
    new, old = (_colours(_mirrored(each, right, beside, down, below)) for each in (made, seen))
    for plane in range(3 if colours else 1):
        limit = NARROW * _tables(quality)[min(plane, 1)]
        before, target = (_halved(each[plane]) if plane else each[plane] for each in (new, old))
        near = _transformed(target)
        change = _inverse(np.clip(_transformed(before), near - limit, near + limit)) - before
        new[plane] += np.kron(change, np.ones((2, 2))) if plane else change
    new[0] += GREY
    rgb = np.einsum("ij,jhw->ihw", np.linalg.inv(YCBCR), new)[:, down : down + height, right : right + width] / 255
    return torch.from_numpy(rgb).float().clamp(0, 1)


GREY = 128
YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
"""JFIF's brightness and colours (ITU-R BT.601)."""


def _colours(pixels: Tensor) -> NDArray[np.float64]:
    made: NDArray[np.float64] = np.einsum("ij,jhw->ihw", YCBCR, 255 * pixels.numpy().astype(np.float64))
    made[0] -= GREY
    return made


def _brightness(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    made: NDArray[np.float64] = np.einsum("j,jhw->hw", YCBCR[0], 255 * pixels.astype(np.float64)) - GREY
    return made


def _halved(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = plane.shape
    made: NDArray[np.float64] = plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return made


def _transformed(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine transforms of the whole blocks of a plane: rows, columns, 8, 8."""
    rows, columns = (side // BLOCK for side in plane.shape)
    blocks = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    made: NDArray[np.float64] = _fft().dctn(blocks, axes=(2, 3), norm="ortho")
    return made


def _inverse(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = coefficients.shape[:2]
    blocks = _fft().idctn(coefficients, axes=(2, 3), norm="ortho")
    made: NDArray[np.float64] = blocks.swapaxes(1, 2).reshape(rows * BLOCK, columns * BLOCK)
    return made


def _mirrored(pixels: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """Mirrored beyond its edges, as often as that takes."""
    rows, columns = (
        np.pad(np.arange(side), (before, after), mode="symmetric")
        for side, before, after in ((pixels.shape[-2], top, bottom), (pixels.shape[-1], left, right))
    )
    return pixels[:, torch.from_numpy(rows)][:, :, torch.from_numpy(columns)]


@cache
def _tables(quality: int) -> list[NDArray[np.float64]]:
    """Steps of brightness and of colours, 8×8, as libjpeg has them for a quality."""
    buffer = BytesIO()
    Image.new("RGB", (BLOCK, BLOCK)).save(buffer, format="JPEG", quality=quality)
    tables: dict[int, list[int]] = Image.open(buffer).quantization  # type: ignore[attr-defined]
    return [np.asarray(tables[number], np.float64).reshape(BLOCK, BLOCK) for number in (0, 1)]


def _fft() -> Any:
    return import_optional("scipy.fft", needed_for="undoing JPEG compression", extra="restore")
