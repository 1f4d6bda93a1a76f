"""Two fits that differ in nothing but their seeds: they agree on the image, and part over the noise."""

from typing import ClassVar

from deep_protection.stopping.companions import RESEEDED
from deep_protection.stopping.early_stopping import EarlyStopping
from deep_protection.stopping.trajectory import Trajectory


class Agreement(EarlyStopping):
    """``agreement``: mean squared distance between the outputs of two fits with different seeds. Takes two fits."""

    name: ClassVar[str] = "agreement"
    minimum_of: ClassVar[str] = "distance between two fits"
    companion: ClassVar[str | None] = RESEEDED

    def measure(self, trajectory: Trajectory) -> float:
        other = trajectory.companion_output(RESEEDED)
        return (trajectory.latest_output - other).square().mean().item()
