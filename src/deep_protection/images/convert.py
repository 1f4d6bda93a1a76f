"""Where an image becomes a tensor: any type in, and the way back remembered.

Arrays have channels last (``H×W``, ``H×W×C``, ``N×H×W×C``), tensors have channels first (``H×W``, ``C×H×W``,
``N×C×H×W``), with C of 1 (grey), 3 (RGB) or 4 (RGB and alpha). Integers are uint8 (0–255) or uint16 (0–65535), floats
are in ``[0, 1]``. Nothing is guessed. Of Pillow images alpha is kept aside and put back, and so are colours that it
hides; the colour profile of an RGB or grey one too, its values being left in their own colour space; dots an inch, and
a PNG's gamma. Palette, bilevel and CMYK images come back as RGB, grey and RGB: their modes cannot hold a restored one.

Over 300 lines, as this is one conversion, for every type, there and back.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torch import Tensor
from torch.nn import functional as F

from deep_protection.errors import ImageError
from deep_protection.images.depth import SIXTEEN_BIT
from deep_protection.images.io import apply_exif_orientation, bytes_format, encode, read_image
from deep_protection.images.record import (
    ImageRecord,
    check_dense,
    check_size,
    check_unit_range,
    dark_notes,
    with_hidden,
)

_CHANNELS = (1, 3, 4)
_BAND = 512
"""Rows of an image that are rounded at a time."""
KEPT = ("dpi", "gamma", "chromaticity", "srgb")
"""What Pillow tells of an image that is still true of a restored one, in its own words."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageBatch:
    """One argument of a caller: an image, a batch or a list."""

    records: list[ImageRecord]
    single: bool
    collate: Callable[[list[Any]], Any]
    """From the rebuilt images, in order, to the type the caller gave."""


def as_batch(images: Any) -> ImageBatch:
    """Images from a path, bytes, Pillow image, array, tensor (one or a batch) or a list of such."""
    if isinstance(images, list | tuple):
        return ImageBatch([as_image(image) for image in images], single=False, collate=list)
    if isinstance(images, np.ndarray) and images.ndim == 4:
        arrays = images  # the lambda must not see a wider type; its type holds the order of bytes too
        return ImageBatch(
            [from_array(image) for image in images],
            single=False,
            collate=lambda parts: np.stack(parts).astype(arrays.dtype) if parts else arrays.copy(),
        )
    if isinstance(images, Tensor) and not images.is_nested and images.ndim == 4:
        check_dense(images, "the batch")
        tensors = images
        return ImageBatch(
            [from_tensor(image) for image in images],
            single=False,
            collate=lambda parts: torch.stack(parts) if parts else tensors.detach().clone(),
        )
    return ImageBatch([as_image(images)], single=True, collate=_only)


def as_image(image: Any, missing: Tensor | None = None) -> ImageRecord:
    """One image of any of the types. A path gives a Pillow image back, bytes give bytes of the same format.

    Where ``missing`` (``H×W`` bool) is true, floats need be no pixels.
    """

    def known(opened: Any) -> Any:
        return opened if missing is None else without_missing(opened, missing)

    if isinstance(image, Image.Image):
        check_size(*image.size, "the image")  # before anything is decoded
        return from_pillow(known(apply_exif_orientation(image)))
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
        f"cannot use a {type(image).__name__} as an image; give a path, bytes, a Pillow image, a NumPy array, "
        "a PyTorch tensor, or a list of these"
    )


def _from_bytes(data: bytes, known: Callable[[Image.Image], Image.Image]) -> ImageRecord:
    opened, name, notes = read_image(data)
    image = from_pillow(known(opened), notes)
    written = bytes_format(name)
    return ImageRecord(
        image.pixels,
        lambda pixels: encode(image.to_original(pixels), written),
        image.notes,
        image.alpha,
        written,
    )


def _only(parts: Sequence[Any]) -> Any:
    return parts[0]


def from_array(array: NDArray[Any]) -> ImageRecord:
    """One image, ``H×W`` or ``H×W×C``."""
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

    def to_original(pixels: Tensor) -> NDArray[Any]:
        back = _to_channels(pixels, chw)
        back = back[0] if flat else back.permute(1, 2, 0)
        if largest is not None:
            back = back.mul(largest).round()
        return back.contiguous().numpy().astype(array.dtype)

    return ImageRecord(_to_rgb(chw), to_original, _notes(chw, largest), alpha=_alpha(chw))


def from_tensor(tensor: Tensor) -> ImageRecord:
    """One image, ``H×W`` or ``C×H×W``, on any device; dense, as :func:`check_dense` says."""
    _check_layout(tuple(tensor.shape), channel_axis=-3, what="tensor", layout="H×W or C×H×W")
    largest = _largest(str(tensor.dtype).removeprefix("torch."), tensor.dtype.is_floating_point, "tensor")
    _check_area(tuple(tensor.shape[-2:]))
    flat, kind, device = tensor.ndim == 2, tensor.dtype, tensor.device
    values = _floats(tensor.detach().to(torch.float32), largest, "the tensor")
    chw = values.unsqueeze(0) if flat else values

    def to_original(pixels: Tensor) -> Tensor:
        back = _to_channels(pixels, chw)
        back = back[0] if flat else back
        if largest is not None:
            back = back.mul(largest).round()
        return back.to(kind).to(device)

    return ImageRecord(_to_rgb(chw), to_original, _notes(chw, largest), alpha=_alpha(chw))


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
    """float32 in ``[0, 1]``; computed as Pillow images are, so that equal images have equal pixels."""
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
        raise ImageError(f"{what} of {got} values; expected one image of {layout}, or a batch of these")
    if 0 in shape:
        raise ImageError(f"{what} of {got} values has no pixels; give an image of at least 1×1")
    if len(shape) == 3 and shape[channel_axis] not in _CHANNELS:
        other = -3 if channel_axis == -1 else -1
        turn = "np.moveaxis(array, 0, -1)" if channel_axis == -1 else "tensor.permute(2, 0, 1)"
        hint = f"the channels seem to be on the other side: use {turn}" if shape[other] in _CHANNELS else "check it"
        raise ImageError(
            f"{what} of {got} values has {shape[channel_axis]} channels where {layout} was expected "
            f"with C of 1, 3 or 4; {hint}"
        )


def _check_area(height_width: tuple[int, ...]) -> None:
    check_size(height_width[1], height_width[0], "the image")


def from_pillow(image: Image.Image, notes: tuple[str, ...] = ()) -> ImageRecord:
    """An image whose ``to_original`` gives a Pillow image of the same size."""
    check_size(*image.size, "the image")
    if image.mode in SIXTEEN_BIT:
        return _from_sixteen_bit(image, notes)
    if image.mode == "F":
        return _from_float(image, notes)
    kept = _kept(image)
    image, profile = _in_rgb_or_grey(image)
    if profile is not None:
        kept["icc_profile"] = profile
    values: NDArray[np.uint8] = np.array(image)
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    grey = image.mode in ("L", "LA")

    def to_original(pixels: Tensor) -> Image.Image:
        if opacity is not None:
            pixels = with_hidden(pixels, given, opacity)
        restored = Image.fromarray(to_grey(pixels, 255) if grey else to_rgb(pixels))
        if alpha is not None:
            same = alpha.size == restored.size
            restored.putalpha(alpha if same else alpha.resize(restored.size, Image.Resampling.BICUBIC))
        return _with_kept(restored, kept)

    colours = values[..., None] if values.ndim == 2 else values[..., :1] if grey else values[..., :3]
    # In this order a large image is held once as floats: it is turned while it is bytes.
    pixels = torch.from_numpy(np.ascontiguousarray(colours.transpose(2, 0, 1))).to(torch.float32).div_(255)
    given = pixels.expand(3, -1, -1).contiguous()
    opacity = None if alpha is None else torch.from_numpy(np.array(alpha)).to(torch.float32).div(255)
    return ImageRecord(given, to_original, notes, alpha=opacity)


def to_rgb8(image: Image.Image) -> Image.Image:
    """In 8-bit RGB, as a classifier takes it: the colours that are restored.

    Pillow's own conversion cuts 16-bit and float grey off, and knows no colour profile of CMYK.
    """
    return image if image.mode == "RGB" else to_pillow(from_pillow(image).pixels)


def to_pillow(pixels: Tensor) -> Image.Image:
    """``3×H×W`` pixels in ``[0, 1]`` as an RGB image of 8 bits."""
    return Image.fromarray(to_rgb(pixels))


def to_rgb(pixels: Tensor) -> NDArray[np.uint8]:
    """``3×H×W`` in ``[0, 1]`` to ``H×W×3`` in 0–255, rounded; in bands, so that no second image of floats is made."""
    values = np.empty((*pixels.shape[1:], 3), np.uint8)
    for top in range(0, len(values), _BAND):
        band = pixels[:, top : top + _BAND].clamp(0, 1).mul_(255).round_().to(torch.uint8)
        values[top : top + _BAND] = band.permute(1, 2, 0).cpu().numpy()
    return values


def to_grey(pixels: Tensor, largest: int) -> NDArray[Any]:
    """``3×H×W`` in ``[0, 1]`` to ``H×W`` in 0–``largest`` (255 or 65535), the mean of the channels, rounded."""
    kind = np.uint8 if largest == 255 else np.uint16
    return pixels.clamp(0, 1).mean(dim=0).mul(largest).round().numpy().astype(kind)


def _with_kept(image: Image.Image, kept: dict[str, Any]) -> Image.Image:
    image.info.update(kept)
    return image


def _kept(image: Image.Image, *more: str) -> dict[str, Any]:
    """What a restored image goes on to say of itself: dots an inch, and how its values are to be shown."""
    return {name: image.info[name] for name in (*KEPT, *more) if image.info.get(name) is not None}


def _in_rgb_or_grey(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """The image as L, LA, RGB or RGBA, and the colour profile that still fits it."""
    profile: bytes | None = image.info.get("icc_profile")
    try:
        if image.mode == "CMYK":
            return _cmyk_to_rgb(image, profile), None
        if image.mode in ("1", "L", "RGB") and not image.has_transparency_data:
            return image.convert("L") if image.mode == "1" else image, profile
        if image.mode in ("L", "LA", "La", "1"):
            return image.convert("LA"), profile
        if image.has_transparency_data:
            return image.convert("RGBA"), profile
        # YCbCr, HSV, LAB and palettes; a profile describes the old mode only when that was RGB-like.
        return image.convert("RGB"), profile if image.mode == "P" else None
    except (ValueError, OSError) as error:
        raise ImageError(f"images of mode {image.mode} cannot be used ({error}); convert it to RGB first") from None


def _cmyk_to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            source, target = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass  # a damaged profile: the plain conversion is what any viewer would show
    return image.convert("RGB")


def _from_sixteen_bit(image: Image.Image, notes: tuple[str, ...]) -> ImageRecord:
    values = np.array(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(f"integer image with values {values.min()} to {values.max()}; 16-bit images hold 0 to 65535")
    mode, kept = image.mode, _kept(image, "icc_profile")
    if "transparency" in image.info:
        notes = (*notes, "one shade of this 16-bit image is transparent, which is not kept")

    def to_original(pixels: Tensor) -> Image.Image:
        restored = Image.fromarray(to_grey(pixels, 65535))
        return _with_kept(restored.convert("I") if mode == "I" else restored, kept)

    grey = torch.from_numpy(values).to(torch.float32).div(65535)
    return ImageRecord(grey.expand(3, -1, -1).contiguous(), to_original, (*notes, *dark_notes(int(values.max()))))


def _from_float(image: Image.Image, notes: tuple[str, ...]) -> ImageRecord:
    grey = check_unit_range(torch.from_numpy(np.array(image, dtype=np.float32)), "the image of mode F")
    kept = _kept(image, "icc_profile")

    def to_original(pixels: Tensor) -> Image.Image:
        return _with_kept(Image.fromarray(pixels.clamp(0, 1).mean(dim=0).numpy()), kept)

    return ImageRecord(grey.expand(3, -1, -1).contiguous(), to_original, notes)


def without_missing(image: Any, missing: Tensor) -> Any:
    """An array, tensor or Pillow image of floats, black where ``missing`` (``H×W`` bool) is true; alpha stays.

    Others, and those of another size, as they are.
    """
    if isinstance(image, Image.Image):
        if image.mode != "F" or image.size != (missing.shape[1], missing.shape[0]):
            return image
        made = Image.fromarray(np.where(missing.numpy(), np.float32(0), np.array(image)))
        made.info = image.info
        return made
    if isinstance(image, np.ndarray):
        if image.dtype.kind != "f" or image.ndim not in (2, 3) or image.shape[:2] != tuple(missing.shape):
            return image
        array = image.copy()
        (array[..., :3] if array.ndim == 3 else array)[missing.numpy()] = 0
        return array
    if isinstance(image, Tensor):
        if not image.dtype.is_floating_point or image.ndim not in (2, 3) or image.shape[-2:] != missing.shape:
            return image
        tensor = image.detach().clone()
        (tensor[:3] if tensor.ndim == 3 else tensor).masked_fill_(missing.to(tensor.device), 0)
        return tensor
    return image
