"""Stop when what is not drawn yet is about as large as a perturbation."""

from typing import ClassVar

from deep_protection.errors import OptionError
from deep_protection.stopping.rule import Decision, StopRule
from deep_protection.stopping.trajectory import Trajectory


class Discrepancy(StopRule):
    """``discrepancy[:DB]``: end when the output's PSNR to the input reaches ``level``.

    Morozov's discrepancy principle (1966): fit no closer than the noise. 31 dB is the level of ±7/255.
    """

    name: ClassVar[str] = "discrepancy"

    def __init__(self, *, limit: int, level: float = 31.0) -> None:
        if limit < 1 or not level > 0:
            raise OptionError(
                f"discrepancy needs a level in dB above 0 and a limit of at least 1, got {level}, {limit}"
            )
        self.limit, self.level = limit, level

    def decide(self, trajectory: Trajectory) -> Decision:
        now = trajectory[-1]
        reason = f"{now.psnr:.1f} dB to the input at iteration {now.iteration}, {self.level:g} asked"
        return Decision(now.psnr >= self.level, len(trajectory) - 1, reason)

    def __repr__(self) -> str:
        return f"{self.name}:{self.level:g}"
