"""Deep Image Prior's restorations in plain PyTorch, each with the settings that its authors' notebooks ship.

Nothing of this package is used here. Source: Ulyanov, Vedaldi & Lempitsky 2018, arXiv:1711.10925, and the notebooks
beside it: leaky ReLU, Adam at 0.01, mean squared error, fresh noise on the input at every iteration, and for denoising
and JPEG the exponential average of outputs. Their way back after a sudden loss of 5 dB is left out: as shipped it
copies the present weights onto themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """What one notebook sets."""

    iterations: int
    channels: tuple[int, ...] = (128,) * 5
    skips: tuple[int, ...] = (4,) * 5
    inputs: int = 32
    jitter: float
    """Standard deviation of the noise on the input."""
    averaging: float = 0.0
    upsampling: str = "bilinear"


NOTEBOOKS: dict[str, Notebook] = {
    "denoise": Notebook(iterations=3000, jitter=1 / 30, averaging=0.99),
    "dejpeg": Notebook(
        iterations=2400,
        jitter=1 / 30,
        averaging=0.99,
        channels=(8, 16, 32, 64, 128),
        skips=(0, 0, 0, 4, 4),
        inputs=3,
    ),
    "inpaint": Notebook(iterations=6001, jitter=0.03, skips=(128,) * 5, upsampling="nearest"),
    "upscale": Notebook(iterations=2000, jitter=0.03),
}


def _block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(inputs, outputs, kernel, stride),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    ]


class _Scale(nn.Module):
    def __init__(self, inputs: int, channels: tuple[int, ...], skips: tuple[int, ...], upsampling: str) -> None:
        super().__init__()
        width, inner, skip = channels[0], channels[1:], skips[0]
        self.skip = nn.Sequential(*_block(inputs, skip, 1)) if skip else None
        deeper: list[nn.Module] = [_Scale(width, inner, skips[1:], upsampling)] if inner else []
        self.deep = nn.Sequential(
            *_block(inputs, width, 3, 2),
            *_block(width, width, 3),
            *deeper,
            nn.Upsample(scale_factor=2, mode=upsampling),
        )
        joined = skip + (inner[0] if inner else width)
        self.mix = nn.Sequential(nn.BatchNorm2d(joined), *_block(joined, width, 3), *_block(width, width, 1))

    def forward(self, maps: Tensor) -> Tensor:
        deep = self.deep(maps)
        mixed: Tensor = self.mix(deep if self.skip is None else torch.cat([self.skip(maps), deep], dim=1))
        return mixed


class PublishedRestoration:
    """One fit. Sides must be multiples of 32, as the published network asks."""

    def __init__(
        self, task: str, seen: Tensor, size: tuple[int, int], see: Callable[[Tensor], Tensor], seed: int
    ) -> None:
        """``seen`` is what ``see`` makes of a whole image ``1×3×H×W`` of ``size``, without its first dimension."""
        settings = NOTEBOOKS[task]
        self.task, self.see, self.target = task, see, seen.unsqueeze(0)
        self.limit = settings.iterations
        self._random = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            body = _Scale(settings.inputs, settings.channels, settings.skips, settings.upsampling)
            self.network = nn.Sequential(body, nn.Conv2d(settings.channels[0], 3, 1), nn.Sigmoid())
            self.noise = torch.rand(1, settings.inputs, *size) * 0.1
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=0.01)
        self.iteration = 0
        self.average: Tensor | None = None

    def advance_only(self, iterations: int) -> None:
        """Take optimiser steps."""
        settings = NOTEBOOKS[self.task]
        for _ in range(iterations):
            self.optimiser.zero_grad()
            jitter = torch.randn(self.noise.shape, generator=self._random) * settings.jitter
            output = self.network(self.noise + jitter)
            loss = F.mse_loss(self.see(output), self.target)
            loss.backward()
            self.optimiser.step()
            self.iteration += 1
            if settings.averaging:
                new = output.detach()
                old = new if self.average is None else self.average
                self.average = settings.averaging * old + (1 - settings.averaging) * new

    @torch.no_grad()
    def output(self) -> Tensor:
        """The restored image now, ``3×H×W``: the average where the notebook keeps one."""
        if self.average is not None:
            return self.average[0]
        latest: Tensor = self.network(self.noise)[0]
        return latest

    def state_dict(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "noise": self.noise,
            "iteration": self.iteration,
            "average": self.average,
            "random": self._random.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.noise, self.iteration, self.average = state["noise"], state["iteration"], state["average"]
        self._random.set_state(state["random"])
