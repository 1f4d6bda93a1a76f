"""What a file is by its first bytes, without opening it."""

import re

HEAD = 512
"""Bytes that are enough to tell."""
TIFF = "TIFF"
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BEGINNINGS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    *_TIFF_MARKS,
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
)
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_PPM = re.compile(rb"P[1-6]\s+(#[^\n]*\n\s*)*\d+\s")
_AVIF = (b"avif", b"avis")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


def is_picture(head: bytes) -> bool:
    """Whether the first :data:`HEAD` bytes are those of a picture, though perhaps of a kind that is not read."""
    return (
        head.startswith(_BEGINNINGS)
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS)
        or _PPM.match(head) is not None
        or head[128:132] == b"DICM"
        or (head[4:8] == b"ftyp" and head[8:12] in _AVIF)
        or unread_kind(head) is not None
    )


def unread_kind(head: bytes) -> str | None:
    """The name of a kind of picture that is known, but not read; of TIFF, not everything is."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        return "HEIC"
    if head.startswith(_TIFF_MARKS):
        return TIFF
    return "JPEG XL" if head.startswith(_JPEG_XL) else None
