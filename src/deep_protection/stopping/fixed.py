"""Stop after a given number of iterations."""

from typing import ClassVar

from deep_protection.errors import OptionError
from deep_protection.stopping.rule import Decision, StopRule
from deep_protection.stopping.trajectory import Trajectory


class Fixed(StopRule):
    """``fixed:N``: end after ``iterations`` and take the last checkpoint."""

    name: ClassVar[str] = "fixed"

    def __init__(self, iterations: int) -> None:
        if iterations < 1:
            raise OptionError(f"fixed:{iterations} is not a number of iterations; give at least 1, as in fixed:200")
        self.max_iterations = iterations

    def decide(self, trajectory: Trajectory) -> Decision:
        done = trajectory[-1].iteration
        return Decision(
            done >= self.max_iterations, len(trajectory) - 1, f"fixed count of {self.max_iterations} iterations reached"
        )

    def __repr__(self) -> str:
        return f"fixed:{self.max_iterations}"
