"""How large a picture may be."""

from deep_protection.errors import ImageError, ImageTooLargeError

MAX_PIXELS = 80_000_000
"""Pictures beyond this many pixels are refused before they are decoded (a decompression bomb is a small file that
decodes to gigabytes). It covers every camera up to 80 megapixels and lies under Pillow's own warning limit."""

MAX_BYTES = 500_000_000
"""Files beyond this are refused before they are read."""


def check_size(width: int, height: int, what: str, most: int = MAX_PIXELS) -> None:
    """Raise :class:`ImageError` for a picture without pixels, :class:`ImageTooLargeError` for more than ``most``."""
    if width < 1 or height < 1:
        raise ImageError(f"{what} has no pixels ({width}×{height}); give a picture of at least 1×1")
    if width * height > most:
        raise ImageTooLargeError(
            f"{what} has {width}×{height} = {width * height / 1e6:.0f} million pixels, the limit is "
            f"{most / 1e6:.3g} million; make it smaller first"
        )
