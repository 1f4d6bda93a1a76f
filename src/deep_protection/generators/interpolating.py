"""The generator of what was not seen: holes and enlarged images are drawn whole, from noise that is new every time.

A hourglass at half resolution; its maps are brought to full size by interpolation, and a thin convolution there draws
edges sharper than what was interpolated. Pixel shuffle, which `fast` has in this place, draws a chequered pattern where
nothing was seen. docs/restoration.md has what each part is worth.
"""

from typing import ClassVar

from torch import Tensor, sigmoid
from torch.nn import functional as F

from deep_protection.generators.additive_skip import AdditiveSkipNet
from deep_protection.generators.generator import ImageGenerator
from deep_protection.generators.layers import Conv, bilinear, block


class InterpolatingGenerator(ImageGenerator):
    """The whole image from noise: a base would be drawn over what it does not know."""

    name: ClassVar[str] = "interpolating"
    noise_channels: ClassVar[int] = 16
    reg_noise_std: ClassVar[float] = 0.03
    channels: ClassVar[tuple[int, ...]] = (16, 32, 64, 64)
    skip: ClassVar[int] = 4
    thin: ClassVar[int] = 8
    """Maps at full size."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__(height, width)
        self.hourglass = AdditiveSkipNet(self.noise_channels, self.channels, skip=self.skip, enlarged=bilinear)
        self.narrow = Conv(self.channels[0], self.thin, 1)
        self.sharpen = block(self.thin, self.thin, 3, bias=False)
        self.to_rgb = Conv(self.thin, 3, 1)

    def noise_shape(self) -> tuple[int, int, int]:
        return self.noise_at_half(len(self.channels))

    def forward(self, noise: Tensor) -> Tensor:
        maps = F.interpolate(self.narrow(self.hourglass(noise)), scale_factor=2, mode="bilinear", align_corners=False)
        drawn = self.to_rgb(self.sharpen(maps)).float()[..., : self.height, : self.width]
        return sigmoid(drawn)
