"""The border: whatever a caller has becomes pictures, and the way back is remembered."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deep_protection.errors import ImageError
from deep_protection.images.arrays import from_array, from_tensor
from deep_protection.images.decode import read_image, upright
from deep_protection.images.encode import bytes_format, encode
from deep_protection.images.limits import check_size
from deep_protection.images.missing import without_missing
from deep_protection.images.picture import Picture
from deep_protection.images.pillow import from_pillow
from deep_protection.images.values import check_dense


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """One argument of a caller: a picture, a batch or a list."""

    pictures: list[Picture]
    single: bool
    join: Callable[[list[Any]], Any]
    """From the rebuilt pictures, in order, to the type the caller gave."""


def take(images: Any) -> Taken:
    """Pictures from a path, bytes, Pillow image, array, tensor (one or a batch) or a list of such."""
    if isinstance(images, list | tuple):
        return Taken([take_picture(image) for image in images], single=False, join=list)
    if isinstance(images, np.ndarray) and images.ndim == 4:
        arrays = images  # the lambda must not see a wider type
        return Taken(
            [from_array(image) for image in images],
            single=False,
            join=lambda parts: np.stack(parts).astype(arrays.dtype) if parts else arrays.copy(),  # its order of bytes
        )
    if isinstance(images, Tensor) and not images.is_nested and images.ndim == 4:
        check_dense(images, "the batch")
        tensors = images
        return Taken(
            [from_tensor(image) for image in images],
            single=False,
            join=lambda parts: torch.stack(parts) if parts else tensors.detach().clone(),
        )
    return Taken([take_picture(images)], single=True, join=_only)


def take_picture(image: Any, missing: Tensor | None = None) -> Picture:
    """One picture of any of the types. A path gives a Pillow image back, bytes give bytes of the same format.

    Where ``missing`` (``H×W`` bool) is true, floats need be no pixels.
    """

    def known(opened: Any) -> Any:
        return opened if missing is None else without_missing(opened, missing)

    if isinstance(image, Image.Image):
        check_size(*image.size, "the picture")  # before anything is decoded
        return from_pillow(known(upright(image)))
    if isinstance(image, np.ndarray):
        return from_array(known(image))
    if isinstance(image, Tensor):
        check_dense(image, "the tensor")
        return from_tensor(known(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return _from_bytes(bytes(image), known)
    if isinstance(image, str | os.PathLike):
        opened, _, notes = read_image(image)
        return from_pillow(known(opened), notes)
    raise ImageError(
        f"cannot use a {type(image).__name__} as a picture; give a path, bytes, a Pillow image, a NumPy array, "
        "a PyTorch tensor, or a list of these"
    )


def _from_bytes(data: bytes, known: Callable[[Image.Image], Image.Image]) -> Picture:
    opened, name, notes = read_image(data)
    picture = from_pillow(known(opened), notes)
    written = bytes_format(name)
    return Picture(
        picture.pixels, lambda pixels: encode(picture.rebuild(pixels), written), picture.notes, picture.alpha, written
    )


def _only(parts: Sequence[Any]) -> Any:
    return parts[0]
