"""Image files in and out: opened without trust; written in the suffix's format, whole or not at all.

Over 300 lines, as what is read and what is written are two halves of one table of formats.
"""

import os
import secrets
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps, PngImagePlugin, UnidentifiedImageError

from deep_protection.errors import ImageError, ImageTooLargeError, MissingExtraError, OutputError
from deep_protection.images import dicom
from deep_protection.images.depth import SIXTEEN_BIT, bits_a_value, check_planes, in_full_range, signed_notes
from deep_protection.images.kinds import HEAD, read_kind, unread_kind
from deep_protection.images.record import MAX_BYTES, MAX_PIXELS, check_size
from deep_protection.images.unprinted import nothing_printed
from deep_protection.quiet import warnings_silenced

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
"""What is opened: common, and decoded in this process. Others (EPS) would run programs on a stranger's file."""

ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)
"""The EXIF tag, and what it says of an image whose sides change places."""

Source = str | os.PathLike[str] | bytes
_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {},
    # A restored image must not lose in saving what fitting won: best sensible quality, full colour resolution.
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


def read_image(source: Source, name: str = "") -> tuple[Image.Image, str, tuple[str, ...]]:
    """The first frame, decoded and upright (EXIF orientation applied), its format's name, and notes for the user.

    Args:
        source: a path, or a file's content.
        name: what a content is called in messages, if it has a name.

    Raises :class:`ImageError` for whatever cannot be read: missing, unreadable, empty, truncated, not an image, too
    large.
    """
    data = source if isinstance(source, bytes) else file_bytes(source)
    what = (name or f"image of {len(data)} bytes") if isinstance(source, bytes) else os.fspath(source)
    if not data:
        raise ImageError(f"{what} is empty; give a PNG, JPEG, WebP, TIFF, BMP or GIF image")
    notes: tuple[str, ...] = ()
    if dicom.is_dicom(data, name if isinstance(source, bytes) else what):
        with _decoding(what):
            image, notes = dicom.opened(data, what)
        return image, dicom.FORMAT, notes
    with _decoding(what, data[:HEAD]):
        opened = _header(BytesIO(data), what, MAX_PIXELS)
        frames = getattr(opened, "n_frames", 1)  # TIFF has to walk through the file to know
        bits = bits_a_value(opened, data)
        check_planes(opened, what)
        notes = signed_notes(opened, what)
    if frames > 1 and opened.format != "MPO":  # phones put a second view into a JPEG: nobody's animation
        notes = (*notes, f"{what} has {frames} frames; only the first is used")
    if bits > 8 and opened.mode not in (*SIXTEEN_BIT, "F"):
        notes = (*notes, f"{what} has {bits} bits a colour; 8 are used (grey images keep their 16)")
    kind = "JPEG" if opened.format == "MPO" else opened.format or "PNG"
    return in_full_range(apply_exif_orientation(opened, what), opened), kind, notes


def check_header(data: bytes | BinaryIO, most: int = MAX_PIXELS) -> tuple[str, int, int]:
    """Format, width and height of an image in a file, of which only the beginning is read: nothing is decoded.

    Raises :class:`ImageError` for what is no image, :class:`ImageTooLargeError` for one of more than ``most`` pixels.
    """
    file = BytesIO(data) if isinstance(data, bytes) else data
    size = file.seek(0, os.SEEK_END)
    what = f"image of {size} bytes"
    if size == 0:
        raise ImageError(f"{what} is empty; give a PNG, JPEG, WebP, TIFF, BMP or GIF image")
    file.seek(0)
    with _decoding(what, file.read(HEAD)):
        opened = _header(file, what, most)
    return opened.format or "", opened.width, opened.height


def _header(file: BinaryIO, what: str, most: int) -> ImageFile.ImageFile:
    Image.init()  # with a list of formats, Pillow looks only among the plugins that are loaded
    file.seek(0)
    opened = Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])
    check_size(*opened.size, what, most)
    return opened


def apply_exif_orientation(image: Image.Image, what: str = "the image") -> Image.Image:
    """``image`` decoded, and turned as its EXIF orientation says it is to be seen."""
    # A TIFF turns itself when it is decoded, and says no more of it. A PNG is not asked before: it decodes itself then,
    # and what is wrong with it would be said there, and not again.
    is_turned = image.format == "TIFF" and _lies_sideways(image)
    with _decoding(what):
        image.load()
    if image.mode in ("P", "PA") and image.palette is None:
        raise ImageError(f"{what} has colours by number and no palette; get the file again")
    try:
        with warnings_silenced(), nothing_printed():
            turned = ImageOps.exif_transpose(image)
            sideways = is_turned or _lies_sideways(image)
        if sideways and "dpi" in turned.info:
            turned.info["dpi"] = tuple(reversed(turned.info["dpi"]))
        return turned
    except Exception:  # EXIF data is often damaged, and then it orients nothing
        return image.copy()


def _lies_sideways(image: Image.Image) -> bool:
    try:
        with warnings_silenced():
            return image.getexif().get(ORIENTATION, 1) in SIDEWAYS
    except Exception:  # as above
        return False


def file_bytes(source: str | os.PathLike[str]) -> bytes:
    """A file's content, read once: what comes through a pipe is gone then. Raises :class:`ImageError`."""
    path = os.fspath(source)
    if "://" in path:
        raise ImageError(f"{path} is an address; nothing is fetched from the net, download it first")
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder; give an image, or use the command line for whole folders") from None
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist; check the path") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read ({_reason(error)}); check its name and permissions") from None
    if len(data) > MAX_BYTES:
        raise ImageError(f"{path} is larger than {MAX_BYTES / 1e6:.0f} MB; no image within the limits is")
    return data


@contextmanager
def _decoding(what: str, head: bytes = b"") -> Iterator[None]:
    """Turn everything Pillow says of a bad file that begins with ``head`` into one clear error."""
    try:
        # Half-broken metadata warns; an image that decodes is good enough.
        with warnings_silenced(), nothing_printed():
            yield
    except (ImageError, MissingExtraError):
        raise
    except UnidentifiedImageError:
        if kind := unread_kind(head):
            raise ImageError(f"{what} is {kind}, which is not read; save it as JPEG or PNG") from None
        if kind := read_kind(head):
            raise ImageError(
                f"{what} is {kind}, but damaged or of a sort that is not read (by its bits, numbers or channels); get "
                "it again, or save it as PNG, or as TIFF of 8 or 16 bits, grey or RGB"
            ) from None
        raise ImageError(f"{what} is not an image of a known format; give PNG, JPEG, WebP, TIFF, BMP or GIF") from None
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(
            f"{what} decodes to too many pixels ({_reason(error)}); make it smaller first"
        ) from None
    except Exception as error:  # decoders raise nearly anything on hostile files
        raise ImageError(f"{what} is truncated or damaged ({_reason(error)}); get the file again") from None


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:200]


def format_for(path: str | os.PathLike[str]) -> str:
    """The format that a file name's suffix means."""
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        shown = f"suffix {suffix}" if suffix else "no suffix"
        raise OutputError(f"{path} has {shown}, so no format; use one of {', '.join(_SUFFIXES)}")
    return _SUFFIXES[suffix]


def is_writable_suffix(suffix: str) -> bool:
    """Whether images can be written to files of this suffix."""
    return suffix.lower() in _SUFFIXES


def bytes_format(name: str) -> str:
    """The format to answer with for one that was read: itself, or PNG where it cannot hold a restored image."""
    return name if name in _OPTIONS else "PNG"


def check_side(name: str, width: int, height: int) -> None:
    """Raise :class:`OutputError` when an image is too long for the format, which is known before any fitting."""
    limit = _LONGEST.get(name)
    if limit is not None and max(width, height) > limit:
        raise OutputError(f"{name} holds at most {limit} px on a side, the image has {width}×{height}; write a PNG")


def encode(image: Image.Image, name: str) -> bytes:
    """The image as a file's content, with its colour profile, dots an inch and, in PNG, gamma.

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
        raise OutputError(f"an image of {image.width}×{image.height} cannot be written as {name} ({error})") from None
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
    """The image in a mode that the format can hold."""
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
    """A grey image of 16 bits or floats as integers up to ``largest``."""
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
