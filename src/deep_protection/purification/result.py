"""What a restoration tells about itself."""

import math
from dataclasses import dataclass, field, fields
from typing import Any

from deep_protection.errors import OptionError
from deep_protection.stopping import Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Purified:
    """One restored picture and how it came about."""

    image: Any
    """The restored picture, in the type the caller gave."""
    preset: str
    generator: str
    seed: int
    """The run's seed; with the picture's content it decides everything drawn at random."""
    stop_rule: str
    stop_reason: str
    iteration_chosen: int
    """Of the tile that took most, where the picture was fitted in tiles."""
    iterations_run: int
    """Optimiser steps spent on a tile, at most."""
    seconds: float
    """Time spent fitting, added up over tiles."""
    psnr_input: float
    """How close the restored picture is to what came in, in dB."""
    rollbacks: int
    """How often a fit went back to its last good state."""
    device: str
    precision: str
    trajectories: tuple[Trajectory, ...] = field(repr=False)
    """One for each tile, row by row; one in all for pictures that were fitted whole."""
    notes: tuple[str, ...] = ()

    @property
    def trajectory(self) -> Trajectory:
        """The trajectory of a picture that was fitted whole."""
        if len(self.trajectories) != 1:
            raise OptionError(
                f"this picture was fitted in {len(self.trajectories)} tiles, each with its own trajectory; "
                "use .trajectories"
            )
        return self.trajectories[0]

    def summary(self) -> dict[str, Any]:
        """Everything but pictures and trajectories, ready for JSON."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        del values["image"], values["trajectories"]
        # JSON knows no infinity: a picture restored to exactly itself has none to report.
        psnr_input = self.psnr_input if math.isfinite(self.psnr_input) else None
        return values | {"psnr_input": psnr_input, "tiles": len(self.trajectories), "notes": list(self.notes)}
