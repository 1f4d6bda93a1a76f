"""An hourglass whose branches are added instead of joined: as good an image for a fraction of the work.

Joining two branches and mixing them by a convolution is the same as mixing each and adding. Mixed before it is brought
back to full size, the deep branch costs a quarter; and the dearest step of the published hourglass, a 3×3 convolution
over all joined maps at full size, becomes one over a few. Bringing back is by nearest neighbour, which the convolution
after it smooths; docs/performance.md has what bilinear interpolation and joining would change.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from deep_protection.generators.layers import Conv, Norm, block, nearest


class AdditiveSkipNet(nn.Module):
    """One scale, holding the smaller scales inside itself; ``channels`` from the outermost inwards.

    ``skip`` is how many maps pass every scale at full size beside the deep branch, mixed from all and spread over all
    again: None lets all pass, 0 none. ``enlarged`` brings the deep branch back to full size.
    """

    def __init__(
        self,
        inputs: int,
        channels: Sequence[int],
        activation: Callable[[], nn.Module] = nn.SiLU,
        *,
        skip: int | None = None,
        enlarged: Callable[[Tensor, Tensor], Tensor] = nearest,
    ) -> None:
        super().__init__()
        width, inner = channels[0], channels[1:]
        # No biases: normalisation, which comes after every convolution here, would take them away again.
        self.skip: nn.Module | None = Conv(inputs, width, 1, bias=False) if skip is None else None
        if skip:
            thin = block(inputs, skip, 1, bias=False, activation=activation)
            self.skip = nn.Sequential(thin, Conv(skip, width, 1, bias=False))
        self.down = block(inputs, width, 3, 2, bias=False, activation=activation)
        self.deeper: nn.Module = nn.Identity()
        if inner:
            self.deeper = AdditiveSkipNet(width, inner, activation, skip=skip, enlarged=enlarged)
        self.back = Conv(inner[0] if inner else width, width, 1, bias=False)
        self.join = Norm(width)
        self.mix = activation()
        self.up = block(width, width, 3, bias=False, activation=activation)
        self.enlarged = enlarged

    def forward(self, maps: Tensor) -> Tensor:
        """``N×inputs×H×W`` to ``N×channels[0]×H×W``."""
        deep = self.enlarged(self.back(self.deeper(self.down(maps))), maps)
        joined = deep if self.skip is None else deep + self.skip(maps)
        mixed: Tensor = self.up(self.mix(self.join(joined)))
        return mixed
