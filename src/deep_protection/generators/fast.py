"""The quick generator: a low-pass copy of the image plus a residual drawn at half resolution.

Four things make it much cheaper than the published one: the hourglass works on a quarter of the pixels
(12 output maps become 3 by pixel shuffle, Shi et al. 2016, arXiv:1609.05158), it is narrow, it adds branches where the
published one joins them, and it need not spend iterations on what cannot carry a small perturbation anyway – the
coarse colours, which come from the image itself.
"""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from deep_protection.generators.additive_skip import AdditiveSkipNet
from deep_protection.generators.generator import ImageGenerator
from deep_protection.generators.layers import Conv


class FastGenerator(ImageGenerator):
    """Low-pass base + half-resolution hourglass residual whose last layer starts at zero."""

    name: ClassVar[str] = "fast"
    zero_init: ClassVar[tuple[str, ...]] = ("to_rgb",)
    channels: ClassVar[tuple[int, ...]] = (16, 32, 32)
    activation: ClassVar[type[nn.Module]] = nn.SiLU
    base_factor: ClassVar[int] = 8
    """The base keeps one value for each ``base_factor × base_factor`` block. 4 converges sooner but lets
    low-frequency perturbations through."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__(height, width)
        self.hourglass = AdditiveSkipNet(self.noise_channels, self.channels, self.activation)
        self.to_rgb = Conv(self.channels[0], 3 * 4, 1)

    def noise_shape(self) -> tuple[int, int, int]:
        return self.noise_at_half(len(self.channels))

    def base(self, target: Tensor) -> Tensor:
        return low_pass(target.unsqueeze(0), self.base_factor)[0]

    def forward(self, noise: Tensor) -> Tensor:
        residual = F.pixel_shuffle(self.to_rgb(self.hourglass(noise)).float(), 2)
        return residual[..., : self.height, : self.width]


def low_pass(images: Tensor, factor: int) -> Tensor:
    """Area average over ``factor × factor`` blocks, brought back bicubically; ``N×C×H×W`` in ``[0, 1]`` in and out."""
    height, width = images.shape[-2:]
    coarse = (max(1, round(height / factor)), max(1, round(width / factor)))
    small = F.interpolate(images, size=coarse, mode="area")
    return F.interpolate(small, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 1)
