"""A copy with noise that is known tells when noise is being drawn."""

from typing import ClassVar

from deep_protection.errors import OptionError
from deep_protection.stopping.companions import NOISIER, known_noise
from deep_protection.stopping.rule import Decision, StopRule
from deep_protection.stopping.trajectory import Trajectory


class SelfReferenced(StopRule):
    """``self[:SHARE]``: end when a second fit has drawn ``share`` of the noise that was added to its image.

    The share is the projection ⟨difference of the outputs, noise⟩ / ⟨noise, noise⟩. The idea of known pseudo-noise is
    that of Towards the Automation of Deep Image Prior and of self-referenced early stopping (arXiv:2605.25299), of
    which only the abstracts were at hand. Takes two fits.
    """

    name: ClassVar[str] = "self"
    companion: ClassVar[str | None] = NOISIER

    def __init__(self, *, max_iterations: int, share: float = 0.03) -> None:
        if max_iterations < 1 or not 0 < share < 1:
            raise OptionError(
                f"self needs a share between 0 and 1 and at least 1 iteration, got {share} and {max_iterations}"
            )
        self.max_iterations, self.share = max_iterations, share

    def decide(self, trajectory: Trajectory) -> Decision:
        noise = known_noise(trajectory.target)
        drawn = trajectory.companion_output(NOISIER) - trajectory.latest_output
        share = ((drawn * noise).mean() / noise.square().mean()).item()
        reason = f"{share:.1%} of known noise drawn at iteration {trajectory[-1].iteration}, {self.share:.1%} allowed"
        return Decision(share >= self.share, len(trajectory) - 1, reason)

    def __repr__(self) -> str:
        return f"{self.name}:{self.share:g}"
