"""What every generator is: a network whose input is fixed noise and whose output is one picture."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn


class ImageGenerator(nn.Module, ABC):
    """A randomly initialised network that draws one picture from fixed noise.

    A subclass builds its layers in ``__init__`` on the ``meta`` device (nothing is drawn from the global random
    state) and computes the picture in :meth:`forward`. Use :meth:`create`, which initialises weights and noise from a
    seed.
    """

    name: ClassVar[str]
    noise_channels: ClassVar[int] = 32
    noise_scale: ClassVar[float] = 0.1
    """Noise is uniform in ``[0, noise_scale)``, as in the published code."""

    noise: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    @classmethod
    def create(cls, target: Tensor, seed: int, device: torch.device) -> "ImageGenerator":
        """A fresh generator for ``target`` (``3×H×W`` in ``[0, 1]``), weights and noise drawn from ``seed``.

        They are drawn on the CPU whatever the device, so that every device starts from the same network.
        """
        height, width = target.shape[-2:]
        generator = cls(height, width).float()  # whatever the host program's default dtype
        generator.to_empty(device=device)
        random = torch.Generator("cpu").manual_seed(seed)
        generator.initialise(random, device)
        generator.noise = uniform(generator.noise_shape(), 0.0, cls.noise_scale, random).to(device)
        generator.condition(target.to(device))
        return generator

    @abstractmethod
    def noise_shape(self) -> tuple[int, int, int, int]:
        """Shape ``1×C×h×w`` of the noise the network starts from."""

    @abstractmethod
    def forward(self) -> Tensor:
        """The picture, ``1×3×H×W`` float32, not clamped (the loss needs a gradient beyond the range too)."""

    def condition(self, target: Tensor) -> None:
        """Look at the target once before fitting."""

    def initialise(self, random: torch.Generator, device: torch.device) -> None:
        """PyTorch's default initialisation, drawn from ``random`` instead of the global state.

        Convolutions are U(-b, b) with b = 1/√fan_in for weights and biases (Kaiming uniform with a = √5);
        normalisation starts as the identity.
        """
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d):
                    bound = layer.weight[0].numel() ** -0.5
                    for weights in (layer.weight, layer.bias):
                        if weights is not None:
                            weights.copy_(uniform(weights.shape, -bound, bound, random).to(device))
                elif isinstance(layer, nn.BatchNorm2d):
                    layer.weight.fill_(1.0)
                    layer.bias.fill_(0.0)


def uniform(shape: tuple[int, ...] | torch.Size, low: float, high: float, random: torch.Generator) -> Tensor:
    """Uniform float32 numbers on the CPU, whatever the caller's default dtype and device."""
    return torch.empty(shape, dtype=torch.float32, device="cpu").uniform_(low, high, generator=random)
