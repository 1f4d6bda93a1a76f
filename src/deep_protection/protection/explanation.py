"""What a protected classifier tells about one answer."""

from dataclasses import dataclass

from torch import Tensor

from deep_protection.detection import Responses
from deep_protection.protection.contrast import Kind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """What was seen of one image, which answer was taken, and why."""

    answer: Kind
    """``own``, ``mild``, ``contrast`` or ``restored``: see :mod:`deep_protection.protection.contrast`."""
    reason: str
    logits: Tensor
    """``classes``: the answer."""
    is_suspicious: bool
    p_value: float | None
    """How often a clean image looks as suspicious, in the look that ``reason`` tells; None without a calibration."""
    agreement: float
    """How much everything that was done to the image moves the answer in one direction, from -1 to 1."""
    strength: float
    """How many times as far again as restorations move the answer; 0 where it is not by contrast."""
    evidence: dict[str, float]
    """What the detector looked at, in standard deviations of clean images; empty without a calibration."""
    responses: Responses
    """Log-probabilities of the image and of its restorations."""
    restored: Tensor
    """``3×H×W``: the restored image; the mean of its fits where the preset makes several, and a low-pass copy with some
    detail where nothing was fitted."""
