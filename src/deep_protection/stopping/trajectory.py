"""What is known of a running fit: one checkpoint every few iterations."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a fit after some iterations."""

    iteration: int
    """Optimiser steps done."""
    loss: float
    """Loss of the raw output at this iteration."""
    psnr: float
    """Peak signal-to-noise ratio of this checkpoint's output to the *input* image, in dB."""
    seconds: float
    """Wall time since the fit began."""


@dataclass(slots=True, eq=False)
class Trajectory(Sequence[Checkpoint]):
    """The checkpoints of one fit, in order, and the image that was chosen.

    Stop rules read it. They see the input image and the outputs, never a clean image.
    """

    target: Tensor
    """The image being fitted, ``3×H×W`` in ``[0, 1]``."""
    checkpoints: list[Checkpoint] = field(default_factory=list)
    outputs: dict[int, Tensor] = field(default_factory=dict)
    """Index of checkpoint to its image, ``3×H×W`` in ``[0, 1]``: the chosen one, and all when the fit was asked to
    keep them. While the fit runs, also the latest."""
    companions: dict[str, dict[int, Tensor]] = field(default_factory=dict)
    """Name of a second fit that a rule asked for; index of checkpoint to its image, kept as ``outputs`` are."""
    chosen: int = 0
    """Index of the checkpoint that the stop rule took."""
    reason: str = ""
    """Why the fit ended there."""
    iterations_run: int = 0
    """Optimiser steps spent, those past the chosen checkpoint included."""
    rollbacks: int = 0
    """How often the fit went back to its last good state."""

    @overload
    def __getitem__(self, index: int) -> Checkpoint: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Checkpoint]: ...
    def __getitem__(self, index: int | slice) -> Checkpoint | Sequence[Checkpoint]:
        return self.checkpoints[index]

    def __len__(self) -> int:
        return len(self.checkpoints)

    def __iter__(self) -> Iterator[Checkpoint]:
        return iter(self.checkpoints)

    @property
    def latest_output(self) -> Tensor:
        """The image of the newest checkpoint; only while the fit runs, or when all were kept."""
        return self.outputs[len(self.checkpoints) - 1]

    def companion_output(self, name: str) -> Tensor:
        """The image that the second fit called ``name`` has at the newest checkpoint."""
        return self.companions[name][len(self.checkpoints) - 1]

    @property
    def restored(self) -> Tensor:
        """The image of the chosen checkpoint."""
        return self.outputs[self.chosen]

    @property
    def iteration_chosen(self) -> int:
        return self.checkpoints[self.chosen].iteration


def psnr(first: Tensor, second: Tensor) -> float:
    """10·log₁₀(1 / mean squared difference) in dB for images in ``[0, 1]``; infinite for equal ones."""
    error = (first - second).square_().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)
