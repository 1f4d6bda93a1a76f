"""What a restoration tells about itself."""

import math
from dataclasses import dataclass, field, fields
from typing import Any

from deep_protection.errors import OptionError
from deep_protection.stopping import Trajectory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Purified:
    """One restored picture and how it came about."""

    image: Any
    """The restored picture, in the type the caller gave."""
    preset: str
    generator: str
    fits: int
    """Independent fits whose pictures were averaged."""
    seed: int
    """The run's seed; with the picture's content it decides everything drawn at random."""
    stop_rule: str
    stop_reason: str
    iteration_chosen: int
    """Of the tile that took most, where the picture was fitted in tiles."""
    iterations_run: int
    """Optimiser steps spent on a tile, at most."""
    seconds: float
    """Wall time spent fitting, added up over tiles and fits; on a GPU it is shared with the pictures beside it."""
    psnr_input: float
    """How close the restored picture, or what would be seen of it, is to what came in, in dB."""
    rollbacks: int
    """How often a fit went back to its last good state."""
    device: str
    precision: str
    trajectories: tuple[Trajectory, ...] = field(repr=False)
    """Fit after fit of one tile after the other, row by row; one in all for a picture fitted whole and once."""
    notes: tuple[str, ...] = ()

    @property
    def trajectory(self) -> Trajectory:
        """The trajectory of a picture that was fitted whole and once."""
        if len(self.trajectories) != 1:
            raise OptionError(
                f"this picture took {len(self.trajectories)} fits (tiles: {self.tiles}, fits of each: {self.fits}), "
                "each with its own trajectory; use .trajectories"
            )
        return self.trajectories[0]

    @property
    def tiles(self) -> int:
        """How many tiles the picture was cut into; 1 is the whole picture."""
        return len(self.trajectories) // self.fits

    def summary(self) -> dict[str, Any]:
        """Everything but pictures and trajectories, ready for JSON."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        del values["image"], values["trajectories"]
        # JSON knows no infinity: a picture restored to exactly itself has none to report.
        psnr_input = self.psnr_input if math.isfinite(self.psnr_input) else None
        return values | {"psnr_input": psnr_input, "tiles": self.tiles, "notes": list(self.notes)}
