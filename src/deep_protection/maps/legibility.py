"""Which iteration's residual shows the lettering best, without knowing what it says."""

from typing import ClassVar

import torch
from torch import Tensor

from deep_protection.stopping import Trajectory
from deep_protection.stopping.early_stopping import EarlyStopping

BINS = 256


class Legibility(EarlyStopping):
    """Take the residual whose ink stands out best from its paper; end when it has not stood out better for a while.

    Measured by Otsu's separability (1979, https://doi.org/10.1109/TSMC.1979.4310076): the share of the ink's variance
    that one threshold between ink and paper explains. It falls when letters begin to be drawn, for what is left of
    them fades into the grain; it rises where terrain is drawn and leaves the residual.
    """

    name: ClassVar[str] = "legibility"
    minimum_of: ClassVar[str] = "ink that no threshold parts from paper"

    def __init__(self, *, limit: int = 60, patience: int | None = 10) -> None:
        super().__init__(max_iterations=limit, patience=patience)

    def measure(self, trajectory: Trajectory) -> float:
        return 1 - separability(dark_ink(trajectory.target - trajectory.latest_output))


def dark_ink(residual: Tensor) -> Tensor:
    """``3×H×W`` residual to ``H×W`` in ``[0, 1]``: how much darker than drawn, in the channel where that is least.

    Coloured ink is light in at least one channel, as brown contours are in red and water is in blue; what is dark in
    all three is black, the colour of lettering.
    """
    return residual.amax(dim=0).neg_().clamp_(min=0)


def separability(values: Tensor) -> float:
    """Between-class variance at the best threshold over all variance, 0 to 1; 0 where all values are one."""
    low, high = values.min().item(), values.max().item()
    if not high > low:
        return 0.0
    share = torch.histc(values.float().cpu(), BINS, low, high).double() / values.numel()
    levels = torch.linspace(0, 1, BINS, dtype=torch.float64, device="cpu")
    below, sums = share.cumsum(0), (share * levels).cumsum(0)
    mean = sums[-1]
    between = (mean * below - sums).square() / (below * (1 - below)).clamp(min=1e-12)
    variance = (share * (levels - mean).square()).sum()
    return float(between.max() / variance.clamp(min=1e-12))
