"""What a file is by its first bytes, without opening it."""

import re

HEAD = 512
"""Bytes that are enough to tell."""
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    **dict.fromkeys((b"GIF87a", b"GIF89a"), "GIF"),
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
    **dict.fromkeys((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), "JPEG 2000"),
}
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
_PPM = re.compile(rb"P[1-6]\s+(#[^\n]*\n\s*)*\d+\s")
_AVIF = (b"avif", b"avis")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_JPEG_XL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


def is_image(head: bytes) -> bool:
    """Whether the first :data:`HEAD` bytes are those of an image, though perhaps of a kind that is not read."""
    return read_kind(head) is not None or unread_kind(head) is not None


def read_kind(head: bytes) -> str | None:
    """The name of a kind of image that is read, by how a file begins; its sort may be one that is not."""
    for beginning, name in _BEGINNINGS.items():
        if head.startswith(beginning):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[4:8] == b"ftyp" and head[8:12] in _AVIF:
        return "AVIF"
    return "PPM" if _PPM.match(head) is not None else None


def unread_kind(head: bytes) -> str | None:
    """The name of a kind of image that is known, but not read."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        return "HEIC"
    return "JPEG XL" if head.startswith(_JPEG_XL) else None
