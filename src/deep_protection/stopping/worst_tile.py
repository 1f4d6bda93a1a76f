"""How well the worst tile is drawn: its smoothed course bends when what is left to draw is the perturbation."""

from typing import ClassVar

from torch.nn import functional as F

from deep_protection.errors import OptionError
from deep_protection.stopping.early_stopping import EarlyStopping
from deep_protection.stopping.trajectory import Trajectory

TILE = 32
"""Pixels on a side, as in the published code."""


class WorstTile(EarlyStopping):
    """``ses``: maximum of the smoothed PSNR, to the input, of the tile that is drawn worst.

    Dai et al., DIPDefend, ACM MM 2020: double exponential smoothing (Holt) with ``share`` 0.002 at every one of 1,200
    iterations; here at checkpoints, with a share that fits their number.
    """

    name: ClassVar[str] = "ses"
    minimum_of: ClassVar[str] = "smoothed error of the worst tile"

    def __init__(self, *, max_iterations: int, patience: int | None = None, share: float = 0.2) -> None:
        if not 0 < share < 1:
            raise OptionError(f"ses needs a share between 0 and 1, got {share}")
        self.share = share
        super().__init__(max_iterations=max_iterations, patience=patience)

    def reset(self) -> None:
        super().reset()
        self._smooth: float | None = None
        self._slope: float | None = None

    def measure(self, trajectory: Trajectory) -> float:
        error = (trajectory.latest_output - trajectory.target).square().mean(dim=0, keepdim=True)
        tile = min(TILE, *error.shape[-2:])
        # The last tiles of a side reach over its end: an average of what is there.
        worst = F.avg_pool2d(error[None], tile, ceil_mode=True).max()
        value = -10 * worst.clamp(min=1e-12).log10().item()
        if self._smooth is None:
            self._smooth = value
        else:
            slope = value - self._smooth if self._slope is None else self._slope
            smooth = self.share * value + (1 - self.share) * (self._smooth + slope)
            self._slope = self.share * (smooth - self._smooth) + (1 - self.share) * slope
            self._smooth = smooth
        return -self._smooth
