"""How often a classifier is right, and how sure that number is."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deep_protection.classifiers import ask
from deep_protection.logits import as_classes


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Counts over ``n`` images."""

    n: int
    top1: int
    top5: int

    def summary(self) -> dict[str, Any]:
        """Counts, rates and 95 % Wilson intervals, ready for JSON."""
        return {
            "n": self.n,
            "top1": rate(self.top1, self.n),
            "top1_interval": wilson_interval(self.top1, self.n),
            "top5": rate(self.top5, self.n),
            "top5_interval": wilson_interval(self.top5, self.n),
        }


@torch.no_grad()
def accuracy(model: nn.Module, pixels: Tensor, labels: Tensor) -> Accuracy:
    """Top-1 and top-5 of ``model`` on ``N×3×H×W`` images with ``N`` true labels."""
    if len(pixels) == 0:
        return Accuracy(0, 0, 0)
    logits = as_classes(ask(model, pixels))
    best = logits.topk(min(5, logits.shape[-1]), dim=-1).indices == labels.unsqueeze(1)
    return Accuracy(len(labels), int(best[:, 0].sum()), int(best.any(dim=1).sum()))


def bootstrap_interval(values: Sequence[float], resamples: int = 5000) -> tuple[float, float]:
    """95 % interval for the mean of ``values``, one an image (percentile bootstrap; Efron & Tibshirani 1993).

    Of differences between two defences on the same images it is the paired one.
    """
    from scipy.stats import bootstrap  # late: only reports need it

    if len(values) == 1:  # of which there is nothing to draw
        return values[0], values[0]
    found = bootstrap(
        (values,), np.mean, n_resamples=resamples, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)


def rate(count: int, n: int) -> float | None:
    """``count`` of ``n`` as a fraction; None of nothing."""
    return count / n if n else None


def wilson_interval(count: int, n: int, z: float = 1.96) -> tuple[float, float] | None:
    """95 % interval for a proportion (Wilson 1927): sensible for small n and for rates near 0 and 1."""
    if n == 0:
        return None
    share = count / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
