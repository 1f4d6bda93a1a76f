"""Defences that answer by themselves instead of handing an image on. A new one is one row of ``PROTECTIONS``."""

from dataclasses import dataclass, field
from typing import Any

import torch

from deep_protection.classifiers import Classifier
from deep_protection.protection import ProtectedClassifier, protect


@dataclass(frozen=True, slots=True)
class Protection:
    """A protected classifier with its options."""

    name: str
    title: str
    options: dict[str, Any] = field(default_factory=dict)
    """Of :func:`deep_protection.protect`."""

    def build(self, classifier: Classifier, seed: int, device: torch.device) -> ProtectedClassifier:
        """``classifier`` behind it."""
        return protect(classifier, seed=seed, device=device, workers=1, **self.options)


_ROWS = (
    Protection("protected", "**protected**"),
    Protection("protected-quick", "protected, `quick`: no fit", {"quick": True}),
    Protection("protected-always", "protected, every image taken for attacked", {"when": "always"}),
)

PROTECTIONS: dict[str, Protection] = {row.name: row for row in _ROWS}
