"""The oracle: stop when the true class is seen. It peeks at the answer, so it measures, it does not protect."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.logits import as_classes, read_logits
from deep_protection.stopping.rule import Decision, StopRule
from deep_protection.stopping.trajectory import Trajectory


class Oracle(StopRule):
    """Stop at the first checkpoint whose output has the *true* class among the classifier's ``k`` most probable.

    This is the poster's "automatic termination". If it never happens, the last checkpoint is taken.

    ``classifier`` maps ``1×3×H×W`` pixels in ``[0, 1]`` to ``1×classes`` logits; ``labels`` holds the true class index
    of each image of the call, in order.
    """

    name: ClassVar[str] = "oracle"
    asks_classifier: ClassVar[bool] = True

    def __init__(
        self, classifier: Callable[[Tensor], Any], labels: Sequence[int], *, k: int = 5, max_iterations: int = 3000
    ) -> None:
        if k < 1 or max_iterations < 1:
            raise OptionError(
                f"the oracle needs k and max_iterations of at least 1, got k={k}, max_iterations={max_iterations}"
            )
        if isinstance(labels, int | str):
            raise OptionError(f"the oracle needs the labels of all images in a list, got {labels!r}")
        self.classifier, self.labels, self.k, self.max_iterations = classifier, list(labels), k, max_iterations
        self.label: int | None = None

    def for_image(self, index: int) -> "Oracle":
        if not 0 <= index < len(self.labels):
            raise OptionError(f"the oracle was given {len(self.labels)} labels but asked for image {index + 1}")
        rule = copy.copy(self)
        rule.label = self.labels[index]
        return rule

    def decide(self, trajectory: Trajectory) -> Decision:
        with torch.no_grad():
            said = self.classifier(trajectory.latest_output.unsqueeze(0))
        logits = as_classes(read_logits(said, 1, "the oracle's classifier"))
        found = self.label in logits[0].topk(min(self.k, logits.shape[-1])).indices.tolist()
        newest = trajectory[-1].iteration
        if found:
            reason = f"oracle: true class in the top {self.k} at iteration {newest}"
        else:
            reason = f"oracle: true class not in the top {self.k} within {newest} iterations"
        return Decision(found or newest >= self.max_iterations, len(trajectory) - 1, reason)

    def __repr__(self) -> str:
        return f"oracle:top{self.k}"
