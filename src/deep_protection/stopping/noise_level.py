"""Stop when what is not drawn yet is as large as the noise of the image, which is estimated from the image."""

import math
from typing import ClassVar

from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.stopping.discrepancy import Discrepancy
from deep_protection.stopping.rule import Decision
from deep_protection.stopping.trajectory import Trajectory

CLOSER = 0.2
"""Decibels that an averaged output is best closer to the input than its noise: averages lag behind the fit."""
LEAST = 0.5 / 255
"""No image of 8 bits has less noise than its rounding, and a drawn one may have none at all."""


class NoiseLevel(Discrepancy):
    """``noise[:DB]``: end when the output is closer to the input than its noise by ``closer`` dB.

    Morozov's discrepancy principle (1966) with Donoho's estimate of the noise.
    """

    name: ClassVar[str] = "noise"

    def __init__(self, *, max_iterations: int, closer: float = CLOSER) -> None:
        if not abs(closer) < 20:
            raise OptionError(f"noise takes decibels between -20 and 20, got {closer:g}")
        super().__init__(max_iterations=max_iterations)
        self.closer = closer
        self.reset()

    def reset(self) -> None:
        self._known = False

    def decide(self, trajectory: Trajectory) -> Decision:
        if not self._known:
            self.level = self.closer - 20 * math.log10(max(LEAST, noise_deviation(trajectory.target)))
            self._known = True
        return super().decide(trajectory)

    def __repr__(self) -> str:
        return f"{self.name}:{self.closer:g}"


def noise_deviation(image: Tensor) -> float:
    """Standard deviation of white Gaussian noise in ``3×H×W``, in the image's own units; 0 under 2×2 pixels.

    The median of the finest diagonal Haar coefficients over that of a standard normal's absolute value (Donoho &
    Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 1994).
    """
    height, width = (side - side % 2 for side in image.shape[-2:])
    if not height or not width:
        return 0.0
    even = image[..., :height, :width]
    left = even[..., ::2, ::2] - even[..., 1::2, ::2]
    right = even[..., ::2, 1::2] - even[..., 1::2, 1::2]
    return float(((left - right) / 2).abs().median() / 0.6745)
