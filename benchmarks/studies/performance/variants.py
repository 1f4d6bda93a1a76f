"""The `fast` generator with every choice that was made for it left open, so that each can be unmade and measured."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deep_protection.generators import FastGenerator
from deep_protection.generators.layers import Conv, Norm, bilinear, block, nearest, smallest_side

CHROMA = torch.tensor([[0.0, 1.402], [-0.344136, -0.714136], [1.772, 0.0]])
"""Red, green and blue of JPEG's two colour differences (ITU-R BT.601)."""


class Scale(nn.Module):
    """One scale: branches added (skip 0) or joined (skip maps), one or two convolutions on the way down."""

    def __init__(self, inputs: int, channels: Sequence[int], skip: int, downs: int, smooth: bool) -> None:
        super().__init__()
        width, inner = channels[0], channels[1:]
        self.bring_back = bilinear if smooth else nearest
        self.down = nn.Sequential(
            block(inputs, width, 3, 2, bias=False), *(block(width, width, 3, bias=False) for _ in range(downs - 1))
        )
        self.deeper: nn.Module = Scale(width, inner, skip, downs, smooth) if inner else nn.Identity()
        back = inner[0] if inner else width
        self.is_joined = skip > 0
        if self.is_joined:
            self.skip: nn.Module = block(inputs, skip, 1, bias=False)
            self.join = Norm(skip + back)
            self.up = nn.Sequential(block(skip + back, width, 3, bias=False), block(width, width, 1, bias=False))
        else:
            self.skip = Conv(inputs, width, 1, bias=False)
            self.back = Conv(back, width, 1, bias=False)
            self.join = Norm(width)
            self.up = nn.Sequential(block(width, width, 3, bias=False))

    def forward(self, maps: Tensor) -> Tensor:
        deep = self.deeper(self.down(maps))
        if self.is_joined:
            mixed = self.join(torch.cat([self.skip(maps), self.bring_back(deep, like=maps)], dim=1))
        else:
            mixed = F.silu(self.join(self.bring_back(self.back(deep), like=maps) + self.skip(maps)))
        drawn: Tensor = self.up(mixed)
        return drawn


class Variant(FastGenerator):
    """As `fast` unless a subclass says fallback."""

    skip: ClassVar[int] = 0
    downs: ClassVar[int] = 1
    smooth: ClassVar[bool] = False
    shuffle: ClassVar[int] = 2
    colours_apart: ClassVar[bool] = False

    def __init__(self, height: int, width: int) -> None:
        super().__init__(height, width)
        self.hourglass = Scale(self.noise_channels, self.channels, self.skip, self.downs, self.smooth)  # type: ignore[assignment]
        self.to_rgb = Conv(self.channels[0], self.shuffle**2 + 2 if self.colours_apart else 3 * self.shuffle**2, 1)

    def noise_shape(self) -> tuple[int, int, int]:
        least = smallest_side(len(self.channels))
        sides = (max(-(-side // self.shuffle), least) for side in (self.height, self.width))
        return (self.noise_channels, *sides)  # type: ignore[return-value]

    def forward(self, noise: Tensor) -> Tensor:
        drawn = self.to_rgb(self.hourglass(noise)).float()
        if self.colours_apart:
            grey = F.pixel_shuffle(drawn[:, :-2], self.shuffle)
            residual = grey + torch.einsum("kc,nchw->nkhw", CHROMA, bilinear(drawn[:, -2:], like=grey))
        else:
            residual = F.pixel_shuffle(drawn, self.shuffle)
        return residual[..., : self.height, : self.width]


def variant(name: str, choices: Mapping[str, object]) -> type[Variant]:
    """A generator with these choices."""
    return type("Variant", (Variant,), {"name": f"fast ({name})", **choices})
