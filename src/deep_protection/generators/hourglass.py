"""The convolutional hourglass of Deep Image Prior (Ulyanov et al., 2018, arXiv:1711.10925), with swish.

At each scale a 1x1 *skip* branch keeps a few maps at full size while the *deep* branch halves the size, works there
and comes back by bilinear upsampling; both are joined, normalised and mixed. Any height and width will do: the deep
branch is brought back to the skip branch's exact size, which for multiples of the stride is the published factor 2.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Border = Literal["zeros", "reflect"]


class ConvBlock(nn.Sequential):
    """Convolution, batch normalisation, swish: ``N×I×H×W`` to ``N×O×⌈H/stride⌉×⌈W/stride⌉``.

    With one picture a batch, batch normalisation is normalisation over that picture, so running statistics have no
    use and none are kept. ``border`` is "reflect" (published) or "zeros" (one copy of the maps less for each 3×3).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, border: Border) -> None:
        padding_mode = border if kernel > 1 else "zeros"
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode=padding_mode, device="meta"),
            nn.BatchNorm2d(outputs, track_running_stats=False, device="meta"),
            nn.SiLU(),
        )


class Hourglass(nn.Module):
    """One scale of the hourglass, holding the smaller scales inside itself.

    ``channels`` gives the maps of each scale from the outermost inwards; ``skip`` the maps of every skip branch.
    """

    def __init__(self, inputs: int, channels: Sequence[int], skip: int, *, border: Border) -> None:
        super().__init__()
        width, inner = channels[0], channels[1:]
        self.skip = ConvBlock(inputs, skip, 1, border=border)
        self.down = nn.Sequential(
            ConvBlock(inputs, width, 3, 2, border=border),
            ConvBlock(width, width, 3, border=border),
        )
        self.deeper: nn.Module = Hourglass(width, inner, skip, border=border) if inner else nn.Identity()
        joined = skip + (inner[0] if inner else width)
        self.join = nn.BatchNorm2d(joined, track_running_stats=False, device="meta")
        self.up = nn.Sequential(
            ConvBlock(joined, width, 3, border=border),
            ConvBlock(width, width, 1, border=border),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """``N×inputs×H×W`` to ``N×channels[0]×H×W``."""
        kept = self.skip(maps)
        deep = F.interpolate(self.deeper(self.down(maps)), size=maps.shape[-2:], mode="bilinear", align_corners=False)
        mixed: Tensor = self.up(self.join(torch.cat([kept, deep], dim=1)))
        return mixed


def smallest_side(scales: int) -> int:
    """The shortest side an hourglass of ``scales`` scales can work on.

    Its innermost maps must be at least 2×2: batch normalisation of a single value is undefined.
    """
    return int(2 ** (scales + 1))
