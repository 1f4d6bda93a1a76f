"""What speaks for tampering: how the classifier's answer changes when the image is restored or changed a little.

A perturbation was made for one image, pixel by pixel. What leaves the object in the image as it was – drawing it
anew, mirroring it, another size, compression – should leave the answer as it was too, or move it this way and that.
Where it all moves the answer in one direction, something was in the image that is undone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from deep_protection.detection.responses import Responses
from deep_protection.detection.specks import SPECK, find_specks

MARGIN_FLOOR = 0.1
"""Nats below which two answers are as good as equally probable."""
LENGTH_WEIGHT, MARGIN_WEIGHT = 0.3, 0.1
"""Of the shift's length and of the margin, beside the agreement: docs/contrast.md has what others give."""


def odds_against(answer: int, probabilities: Tensor) -> float:
    """Logarithm of how much more probable the best of the other classes is than ``answer``."""
    others = probabilities.clone()
    others[answer] = 0
    return math.log((others.max().item() + 1e-4) / (probabilities[answer].item() + 1e-4))


def margin(answer: Tensor) -> float:
    """Nats between the first and the second of ``classes`` log-probabilities; infinitely many where there is one."""
    if len(answer) < 2:
        return math.inf
    first, second = answer.topk(2).values.tolist()
    return float(first - second)


def direction(found: Responses) -> float:
    """How unanimously references move the answer; a little, too, how far, and how near a tie it was.

    For shifts of equal length, ``S² / (1 - S²)`` of their agreement ``S`` is how much of their energy they have in
    common over what is each one's own. Attacks of one step, and those made on another classifier, are the harder to see
    in it, and leave the answer less sure than that to a clean image.
    """
    common = min(max(found.agreement, 0.0) ** 2, 1 - 1e-6)
    length, apart = found.shift.norm().item() + 1e-3, margin(found.original) + MARGIN_FLOOR
    return math.log((common + 1e-3) / (1 - common)) + LENGTH_WEIGHT * math.log(length) - MARGIN_WEIGHT * math.log(apart)


def specks(found: Tensor) -> float:
    """Logarithm of how much single pixels stick out, summed: of the ``H×W`` that :func:`find_specks` gives."""
    return math.log((found - SPECK).clamp(min=0).sum().item() + 0.5)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One figure that is larger for images that were tampered with, on a logarithmic scale."""

    name: str
    measure: Callable[[Tensor, Responses], float]
    """From the image and the answers."""


_ROWS = (
    Evidence("agreement", lambda _, found: direction(found)),
    Evidence(
        "compression",
        lambda _, found: odds_against(int(found.original.argmax()), found.mild.exp().mean(dim=0)),
    ),
    Evidence("specks", lambda pixels, _: specks(find_specks(pixels))),
)

EVIDENCE = {row.name: row for row in _ROWS}
"""All that is looked at. A new kind is one row; calibrations are then made anew."""


def compute_evidence(pixels: Tensor, found: Responses) -> dict[str, float]:
    """Every figure for one image."""
    return {name: row.measure(pixels, found) for name, row in EVIDENCE.items()}
