"""What every generator is: a network whose input is noise and whose output is one image."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from deep_protection.generators.layers import Conv, Layer, smallest_side


class ImageGenerator(nn.Module, ABC):
    """An untrained network that draws images of one size from noise.

    A subclass builds its layers in ``__init__`` from :mod:`deep_protection.generators.layers` and computes the image
    in :meth:`forward`. The layers' weights are drawn from a seed by :meth:`init_parameters` and live with whoever fits
    them, for one image or for many side by side.
    """

    name: ClassVar[str]
    noise_channels: ClassVar[int] = 32
    noise_scale: ClassVar[float] = 0.1
    """Noise is uniform in ``[0, noise_scale)``, as in the published code."""
    reg_noise_std: ClassVar[float] = 0.0
    """Standard deviation of the fresh noise that is laid over the input at every iteration: what is drawn must not hang
    on single values of it, which keeps noise out for longer (Ulyanov et al. 2018, arXiv:1711.10925)."""
    zero_init: ClassVar[tuple[str, ...]] = ()
    """Layers whose weights start at zero."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    @abstractmethod
    def noise_shape(self) -> tuple[int, int, int]:
        """Shape ``C×h×w`` of the noise that an image starts from."""

    def noise_at_half(self, scales: int) -> tuple[int, int, int]:
        """Noise of half the image's sides, rounded up, but no smaller than an hourglass of so many scales can halve."""
        least = smallest_side(scales)
        return self.noise_channels, max((self.height + 1) // 2, least), max((self.width + 1) // 2, least)

    @abstractmethod
    def forward(self, noise: Tensor) -> Tensor:
        """What the network adds to :meth:`base`: noise ``N×C×h×w`` to ``N×3×H×W`` float32, not clamped.

        The loss needs a gradient beyond the range too.
        """

    def base(self, target: Tensor) -> Tensor:
        """What is known of a ``3×H×W`` image before fitting, the same size. Nothing, if not overridden."""
        return torch.zeros_like(target)

    def layers(self) -> dict[str, Layer]:
        """The layers with weights, by name, in the order in which they were built."""
        return {name: layer for name, layer in self.named_modules() if isinstance(layer, Layer)}

    def init_parameters(self, seed: int) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
        """Fresh weights of one image, by layer and name, and its noise ``C×h×w``, from a seed.

        PyTorch's default initialisation, drawn from ``seed`` instead of the global state: convolutions are U(-b, b)
        with b = 1/√fan_in for weights and biases (Kaiming uniform with a = √5); normalisation starts as the identity.
        Drawn on the CPU, so that every device starts from the same network.
        """
        random = torch.Generator("cpu").manual_seed(seed)
        weights: dict[tuple[str, str], Tensor] = {}
        for name, layer in self.layers().items():
            if isinstance(layer, Conv):
                outputs, kernel, _, inputs = layer.shapes["weight"]
                bound = 0.0 if name in self.zero_init else (kernel * kernel * inputs) ** -0.5
                kernels = uniform((outputs, inputs, kernel, kernel), -bound, bound, random)
                weights[name, "weight"] = kernels.permute(0, 2, 3, 1)
                if "bias" in layer.shapes:
                    weights[name, "bias"] = uniform((outputs,), -bound, bound, random)
            else:
                for which, start in (("weight", 1.0), ("bias", 0.0)):
                    weights[name, which] = torch.full(layer.shapes[which], start, dtype=torch.float32, device="cpu")
        return weights, uniform(self.noise_shape(), 0.0, self.noise_scale, random)


def uniform(shape: tuple[int, ...], low: float, high: float, random: torch.Generator) -> Tensor:
    """Uniform float32 numbers on the CPU, whatever the caller's default dtype and device."""
    return torch.empty(shape, dtype=torch.float32, device="cpu").uniform_(low, high, generator=random)
