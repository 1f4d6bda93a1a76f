"""NumPy arrays and PyTorch tensors to pixels and back.

Layouts are those of each library's own habit: arrays have channels last (``H×W``, ``H×W×C``, ``N×H×W×C``), tensors have
channels first (``H×W``, ``C×H×W``, ``N×C×H×W``), with C of 1 (grey), 3 (RGB) or 4 (RGB and alpha). Integers are uint8
(0–255) or uint16 (0–65535), floats are in ``[0, 1]``. Nothing is guessed.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from deep_protection.errors import ImageError
from deep_protection.images.alpha import with_hidden
from deep_protection.images.limits import check_size
from deep_protection.images.picture import Picture
from deep_protection.images.values import check_dense, check_unit_range, dark_notes

_CHANNELS = (1, 3, 4)


def from_array(array: NDArray[Any]) -> Picture:
    """One picture, ``H×W`` or ``H×W×C``."""
    _check_layout(array.shape, channel_axis=-1, what="array", layout="H×W or H×W×C")
    largest = _largest(array.dtype.name, array.dtype.kind == "f", "array")
    _check_area(array.shape[:2])
    flat = array.ndim == 2
    if np.ma.is_masked(array):
        raise ImageError("the array has masked values; give array.filled(…), or inpaint it where array.mask is true")
    with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinite and is refused as such
        copied = np.array(array, dtype=np.float32, order="C")  # what may not be written to is no tensor
        values = _floats(torch.from_numpy(copied), largest, "the array")
    chw = values.unsqueeze(0) if flat else values.permute(2, 0, 1)

    def rebuild(pixels: Tensor) -> NDArray[Any]:
        back = _to_channels(pixels, chw)
        back = back[0] if flat else back.permute(1, 2, 0)
        if largest is not None:
            back = back.mul(largest).round()
        return back.contiguous().numpy().astype(array.dtype)

    return Picture(_to_rgb(chw), rebuild, _notes(chw, largest), alpha=_alpha(chw))


def from_tensor(tensor: Tensor) -> Picture:
    """One picture, ``H×W`` or ``C×H×W``, on any device."""
    check_dense(tensor, "the tensor")
    _check_layout(tuple(tensor.shape), channel_axis=-3, what="tensor", layout="H×W or C×H×W")
    largest = _largest(str(tensor.dtype).removeprefix("torch."), tensor.dtype.is_floating_point, "tensor")
    _check_area(tuple(tensor.shape[-2:]))
    flat, kind, device = tensor.ndim == 2, tensor.dtype, tensor.device
    values = _floats(tensor.detach().to(torch.float32), largest, "the tensor")
    chw = values.unsqueeze(0) if flat else values

    def rebuild(pixels: Tensor) -> Tensor:
        back = _to_channels(pixels, chw)
        back = back[0] if flat else back
        if largest is not None:
            back = back.mul(largest).round()
        return back.to(kind).to(device)

    return Picture(_to_rgb(chw), rebuild, _notes(chw, largest), alpha=_alpha(chw))


def _notes(chw: Tensor, largest: int | None) -> tuple[str, ...]:
    return dark_notes(round(chw[:3].max().item() * largest)) if largest == 65535 else ()


def _largest(kind: str, is_float: bool, what: str) -> int | None:
    """The integer that means 1.0; None for floats."""
    if is_float:
        return None
    if kind in ("uint8", "uint16"):
        return 255 if kind == "uint8" else 65535
    raise ImageError(f"{what} of type {kind}; use uint8 (0–255), uint16 (0–65535) or floats in [0, 1]")


def _floats(values: Tensor, largest: int | None, what: str) -> Tensor:
    """float32 in ``[0, 1]``; computed as Pillow pictures are, so that equal pictures have equal pixels."""
    return check_unit_range(values, what) if largest is None else values.div(largest)


def _to_rgb(chw: Tensor) -> Tensor:
    return (chw[:3] if chw.shape[0] > 1 else chw.expand(3, -1, -1)).contiguous()


def _alpha(chw: Tensor) -> Tensor | None:
    return chw[3] if chw.shape[0] == 4 else None


def _to_channels(pixels: Tensor, original: Tensor) -> Tensor:
    """Restored RGB back to as many channels as ``original`` (``C×H×W``) had, its alpha put back."""
    pixels = pixels.clamp(0, 1)
    if original.shape[0] == 1:
        return pixels.mean(dim=0, keepdim=True)
    if original.shape[0] != 4:
        return pixels
    alpha = original[3:]
    pixels = with_hidden(pixels, original[:3], alpha[0])
    if alpha.shape[1:] != pixels.shape[1:]:
        size = list(pixels.shape[1:])
        alpha = F.interpolate(alpha[None], size=size, mode="bicubic", align_corners=False)[0].clamp(0, 1)
    return torch.cat([pixels, alpha])


def _check_layout(shape: tuple[int, ...], channel_axis: int, what: str, layout: str) -> None:
    got = "×".join(map(str, shape)) or "no"
    if len(shape) not in (2, 3):
        raise ImageError(f"{what} of {got} values; expected one picture of {layout}, or a batch of these")
    if 0 in shape:
        raise ImageError(f"{what} of {got} values has no pixels; give a picture of at least 1×1")
    if len(shape) == 3 and shape[channel_axis] not in _CHANNELS:
        other = -3 if channel_axis == -1 else -1
        turn = "np.moveaxis(array, 0, -1)" if channel_axis == -1 else "tensor.permute(2, 0, 1)"
        hint = f"the channels seem to be on the other side: use {turn}" if shape[other] in _CHANNELS else "check it"
        raise ImageError(
            f"{what} of {got} values has {shape[channel_axis]} channels where {layout} was expected "
            f"with C of 1, 3 or 4; {hint}"
        )


def _check_area(height_width: tuple[int, ...]) -> None:
    check_size(height_width[1], height_width[0], "the picture")
