"""Whether an image is taken for attacked, and whether that is plain before anything is fitted."""

from dataclasses import dataclass, field

from torch import Tensor

from deep_protection.detection import Calibration, Responses, compute_evidence

CLEARLY_CLEAN = 0.3
"""p-value of the first look above which there is no other: seven clean images in ten have it by definition, and of
attacked ones that the look with a fit flags next to none (docs/detection.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """What the detector makes of an image."""

    is_suspicious: bool
    p_value: float | None = None
    """How often a clean image looks as suspicious; None without a calibration."""
    evidence: dict[str, float] = field(default_factory=dict)
    """What it looked at, in standard deviations of clean images."""


def suspect(image: Tensor, seen: Responses, calibration: Calibration, false_positive_rate: float) -> Suspicion:
    """Hold what the classifier says of a ``3×H×W`` image and its restorations against clean images."""
    measured = compute_evidence(image.detach().float(), seen)
    p_value = calibration.p_value(calibration.score(measured))
    return Suspicion(
        is_suspicious=p_value <= false_positive_rate, p_value=p_value, evidence=calibration.deviations(measured)
    )


def is_clearly_clean(found: Suspicion, false_positive_rate: float) -> bool:
    """Whether a first look says so plainly that there need be no other. It flags nothing itself, so the false-positive
    rate can only become smaller.
    """
    return found.p_value is not None and found.p_value > max(CLEARLY_CLEAN, false_positive_rate)
