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

    def __init__(self, *, max_iterations: int, level: float = 31.0) -> None:
        if max_iterations < 1 or not level > 0:
            raise OptionError(
                f"discrepancy needs a level in dB above 0 and at least 1 iteration, got {level} and {max_iterations}"
            )
        self.max_iterations, self.level = max_iterations, level

    def decide(self, trajectory: Trajectory) -> Decision:
        now = trajectory[-1]
        reason = f"{now.psnr:.1f} dB to the input at iteration {now.iteration}, {self.level:g} asked"
        return Decision(now.psnr >= self.level, len(trajectory) - 1, reason)

    def __repr__(self) -> str:
        return f"{self.name}:{self.level:g}"
