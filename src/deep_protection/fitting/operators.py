"""What happened to an image before it was seen: the generator draws the image, the loss compares what was seen.

Deep Image Prior's inverse problems (Ulyanov et al. 2018, arXiv:1711.10925, section 3) are this and nothing else.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F


class ForwardOperator(ABC):
    """A differentiable loss of information."""

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """What is seen of ``N×3×H×W`` images: ``N×3×h×w``."""

    @abstractmethod
    def initial_estimate(self, seen: Tensor) -> Tensor:
        """A first whole image ``3×H×W`` from what was seen, ``3×h×w``; the generator's base is taken from it."""


class Masking(ForwardOperator):
    """Pixels are missing."""

    def __init__(self, known: Tensor) -> None:
        with torch.inference_mode(False):  # what is born in inference mode cannot take part in a gradient
            self.known = known.detach().clone().to(torch.float32).reshape(1, *known.shape[-2:])
        """``1×H×W``: one where a pixel was seen, zero where not."""

    def __call__(self, images: Tensor) -> Tensor:
        return images * self.known.to(images.device)

    def initial_estimate(self, seen: Tensor) -> Tensor:
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


class Downsampling(ForwardOperator):
    """The image was made smaller by a whole factor with a Lanczos window of three lobes, as Pillow does it."""

    lobes: ClassVar[int] = 3

    def __init__(self, factor: int) -> None:
        self.factor = factor
        with torch.inference_mode(False):
            count = torch.arange(2 * self.lobes * factor, dtype=torch.float32, device="cpu")
            place = (count + 0.5) / factor - self.lobes
            window = torch.sinc(place) * torch.sinc(place / self.lobes)
            self._window = window / window.sum()

    def __call__(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):  # a host's autocast is not ours
            total = self._shrunk(images)
            # Beyond the border there is nothing: what is left of the window weighs the more.
            return total / self._shrunk(torch.ones_like(images[:1, :1]))

    def _shrunk(self, maps: Tensor) -> Tensor:
        channels, window = maps.shape[1], self._window.to(maps.device)
        margin = (len(window) - self.factor) // 2
        for shape, stride, padding in (
            ((1, -1), (1, self.factor), (0, margin)),
            ((-1, 1), (self.factor, 1), (margin, 0)),
        ):
            kernel = window.view(1, 1, *shape).expand(channels, -1, -1, -1)
            maps = F.conv2d(maps, kernel, stride=stride, padding=padding, groups=channels)
        return maps

    def enlarged(self, seen: Tensor) -> Tensor:
        """``3×h×w`` to the size of the whole image, bicubically; not clamped."""
        return F.interpolate(seen[None], scale_factor=self.factor, mode="bicubic", align_corners=False)[0]

    def initial_estimate(self, seen: Tensor) -> Tensor:
        return self.enlarged(seen).clamp(0, 1)
