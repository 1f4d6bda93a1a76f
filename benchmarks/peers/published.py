"""Deep Image Prior in plain PyTorch, the way its users run it: one image, float32, the published hourglass.

Nothing of this package is used here, so that whatever our engine does is absent from what it is compared with.
Source: Ulyanov, Vedaldi & Lempitsky 2018, arXiv:1711.10925, supplementary material (default architecture: 5 scales of
128 channels, 4 skip channels, reflection padding, bilinear upsampling, sigmoid), with the swish, mean squared error and
Adam at 0.01 that the defence by restoration uses, for 1,750 iterations.
"""

from typing import Any

import torch
from torch import Tensor, nn

ITERATIONS = 1750


class Swish(nn.Module):
    """x · sigmoid(x), spelt out as published code does."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps * torch.sigmoid(maps)


def block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Padding, convolution, normalisation, activation."""
    return [
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(inputs, outputs, kernel, stride),
        nn.BatchNorm2d(outputs),
        Swish(),
    ]


class Scale(nn.Module):
    """One scale: a skip branch beside a deep branch, joined and mixed."""

    def __init__(self, inputs: int, scales: int, width: int = 128, skip: int = 4) -> None:
        super().__init__()
        self.skip = nn.Sequential(*block(inputs, skip, 1))
        inner: list[nn.Module] = [Scale(width, scales - 1, width, skip)] if scales > 1 else []
        self.deep = nn.Sequential(
            *block(inputs, width, 3, 2), *block(width, width, 3), *inner, nn.Upsample(scale_factor=2, mode="bilinear")
        )
        self.mix = nn.Sequential(nn.BatchNorm2d(skip + width), *block(skip + width, width, 3), *block(width, width, 1))

    def forward(self, maps: Tensor) -> Tensor:
        mixed: Tensor = self.mix(torch.cat([self.skip(maps), self.deep(maps)], dim=1))
        return mixed


class PublishedRecipe:
    """One fit. Sides must be multiples of 32, as the published network asks."""

    def __init__(self, image: Tensor, seed: int) -> None:
        height, width = image.shape[-2:]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = nn.Sequential(Scale(32, scales=5), nn.Conv2d(128, 3, 1), nn.Sigmoid())
            self.noise = torch.rand(1, 32, height, width) * 0.1
        self.target = image.unsqueeze(0)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=0.01)
        self.iteration = 0

    def advance_only(self, iterations: int) -> None:
        """Take optimiser steps."""
        for _ in range(iterations):
            self.optimiser.zero_grad()
            output = self.network(self.noise)
            loss = nn.functional.mse_loss(output, self.target)
            loss.backward()
            self.optimiser.step()
            self.iteration += 1

    @torch.no_grad()
    def output(self) -> Tensor:
        """The image drawn now, ``3×H×W``."""
        latest: Tensor = self.network(self.noise)[0]
        return latest

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "noise": self.noise,
            "iteration": self.iteration,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.noise = state["noise"]
        self.iteration = state["iteration"]
