"""The generators of restoration: every pixel is drawn, where `fast` draws four at once.

What they are for has to look well, not only be recognised: docs/restoration.md has what full size gains. All are
hourglasses of five scales whose deep branches come back by bilinear interpolation, which keeps noise out longer.
"""

from typing import ClassVar

import torch
from torch import Tensor

from deep_protection.generators.additive_skip import AdditiveSkipNet
from deep_protection.generators.fast import low_pass
from deep_protection.generators.generator import ImageGenerator
from deep_protection.generators.layers import Conv, bilinear, smallest_side


class FineGenerator(ImageGenerator):
    """Low-pass base + full-size residual: for images of which every pixel is there, however damaged."""

    name: ClassVar[str] = "fine"
    zero_init: ClassVar[tuple[str, ...]] = ("to_rgb",)
    channels: ClassVar[tuple[int, ...]] = (16, 32, 64, 64, 64)
    skip: ClassVar[int] = 4
    base_factor: ClassVar[int] = 8

    def __init__(self, height: int, width: int) -> None:
        super().__init__(height, width)
        self.hourglass = AdditiveSkipNet(self.noise_channels, self.channels, skip=self.skip, enlarged=bilinear)
        self.to_rgb = Conv(self.channels[0], 3, 1)

    def noise_shape(self) -> tuple[int, int, int]:
        least = smallest_side(len(self.channels))
        return self.noise_channels, max(self.height, least), max(self.width, least)

    def base(self, target: Tensor) -> Tensor:
        return low_pass(target.unsqueeze(0), self.base_factor)[0]

    def forward(self, noise: Tensor) -> Tensor:
        residual: Tensor = self.to_rgb(self.hourglass(noise)).float()
        return residual[..., : self.height, : self.width]


class WholeGenerator(FineGenerator):
    """The whole image from noise, and no way past the deep branches: for images of which pixels are missing.

    A base would be drawn over holes that it does not know, and what passes at full size need not fit around them.
    """

    name: ClassVar[str] = "whole"
    zero_init: ClassVar[tuple[str, ...]] = ()
    skip: ClassVar[int] = 0

    def base(self, target: Tensor) -> Tensor:
        return torch.zeros_like(target)

    def forward(self, noise: Tensor) -> Tensor:
        return torch.sigmoid(super().forward(noise))


class EnlargingGenerator(WholeGenerator):
    """The whole image from noise that is new at every iteration: for images of which only a small copy is there.

    Few maps pass at full size: they draw edges sharper than what comes back from the deep branches. Without the fresh
    noise they would draw what the small copy does not ask for; docs/restoration.md has what each is worth.
    """

    name: ClassVar[str] = "enlarging"
    skip: ClassVar[int] = 4
    noise_channels: ClassVar[int] = 16
    reg_noise_std: ClassVar[float] = 0.03
