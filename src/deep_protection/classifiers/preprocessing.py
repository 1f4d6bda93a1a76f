"""Resizing and cropping as classifiers were trained with."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deep_protection.images import to_rgb8


@dataclass(frozen=True, slots=True)
class ResizeAndCrop:
    """Bicubic resize of the shorter side to ``resize`` px, then a centred square of ``crop`` px."""

    resize: int
    crop: int

    def __call__(self, image: Image.Image) -> Tensor:
        """``3×crop×crop`` float32 in ``[0, 1]``."""
        image = to_rgb8(image)
        # Only the middle is used: a strip a thousand times as long as wide must not be enlarged as a whole.
        longest = 10 * min(image.size)
        if max(image.size) > longest:
            width, height = (min(side, longest) for side in image.size)
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        scale = self.resize / min(image.size)
        width, height = (max(self.crop, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - self.crop) // 2, (height - self.crop) // 2
        image = image.crop((left, top, left + self.crop, top + self.crop))
        pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
        return pixels.permute(2, 0, 1).to(torch.float32).div(255)


@dataclass(frozen=True, slots=True)
class ShrinkToFit:
    """The whole image, made smaller (bicubic) until no side is longer than ``longest`` px; never made larger."""

    longest: int

    def __call__(self, image: Image.Image) -> Tensor:
        """``3×H×W`` float32 in ``[0, 1]``."""
        image = image.convert("RGB")
        scale = self.longest / max(image.size)
        if scale < 1:
            width, height = (max(1, round(side * scale)) for side in image.size)
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
        return pixels.permute(2, 0, 1).to(torch.float32).div(255)
