"""The convolutional hourglass of Deep Image Prior (Ulyanov et al., 2018, arXiv:1711.10925), with swish.

At each scale a 1x1 *skip* branch keeps a few maps at full size while the *deep* branch halves the size, works there
and comes back by bilinear upsampling; both are joined, normalised and mixed. Any height and width will do: the deep
branch is brought back to the skip branch's exact size, which for multiples of the stride is the published factor 2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deep_protection.generators.layers import Norm, bilinear, block


class Hourglass(nn.Module):
    """One scale of the hourglass, holding the smaller scales inside itself.

    ``channels`` gives the maps of each scale from the outermost inwards; ``skip`` the maps of every skip branch.
    """

    def __init__(self, inputs: int, channels: Sequence[int], skip: int) -> None:
        super().__init__()
        width, inner = channels[0], channels[1:]
        self.skip = block(inputs, skip, 1)
        self.down = nn.Sequential(
            block(inputs, width, 3, 2, border="reflect"), block(width, width, 3, border="reflect")
        )
        self.deeper: nn.Module = Hourglass(width, inner, skip) if inner else nn.Identity()
        joined = skip + (inner[0] if inner else width)
        self.join = Norm(joined)
        self.up = nn.Sequential(block(joined, width, 3, border="reflect"), block(width, width, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """``N×inputs×H×W`` to ``N×channels[0]×H×W``."""
        kept = self.skip(maps)
        deep = bilinear(self.deeper(self.down(maps)), like=maps)
        mixed: Tensor = self.up(self.join(torch.cat([kept, deep], dim=1)))
        return mixed
