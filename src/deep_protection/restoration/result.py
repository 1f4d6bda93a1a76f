"""What a restoration tells about itself."""

import math
from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.stopping import Trajectory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Purified:
    """One restored image and how it came about."""

    image: Any
    """The restored image, in the type the caller gave."""
    preset: str
    generator: str
    fits: int
    """Independent fits whose images were averaged, with what filters made where there are any; 0: filters alone."""
    seed: int
    """The run's seed; with the image's content it decides everything drawn at random."""
    stop_rule: str
    stop_reason: str
    iteration_chosen: int
    """Of the tile that took most, where the image was fitted in tiles."""
    iterations_run: int
    """Optimiser steps spent on a tile, at most."""
    seconds: float
    """Wall time spent fitting, added up over tiles and fits; on a GPU it is shared with the images beside it."""
    psnr_input: float
    """How close the restored image, or what would be seen of it, is to what came in, in dB."""
    rollbacks: int
    """How often a fit went back to its last good state."""
    device: str
    precision: str
    trajectories: tuple[Trajectory, ...] = field(repr=False)
    """Fit after fit of one tile after the other, row by row; one in all for an image fitted whole and once."""
    tiles: int = 1
    """How many tiles the image was cut into; 1 is the whole image."""
    notes: tuple[str, ...] = ()

    @property
    def trajectory(self) -> Trajectory:
        """The trajectory of an image that was fitted whole and once."""
        if len(self.trajectories) != 1:
            raise OptionError(
                f"this image took {len(self.trajectories)} fits (tiles: {self.tiles}, fits of each: {self.fits}), "
                "each with its own trajectory; use .trajectories"
            )
        return self.trajectories[0]

    @property
    def restored_by_fit(self) -> list[Tensor]:
        """The ``3×H×W`` pixels that each fit ended with, where a tensor was given; of an image in tiles only their mean
        is kept.
        """
        if self.tiles > 1:
            return [self.image] * self.fits
        return [trajectory.restored for trajectory in self.trajectories]

    def summary(self) -> dict[str, Any]:
        """Everything but images and trajectories, ready for JSON."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        del values["image"], values["trajectories"]
        # JSON knows no infinity: an image restored to exactly itself has none to report.
        psnr_input = self.psnr_input if math.isfinite(self.psnr_input) else None
        return values | {"psnr_input": psnr_input, "notes": list(self.notes)}
