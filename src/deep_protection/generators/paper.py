"""The published generator: hourglass, 5 scales × 128 channels, 4 skip channels, 32 noise channels, sigmoid out."""

from typing import ClassVar

import torch
from torch import Tensor

from deep_protection.generators.generator import ImageGenerator
from deep_protection.generators.hourglass import Hourglass
from deep_protection.generators.layers import Conv, smallest_side


class PaperGenerator(ImageGenerator):
    """Deep Image Prior's hourglass with swish in place of leaky ReLU: 2,217,831 weights.

    Source: Ulyanov et al. 2018, supplementary, "default architecture". Images with a side under 64 px are drawn in
    the corner of a 64 px canvas.
    """

    name: ClassVar[str] = "paper"
    channels: ClassVar[tuple[int, ...]] = (128,) * 5
    skip: ClassVar[int] = 4

    def __init__(self, height: int, width: int) -> None:
        super().__init__(height, width)
        self.hourglass = Hourglass(self.noise_channels, self.channels, self.skip)
        self.to_rgb = Conv(self.channels[0], 3, 1)

    def noise_shape(self) -> tuple[int, int, int]:
        least = smallest_side(len(self.channels))
        return self.noise_channels, max(self.height, least), max(self.width, least)

    def forward(self, noise: Tensor) -> Tensor:
        images = torch.sigmoid(self.to_rgb(self.hourglass(noise)).float())
        return images[..., : self.height, : self.width]
