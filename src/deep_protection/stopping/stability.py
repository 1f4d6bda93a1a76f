"""What the classifier says along the fit: unformed, then the true class, then the attacker's."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.logits import as_probabilities, read_logits
from deep_protection.stopping.rule import Decision, StopRule
from deep_protection.stopping.trajectory import Trajectory


class Stability(StopRule):
    """``stable[:N]``: end when the classifier has given the same first answer at ``consecutive`` checkpoints in a row.

    If a run is never so long, the checkpoint is taken at which the classifier was surest. After Ding et al.
    (arXiv:2108.00180), who follow the classifier's decision along the fit. Needs a ``classifier``, which maps
    ``1×3×H×W`` pixels in ``[0, 1]`` to logits; :func:`deep_protection.protect` puts in its own.
    """

    name: ClassVar[str] = "stable"
    asks_classifier: ClassVar[bool] = True

    def __init__(
        self,
        *,
        max_iterations: int,
        consecutive: int = 4,
        classifier: Callable[[Tensor], Any] | None = None,
        called: str | None = None,
    ) -> None:
        if max_iterations < 1 or consecutive < 2:
            raise OptionError(
                f"stable needs 2 consecutive answers and 1 iteration at least, got {consecutive} and {max_iterations}"
            )
        self.max_iterations, self.consecutive, self.classifier, self.called = (
            max_iterations,
            consecutive,
            classifier,
            called,
        )
        self.reset()

    def reset(self) -> None:
        self._answer, self._run, self._surest, self._taken = -1, 0, -1.0, 0

    def check(self) -> None:
        if self.classifier is None:
            raise OptionError(
                "the stop rule 'stable' asks a classifier; use it with deep_protection.protect, or pass "
                "stop=deep_protection.stopping.Stability(max_iterations=…, classifier=…)"
            )

    def with_classifier(self, classifier: Callable[[Tensor], Any]) -> "Stability":
        if self.classifier is not None:  # what a caller has chosen
            return self
        return Stability(
            max_iterations=self.max_iterations, consecutive=self.consecutive, classifier=classifier, called=self.called
        )

    def decide(self, trajectory: Trajectory) -> Decision:
        self.check()
        assert self.classifier is not None  # noqa: S101  (checked)
        with torch.no_grad():
            said = self.classifier(trajectory.latest_output[None])
        chances = as_probabilities(read_logits(said, 1, "the classifier of the stop rule"))[0]
        sure, answer = chances.max(dim=-1)
        self._run = self._run + 1 if answer.item() == self._answer else 1
        self._answer = int(answer)
        newest, last = len(trajectory) - 1, trajectory[-1].iteration >= self.max_iterations
        ended = self._run >= self.consecutive
        if ended or sure.item() > self._surest:
            self._surest, self._taken = sure.item(), newest
        if ended:
            reason = f"same answer at {self._run} checkpoints in a row, iteration {trajectory[-1].iteration}"
        else:
            surest = trajectory[self._taken].iteration
            reason = f"classifier surest at iteration {surest}, no {self.consecutive} alike in a row"
        return Decision(ended or last, self._taken, reason)

    def __repr__(self) -> str:
        return self.called or f"{self.name}:{self.consecutive}"
