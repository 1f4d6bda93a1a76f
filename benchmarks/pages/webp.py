"""Images for the documents in a fraction of a PNG's bytes."""

from io import BytesIO

import numpy as np
from PIL import Image

QUALITY = 90
"""At which neither lettering nor the grain of a perturbation looks different from the PNG."""


def as_webp(png: bytes) -> bytes:
    """The same image as lossy WebP."""
    with Image.open(BytesIO(png)) as image:
        image.convert("RGB").save(buffer := BytesIO(), "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def upper_half(content: bytes) -> bytes:
    """A figure down to the blank line next to its middle, as WebP: of the demo's two photographs the first."""
    with Image.open(BytesIO(content)) as image:
        whole = image.convert("RGB")
    is_blank = (np.asarray(whole) > 250).all(axis=(1, 2))
    middle = whole.height // 2
    cut = min(np.flatnonzero(is_blank), key=lambda line: abs(int(line) - middle))
    whole.crop((0, 0, whole.width, int(cut))).save(kept := BytesIO(), "PNG")
    return as_webp(kept.getvalue())
