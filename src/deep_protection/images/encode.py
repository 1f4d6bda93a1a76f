"""Writing pictures: the format follows the suffix, and a file is either whole or not there."""

import os
import secrets
import stat
import struct
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from deep_protection.errors import OutputError

_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {},
    # A restored picture must not lose in saving what fitting won: best sensible quality, full colour resolution.
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_deflate"},
    "BMP": {},
}
_LONGEST = {"JPEG": 65_500, "WEBP": 16_383}
_SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}


def format_for(path: str | os.PathLike[str]) -> str:
    """The format that a file name's suffix means."""
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        shown = f"suffix {suffix}" if suffix else "no suffix"
        raise OutputError(f"{path} has {shown}, so no format; use one of {', '.join(_SUFFIXES)}")
    return _SUFFIXES[suffix]


def is_writable_suffix(suffix: str) -> bool:
    """Whether pictures can be written to files of this suffix."""
    return suffix.lower() in _SUFFIXES


def bytes_format(name: str) -> str:
    """The format to answer with for one that was read: itself, or PNG where it cannot hold a restored picture."""
    return name if name in _OPTIONS else "PNG"


def check_side(name: str, width: int, height: int) -> None:
    """Raise :class:`OutputError` when a picture is too long for the format, which is known before any fitting."""
    limit = _LONGEST.get(name)
    if limit is not None and max(width, height) > limit:
        raise OutputError(f"{name} holds at most {limit} px on a side, the picture has {width}×{height}; write a PNG")


def encode(image: Image.Image, name: str) -> bytes:
    """The picture as a file's content, with its colour profile, dots an inch and, in PNG, gamma.

    JPEG and BMP hold neither alpha nor 16 bits: white is put behind, bits cut.
    """
    info = image.info
    image, profile = _fitting(image, name), info.get("icc_profile")
    options = dict(_OPTIONS[name])
    if name != "WEBP" and _is_density(info.get("dpi")):
        options["dpi"] = tuple(float(each) for each in info["dpi"])
    if name == "PNG":
        options["pnginfo"] = _png_chunks(info)
    if profile is not None and name != "BMP":
        options["icc_profile"] = profile
    buffer = BytesIO()
    try:
        image.save(buffer, format=name, **options)
    except Exception as error:  # encoders raise nearly anything
        raise OutputError(f"a picture of {image.width}×{image.height} cannot be written as {name} ({error})") from None
    return buffer.getvalue()


def _is_density(dpi: object) -> bool:
    """Whether dots an inch can be written: damaged files name zero or endless ones, Pillow 1 for TIFF without."""
    return isinstance(dpi, tuple) and len(dpi) == 2 and all(1 < float(each) < 65_536 for each in dpi)


def _png_chunks(info: dict[str | tuple[int, int], Any]) -> PngImagePlugin.PngInfo:
    """How a PNG's values are to be shown, as it was read."""
    chunks = PngImagePlugin.PngInfo()
    if "gamma" in info:
        chunks.add(b"gAMA", struct.pack(">I", round(info["gamma"] * 100_000)))
    if len(info.get("chromaticity", ())) == 8:
        chunks.add(b"cHRM", struct.pack(">8I", *(round(each * 100_000) for each in info["chromaticity"])))
    if "srgb" in info:
        chunks.add(b"sRGB", bytes([info["srgb"]]))
    return chunks


def _fitting(image: Image.Image, name: str) -> Image.Image:
    """The picture in a mode that the format can hold."""
    if name == "PNG" and image.mode == "F":
        return _integers(image, 65535)
    if name in ("PNG", "TIFF"):
        return image.convert("I;16") if image.mode == "I" else image
    if image.mode in ("I;16", "I", "F"):
        image = _integers(image, 255)
    if name in ("JPEG", "BMP") and image.mode in ("RGBA", "LA"):
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB" if image.mode == "RGBA" else "L")
    return image.convert("RGBA") if name == "WEBP" and image.mode == "LA" else image


def _integers(image: Image.Image, largest: int) -> Image.Image:
    """A grey picture of 16 bits or floats as integers up to ``largest``."""
    scale = largest if image.mode == "F" else largest / 65535
    values = np.array(image).astype(np.float64) * scale
    return Image.fromarray(values.round().clip(0, largest).astype(np.uint8 if largest == 255 else np.uint16))


def write_atomically(data: bytes, path: str | os.PathLike[str]) -> None:
    """Write to a neighbour of ``path`` and rename it, so that no half-written file is ever seen under its name.

    Where ``path`` is a link, what it leads to is written and the link stays. Devices and pipes are refused.
    """
    target = Path(os.path.realpath(path))
    if _is_special(target):
        raise OutputError(f"{path} is not a file that can be replaced; choose another output")
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target} ({error.strerror}); choose another output") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _is_special(path: Path) -> bool:
    """Whether a folder, a device or a pipe is there."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
