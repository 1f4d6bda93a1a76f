"""What every stop rule is: it reads a trajectory and says whether to go on, and which checkpoint to take."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from deep_protection.stopping.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Decision:
    """A rule's answer at one checkpoint."""

    stop: bool
    select: int
    """Index of the checkpoint that is best so far: the newest one or the one taken last. Only its image is kept."""
    reason: str


class StopRule(ABC):
    """When to end a fit. A subclass writes :meth:`decide`, and states its ``max_iterations``.

    One rule serves many images: each gets its own copy from :meth:`for_image`. A rule that remembers something
    begins anew in :meth:`reset`.
    """

    name: ClassVar[str]
    asks_classifier: ClassVar[bool] = False
    """Whether outputs are shown to a classifier, which wants whole images and no tiles."""
    companion: ClassVar[str | None] = None
    """Second fit that the rule wants beside the one it ends: a name in ``companions.COMPANIONS``."""
    max_iterations: int
    """Iterations after which the fit ends whatever :meth:`decide` says; progress is measured against it."""

    @abstractmethod
    def decide(self, trajectory: Trajectory) -> Decision:
        """Called at every checkpoint, the newest being ``trajectory[-1]``."""

    def for_image(self, index: int) -> "StopRule":
        """A rule for the ``index``-th image of the call, with nothing remembered from others."""
        del index
        rule = copy.copy(self)
        rule.reset()
        return rule

    def check(self) -> None:  # noqa: B027  (optional hook: most rules lack nothing)
        """Raise :class:`OptionError` if the rule cannot be used as it is. Called before anything is fitted."""

    def with_classifier(self, classifier: Callable[[Tensor], Tensor]) -> "StopRule":
        """The rule that asks ``classifier`` (``N×3×H×W`` in ``[0, 1]`` to logits), if it asks one at all."""
        del classifier
        return self

    def reset(self) -> None:  # noqa: B027  (optional hook: most rules remember nothing)
        """Forget everything: called on the copy, which still shares its attributes with the rule it came from."""
