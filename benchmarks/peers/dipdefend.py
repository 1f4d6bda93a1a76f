"""DIPDefend's recipe, from its description: a tiny network a tile, and a stop by the smoothed worst tile.

Dai et al., "DIPDefend: Deep Image Prior Driven Defense against Adversarial Examples", ACM Multimedia 2020. The image
is cut into 32×32 tiles; each has its own hourglass of 3, 3 and 4 channels without skips, fed by one noise map that is
optimised together with the weights (Adam 0.01, mean squared error, 1,200 iterations). The output that is kept is the
one at the last new maximum of the worst tile's PSNR after double exponential smoothing (0.002); all iterations are run.

Here the tiles' networks are the groups of grouped convolutions, which computes the same and is kinder to the recipe
than 49 small networks one after the other.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ITERATIONS = 1200
TILE = 32
SMOOTHING = 0.002


def block(tiles: int, inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Convolution, normalisation, leaky ReLU for every tile's own network."""
    return [
        nn.Conv2d(tiles * inputs, tiles * outputs, kernel, stride, kernel // 2, groups=tiles, padding_mode="reflect")
        if kernel > 1
        else nn.Conv2d(tiles * inputs, tiles * outputs, 1, groups=tiles),
        nn.BatchNorm2d(tiles * outputs),
        nn.LeakyReLU(0.2),
    ]


def hourglass(tiles: int, inputs: int, channels: tuple[int, ...]) -> nn.Sequential:
    """``tiles`` independent hourglasses side by side."""
    width, inner = channels[0], channels[1:]
    deeper: list[nn.Module] = [hourglass(tiles, width, inner)] if inner else []
    back = inner[0] if inner else width
    return nn.Sequential(
        *block(tiles, inputs, width, 3, 2),
        *block(tiles, width, width, 3),
        *deeper,
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.BatchNorm2d(tiles * back),
        *block(tiles, back, width, 3),
        *block(tiles, width, width, 1),
    )


class DipDefend:
    """One fit. Sides must be multiples of 32."""

    def __init__(self, image: Tensor, seed: int) -> None:
        self.rows, self.columns = image.shape[-2] // TILE, image.shape[-1] // TILE
        tiles = self.rows * self.columns
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = nn.Sequential(
                hourglass(tiles, 1, (3, 3, 4)), nn.Conv2d(tiles * 3, tiles * 3, 1, groups=tiles), nn.Sigmoid()
            )
            self.noise = (torch.rand(1, tiles, TILE, TILE) * 0.1).requires_grad_()
        self.target = self.to_tiles(image)
        self.optimiser = torch.optim.Adam([*self.network.parameters(), self.noise], lr=0.01)
        self.iteration = 0
        self.kept = self.target
        self.smoothed = self.trend = 0.0
        self.best = -math.inf

    def to_tiles(self, image: Tensor) -> Tensor:
        """``3×H×W`` to ``1×(tiles·3)×32×32``."""
        cut = image.view(3, self.rows, TILE, self.columns, TILE).permute(1, 3, 0, 2, 4)
        return cut.reshape(1, -1, TILE, TILE)

    def to_image(self, tiles: Tensor) -> Tensor:
        """``1×(tiles·3)×32×32`` to ``3×H×W``."""
        laid = tiles.view(self.rows, self.columns, 3, TILE, TILE).permute(2, 0, 3, 1, 4)
        return laid.reshape(3, self.rows * TILE, self.columns * TILE)

    def advance_only(self, iterations: int) -> None:
        """Take optimiser steps."""
        for _ in range(iterations):
            self.optimiser.zero_grad()
            output = self.network(self.noise)
            F.mse_loss(output, self.target).backward()
            self._look(output.detach())
            self.optimiser.step()
            self.iteration += 1

    def output(self) -> Tensor:
        """The image that the stop rule would keep now, ``3×H×W``."""
        return self.to_image(self.kept)

    def _look(self, output: Tensor) -> None:
        """Holt's smoothing of the worst tile's PSNR; keep the output at every new maximum."""
        errors = (output - self.target).square().view(self.rows * self.columns, -1).mean(dim=1)
        worst = -10 * math.log10(errors.max().item())
        if self.iteration == 0:
            self.smoothed = worst
        else:
            before = self.smoothed
            self.smoothed = SMOOTHING * worst + (1 - SMOOTHING) * (before + self.trend)
            change = self.smoothed - before
            self.trend = worst - before if self.iteration == 1 else SMOOTHING * change + (1 - SMOOTHING) * self.trend
        if self.smoothed > self.best:
            self.best, self.kept = self.smoothed, output

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "noise": self.noise.detach(),
            "iteration": self.iteration,
            "kept": self.kept,
            "rule": (self.smoothed, self.trend, self.best),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        with torch.no_grad():
            self.noise.copy_(state["noise"])
        self.iteration, self.kept = state["iteration"], state["kept"]
        self.smoothed, self.trend, self.best = state["rule"]
