"""Pillow pictures of every mode to pixels and back.

Alpha is kept aside and put back, and so are colours that it hides. An embedded colour profile of an RGB or grey
picture is put back too, the pixel values being left in their own colour space; so are dots an inch and a PNG's gamma.
Palette, bilevel and CMYK pictures come back as RGB, grey and RGB: their own modes cannot hold a restored picture.
"""

from io import BytesIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torch import Tensor

from deep_protection.errors import ImageError
from deep_protection.images.alpha import with_hidden
from deep_protection.images.limits import check_size
from deep_protection.images.picture import Picture
from deep_protection.images.values import check_unit_range, dark_notes

SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")
KEPT = ("dpi", "gamma", "chromaticity", "srgb")
"""What Pillow tells of a picture that is still true of a restored one, in its own words."""


def from_pillow(image: Image.Image, notes: tuple[str, ...] = ()) -> Picture:
    """A picture whose ``rebuild`` gives a Pillow image of the same size."""
    check_size(*image.size, "the picture")
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

    def rebuild(pixels: Tensor) -> Image.Image:
        if opacity is not None:
            pixels = with_hidden(pixels, given, opacity)
        restored = Image.fromarray(to_grey(pixels, 255) if grey else to_rgb(pixels))
        if alpha is not None:
            same = alpha.size == restored.size
            restored.putalpha(alpha if same else alpha.resize(restored.size, Image.Resampling.BICUBIC))
        return _with_kept(restored, kept)

    colours = values[..., None] if values.ndim == 2 else values[..., :1] if grey else values[..., :3]
    pixels = torch.from_numpy(np.ascontiguousarray(colours)).permute(2, 0, 1).to(torch.float32).div(255)
    given = pixels.expand(3, -1, -1).contiguous()
    opacity = None if alpha is None else torch.from_numpy(np.array(alpha)).to(torch.float32).div(255)
    return Picture(given, rebuild, notes, alpha=opacity)


def in_rgb(image: Image.Image) -> Image.Image:
    """In 8-bit RGB, as a classifier takes it: the colours that are restored.

    Pillow's own conversion cuts 16-bit and float grey off, and knows no colour profile of CMYK.
    """
    return image if image.mode == "RGB" else to_pillow(from_pillow(image).pixels)


def to_pillow(pixels: Tensor) -> Image.Image:
    """``3×H×W`` pixels in ``[0, 1]`` as an RGB picture of 8 bits."""
    return Image.fromarray(to_rgb(pixels))


def to_rgb(pixels: Tensor) -> NDArray[np.uint8]:
    """``3×H×W`` in ``[0, 1]`` to ``H×W×3`` in 0–255, rounded."""
    return pixels.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()


def to_grey(pixels: Tensor, largest: int) -> NDArray[Any]:
    """``3×H×W`` in ``[0, 1]`` to ``H×W`` in 0–``largest`` (255 or 65535), the mean of the channels, rounded."""
    kind = np.uint8 if largest == 255 else np.uint16
    return pixels.clamp(0, 1).mean(dim=0).mul(largest).round().numpy().astype(kind)


def _with_kept(image: Image.Image, kept: dict[str, Any]) -> Image.Image:
    image.info.update(kept)
    return image


def _kept(image: Image.Image, *more: str) -> dict[str, Any]:
    """What a restored picture goes on to say of itself: dots an inch, and how its values are to be shown."""
    return {name: image.info[name] for name in (*KEPT, *more) if image.info.get(name) is not None}


def _in_rgb_or_grey(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """The picture as L, LA, RGB or RGBA, and the colour profile that still fits it."""
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
        raise ImageError(f"pictures of mode {image.mode} cannot be used ({error}); convert it to RGB first") from None


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


def _from_sixteen_bit(image: Image.Image, notes: tuple[str, ...]) -> Picture:
    values = np.array(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"integer picture with values {values.min()} to {values.max()}; 16-bit pictures hold 0 to 65535"
        )
    mode, kept = image.mode, _kept(image, "icc_profile")
    if "transparency" in image.info:
        notes = (*notes, "one shade of this 16-bit picture is transparent, which is not kept")

    def rebuild(pixels: Tensor) -> Image.Image:
        restored = Image.fromarray(to_grey(pixels, 65535))
        return _with_kept(restored.convert("I") if mode == "I" else restored, kept)

    grey = torch.from_numpy(values).to(torch.float32).div(65535)
    return Picture(grey.expand(3, -1, -1).contiguous(), rebuild, (*notes, *dark_notes(int(values.max()))))


def _from_float(image: Image.Image, notes: tuple[str, ...]) -> Picture:
    grey = check_unit_range(torch.from_numpy(np.array(image, dtype=np.float32)), "the picture of mode F")
    kept = _kept(image, "icc_profile")

    def rebuild(pixels: Tensor) -> Image.Image:
        return _with_kept(Image.fromarray(pixels.clamp(0, 1).mean(dim=0).numpy()), kept)

    return Picture(grey.expand(3, -1, -1).contiguous(), rebuild, notes)
