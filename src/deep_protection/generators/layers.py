"""The layers that generators are built of: each holds the weights of N networks side by side, one an image.

Maps are ``N×C×H×W`` everywhere, and image n is only ever touched by network n: convolutions run as N groups, and
normalisation is over each map alone. With N = 1 this is plain convolution and batch normalisation of one image.

The weights are lent by whoever fits the networks and keeps them all in one matrix. So they are ordinary attributes and
not PyTorch parameters, which only the module itself may own.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Border = Literal["zeros", "reflect"]


class Layer(nn.Module):
    """A layer with lent weights."""

    weight: Tensor
    bias: Tensor | None
    shapes: dict[str, tuple[int, ...]]
    """Shape of each weight for one image, as it lies in memory."""

    def arranged(self, which: str, flat: Tensor) -> Tensor:  # noqa: ARG002  (for those that need to know)
        """Weights of N images, one after the other in ``flat``, as the view of them that the layer computes with."""
        return flat


class Conv(Layer):
    """A convolution that keeps size (or halves it, rounding up, with stride 2)."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, border: Border = "zeros", bias: bool = True
    ) -> None:
        super().__init__()
        # Channels last, the order in which CPU kernels are quickest; a view gives PyTorch's own order.
        self.shapes = {"weight": (outputs, kernel, kernel, inputs)}
        self.bias = None
        if bias:
            self.shapes["bias"] = (outputs,)
        self.stride, self.margin, self.border = stride, kernel // 2, border

    def arranged(self, which: str, flat: Tensor) -> Tensor:
        if which == "bias":
            return flat
        _, kernel, _, inputs = self.shapes["weight"]
        # A 1×1 kernel is the same in both orders; strides that look like channels last would make all maps so.
        return flat.view(-1, inputs, 1, 1) if kernel == 1 else flat.view(-1, kernel, kernel, inputs).permute(0, 3, 1, 2)

    def forward(self, maps: Tensor) -> Tensor:
        images, margin = len(maps), self.margin
        if margin and self.border == "reflect":
            maps, margin = F.pad(maps, (margin,) * 4, mode="reflect"), 0
        # Maps side by side are in PyTorch's own order, and what comes out of a convolution takes after the weights.
        weight = self.weight if images == 1 else self.weight.contiguous()
        drawn = F.conv2d(side_by_side(maps), weight, self.bias, self.stride, margin, groups=images)
        return apart(drawn, images)


class Norm(Layer):
    """Batch normalisation over one image: every map to mean 0 and variance 1, then scaled and shifted.

    There is nothing to remember from batch to batch, so no running statistics are kept.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shapes = {"weight": (channels,), "bias": (channels,)}

    def forward(self, maps: Tensor) -> Tensor:
        normal = F.batch_norm(side_by_side(maps), None, None, self.weight, self.bias, training=True)
        return apart(normal, len(maps))


def side_by_side(maps: Tensor) -> Tensor:
    """``N×C×H×W`` to ``1×(N·C)×H×W``.

    One image is left as it is: reshaping it would give its first dimension an unusual stride, with which PyTorch's
    backward pass of batch normalisation is silently wrong on the CPU (2.13, channels last).
    """
    return maps if len(maps) == 1 else maps.reshape(1, -1, *maps.shape[-2:])


def apart(maps: Tensor, images: int) -> Tensor:
    """``1×(N·C)×H×W`` back to ``N×C×H×W``."""
    return maps if images == 1 else maps.reshape(images, -1, *maps.shape[-2:])


def block(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    *,
    border: Border = "zeros",
    bias: bool = True,
    activation: Callable[[], nn.Module] = nn.SiLU,
) -> nn.Sequential:
    """Convolution, normalisation, swish. Normalisation takes away what the convolution's ``bias`` adds."""
    return nn.Sequential(Conv(inputs, outputs, kernel, stride, border=border, bias=bias), Norm(outputs), activation())


def bilinear(maps: Tensor, like: Tensor) -> Tensor:
    """Bilinear interpolation to the height and width of ``like``."""
    return F.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=False)


def nearest(maps: Tensor, like: Tensor) -> Tensor:
    """Nearest-neighbour interpolation to the height and width of ``like``."""
    return F.interpolate(maps, size=like.shape[-2:], mode="nearest")


def smallest_side(scales: int) -> int:
    """The shortest side a generator that halves ``scales`` times can work on.

    Its innermost maps must be at least 2×2: normalisation of a single value is undefined.
    """
    return int(2 ** (scales + 1))
