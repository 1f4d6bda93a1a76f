"""Opening image files, as people have them, without trusting them."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from deep_protection.errors import ImageError
from deep_protection.images.limits import check_size

Source = str | os.PathLike[str] | bytes


def read_image(source: Source) -> tuple[Image.Image, str, tuple[str, ...]]:
    """The first frame, decoded and upright (EXIF orientation applied), its format's name, and notes for the user.

    Raises :class:`ImageError` for whatever cannot be read: missing, unreadable, empty, truncated, not an image, too
    large.
    """
    what, data = _content(source)
    if not data:
        raise ImageError(f"{what} is empty; give a PNG, JPEG, WebP, TIFF, BMP or GIF picture")
    with _decoding(what):
        opened = Image.open(BytesIO(data))
        check_size(*opened.size, what)
        name = "JPEG" if opened.format == "MPO" else opened.format or "PNG"
    image, notes = upright(opened, what)
    return image, name, notes


def upright(image: Image.Image, what: str = "the picture") -> tuple[Image.Image, tuple[str, ...]]:
    """The first frame of ``image``, decoded, as its EXIF orientation says it is to be seen; and notes for the user."""
    notes: tuple[str, ...] = ()
    with _decoding(what):
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":  # phones put a second view into a JPEG: nobody's animation
            notes = (f"{what} has {frames} frames; only the first is used",)
            image.seek(0)
        image.load()
        return ImageOps.exif_transpose(image), notes


def _content(source: Source) -> tuple[str, bytes]:
    if isinstance(source, bytes):
        return f"picture of {len(source)} bytes", source
    path = os.fspath(source)
    if "://" in path:
        raise ImageError(f"{path} is an address; nothing is fetched from the net, download it first")
    try:
        return path, Path(path).read_bytes()
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder; give a picture, or use the command line for whole folders") from None
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist; check the path") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read ({_reason(error)})") from None


@contextmanager
def _decoding(what: str) -> Iterator[None]:
    """Turn everything Pillow says of a bad file into one clear error."""
    try:
        with warnings.catch_warnings():
            # Half-broken metadata warns; a picture that decodes is good enough. Too large is an error.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{what} is not a picture of a known format; give PNG, JPEG, WebP, TIFF, BMP or GIF") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{what} decodes to too many pixels ({_reason(error)}); make it smaller first") from None
    except Exception as error:  # decoders raise nearly anything on hostile files
        raise ImageError(f"{what} is truncated or damaged ({_reason(error)}); get the file again") from None


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:200]
