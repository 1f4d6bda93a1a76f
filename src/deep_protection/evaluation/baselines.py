"""The cheap defences that any expensive one has to be compared with."""

from io import BytesIO

import torch
from PIL import Image
from torch import Tensor

from deep_protection.images import take_picture, to_pillow


def jpeg(pixels: Tensor, quality: int) -> Tensor:
    """``N×3×H×W`` pictures in ``[0, 1]`` compressed as JPEG of that quality, default chroma subsampling, and back."""
    if len(pixels) == 0:
        return pixels.clone()
    return torch.stack([_through_jpeg(picture, quality) for picture in pixels])


def _through_jpeg(picture: Tensor, quality: int) -> Tensor:
    buffer = BytesIO()
    to_pillow(picture).save(buffer, format="JPEG", quality=quality)
    with Image.open(buffer) as compressed:
        return take_picture(compressed).pixels
