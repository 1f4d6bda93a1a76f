"""What happened to a picture before it was seen: the generator draws the picture, the loss compares what was seen.

Deep Image Prior's inverse problems (Ulyanov et al. 2018, arXiv:1711.10925, section 3) are this and nothing else.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F


class Degradation(ABC):
    """A differentiable loss of information."""

    @abstractmethod
    def __call__(self, pictures: Tensor) -> Tensor:
        """What is seen of ``N×3×H×W`` pictures: ``N×3×h×w``."""

    @abstractmethod
    def guess(self, seen: Tensor) -> Tensor:
        """A first whole picture ``3×H×W`` from what was seen, ``3×h×w``; the generator's base is taken from it."""


class Holes(Degradation):
    """Pixels are missing."""

    def __init__(self, known: Tensor) -> None:
        self.known = known.to(torch.float32).reshape(1, *known.shape[-2:])
        """``1×H×W``: one where a pixel was seen, zero where not."""

    def __call__(self, pictures: Tensor) -> Tensor:
        return pictures * self.known.to(pictures.device)

    def guess(self, seen: Tensor) -> Tensor:
        """Holes filled from around them: means of the known pixels of ever larger blocks, the finest that has any."""
        known = self.known.to(seen.device)[None]
        total, weight = seen[None] * known, known
        filled, found = total, known
        while not bool(found.all()) and max(weight.shape[-2:]) > 1:
            total, weight = (F.avg_pool2d(each, 2, ceil_mode=True, count_include_pad=False) for each in (total, weight))
            # Blocks that know nothing are left out of the interpolation, or they would darken what is around them.
            has_any = (weight > 0).to(seen.dtype)
            spread = _enlarged(has_any, seen)
            value = _enlarged(total / weight.clamp(min=1e-12) * has_any, seen) / spread.clamp(min=1e-12)
            filled = torch.where((found == 0) & (spread > 0), value, filled)
            found = torch.maximum(found, (spread > 0).to(seen.dtype))
        return filled[0].clamp(0, 1)


def _enlarged(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=False)


class Shrunk(Degradation):
    """The picture was made smaller by a whole factor, each pixel the average of a square."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, pictures: Tensor) -> Tensor:
        return F.avg_pool2d(pictures, self.factor)

    def guess(self, seen: Tensor) -> Tensor:
        return F.interpolate(seen[None], scale_factor=self.factor, mode="bicubic", align_corners=False)[0].clamp(0, 1)
