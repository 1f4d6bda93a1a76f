"""Opening image files, as people have them, without trusting them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from deep_protection.errors import ImageError, ImageTooLargeError, MissingExtraError
from deep_protection.images import dicom
from deep_protection.images.depth import bits_a_value, check_planes, in_full_range, signed_notes
from deep_protection.images.kinds import HEAD, read_kind, unread_kind
from deep_protection.images.limits import MAX_BYTES, MAX_PIXELS, check_size
from deep_protection.images.pillow import SIXTEEN_BIT
from deep_protection.images.unprinted import nothing_printed
from deep_protection.quiet import warnings_silenced

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
"""What is opened: common, and decoded in this process. Others (EPS) would run programs on a stranger's file."""

ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)
"""The EXIF tag, and what it says of a picture whose sides change places."""

Source = str | os.PathLike[str] | bytes


def read_image(source: Source, name: str = "") -> tuple[Image.Image, str, tuple[str, ...]]:
    """The first frame, decoded and upright (EXIF orientation applied), its format's name, and notes for the user.

    Args:
        source: a path, or a file's content.
        name: what a content is called in messages, if it has a name.

    Raises :class:`ImageError` for whatever cannot be read: missing, unreadable, empty, truncated, not an image, too
    large.
    """
    data = source if isinstance(source, bytes) else file_bytes(source)
    what = (name or f"picture of {len(data)} bytes") if isinstance(source, bytes) else os.fspath(source)
    if not data:
        raise ImageError(f"{what} is empty; give a PNG, JPEG, WebP, TIFF, BMP or GIF picture")
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
        notes = (*notes, f"{what} has {bits} bits a colour; 8 are used (grey pictures keep their 16)")
    kind = "JPEG" if opened.format == "MPO" else opened.format or "PNG"
    return in_full_range(upright(opened, what), opened), kind, notes


def check_header(data: bytes | BinaryIO, most: int = MAX_PIXELS) -> tuple[str, int, int]:
    """Format, width and height of a picture in a file, of which only the beginning is read: nothing is decoded.

    Raises :class:`ImageError` for what is no picture, :class:`ImageTooLargeError` for one of more than ``most`` pixels.
    """
    file = BytesIO(data) if isinstance(data, bytes) else data
    size = file.seek(0, os.SEEK_END)
    what = f"picture of {size} bytes"
    if size == 0:
        raise ImageError(f"{what} is empty; give a PNG, JPEG, WebP, TIFF, BMP or GIF picture")
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


def upright(image: Image.Image, what: str = "the picture") -> Image.Image:
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
        raise ImageError(f"{path} is a folder; give a picture, or use the command line for whole folders") from None
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist; check the path") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read ({_reason(error)}); check its name and permissions") from None
    if len(data) > MAX_BYTES:
        raise ImageError(f"{path} is larger than {MAX_BYTES / 1e6:.0f} MB; no picture within the limits is")
    return data


@contextmanager
def _decoding(what: str, head: bytes = b"") -> Iterator[None]:
    """Turn everything Pillow says of a bad file that begins with ``head`` into one clear error."""
    try:
        # Half-broken metadata warns; a picture that decodes is good enough.
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
        raise ImageError(f"{what} is not a picture of a known format; give PNG, JPEG, WebP, TIFF, BMP or GIF") from None
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(
            f"{what} decodes to too many pixels ({_reason(error)}); make it smaller first"
        ) from None
    except Exception as error:  # decoders raise nearly anything on hostile files
        raise ImageError(f"{what} is truncated or damaged ({_reason(error)}); get the file again") from None


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:200]
