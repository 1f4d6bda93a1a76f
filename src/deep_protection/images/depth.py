"""How many bits a value has in a file, which Pillow does not tell of what it opens with 8."""

import numpy as np
from PIL import Image, ImageFile

from deep_protection.errors import ImageError

SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")
"""Pillow's modes of them."""

_TIFF_BITS, _TIFF_KIND, _TIFF_PLANES, _TIFF_FORMAT = 258, 262, 284, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2
_JPEG2000_SIZE, _JPEG2000_DEPTH = b"\xff\x4f\xff\x51", 40
"""Start of a JPEG 2000 codestream with its size segment, and how far behind it the first component's depth lies."""
_AVIF_DEPTHS = b"pixi"
_HEADER_BYTES = 65_536


def bits_a_value(opened: ImageFile.ImageFile, data: bytes) -> int:
    """Bits of the deepest channel of a file that is opened, not decoded; 8 where it names none."""
    if opened.format == "TIFF":
        return _most(getattr(opened, "tag_v2", {}).get(_TIFF_BITS, 8))
    if opened.format == "JPEG2000":
        start = data.find(_JPEG2000_SIZE)
        depth = data[start + _JPEG2000_DEPTH :][:1] if start >= 0 else b""
        return (depth[0] & 0x7F) + 1 if depth else 8
    if opened.format == "AVIF":
        start = data[:_HEADER_BYTES].find(_AVIF_DEPTHS)
        channels = data[start + 8] if 0 <= start < len(data) - 8 else 0
        return max(data[start + 9 : start + 9 + channels], default=8)
    for tile in getattr(opened, "tile", ()):  # sizes and places stand in a tile too: only its arguments tell of bits
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if opened.format == "PPM" and len(arguments) == 2 and isinstance(arguments[1], int):
            return max(8, arguments[1].bit_length()) if tile[0].startswith("ppm") else 8
        if isinstance(arguments[0], str) and ";16" in arguments[0]:
            return 16
    return 8


def in_full_range(image: Image.Image, opened: ImageFile.ImageFile) -> Image.Image:
    """A grey TIFF of 12 or 16 bits, or of floats, with 0 for black and 65535 or 1 for white: Pillow leaves these as
    they are kept.
    """
    tags = getattr(opened, "tag_v2", {})
    bits, is_turned = _most(tags.get(_TIFF_BITS, 16)), tags.get(_TIFF_KIND) == _WHITE_IS_ZERO
    if opened.format != "TIFF" or image.mode not in (*SIXTEEN_BIT[:-1], "F"):
        return image
    if image.mode == "F":
        if not is_turned:
            return image
        made = Image.fromarray(1 - np.array(image))
    elif bits == 16 and not is_turned:
        return image
    else:
        values = np.array(image).astype(np.float64) / (2**bits - 1)
        values = 65535 * (1 - values if is_turned else values)
        made = Image.fromarray(values.round().clip(0, 65535).astype(np.uint16))
    made.info = image.info
    return made


def signed_notes(opened: ImageFile.ImageFile, what: str) -> tuple[str, ...]:
    """What to say of a TIFF of signed values. Raises :class:`ImageError` for 8 bits, whose sign Pillow drops."""
    tags = getattr(opened, "tag_v2", {})
    if opened.format != "TIFF" or _SIGNED not in np.ravel(tags.get(_TIFF_FORMAT, 1)):
        return ()
    if _most(tags.get(_TIFF_BITS, 8)) <= 8:
        raise ImageError(f"{what} holds signed values of 8 bits, which cannot be read; save it with unsigned ones")
    return (f"{what} holds signed values; they are taken as 16-bit ones, of which 65535 is white",)


def check_planes(opened: ImageFile.ImageFile, what: str) -> None:
    """Refuse what Pillow reads wrong without a word: uncompressed 16-bit TIFF with a plane for each colour."""
    tags = getattr(opened, "tag_v2", None)
    if tags is None or tags.get(_TIFF_PLANES, 1) != 2 or _most(tags.get(_TIFF_BITS, 8)) <= 8:
        return
    if any(tile[0] == "raw" for tile in opened.tile):
        raise ImageError(
            f"{what} keeps 16-bit colours in planes of their own, uncompressed, which cannot be read; save it "
            "interleaved, or compressed"
        )


def _most(bits: object) -> int:
    values = bits if isinstance(bits, tuple) else (bits,)
    return max((each for each in values if isinstance(each, int)), default=8)
