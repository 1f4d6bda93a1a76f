"""Second opinions: the detector asked with several classifiers about the same image.

A perturbation made for one classifier need not show in another's answers, so an image is suspicious when any of them
finds it so. Each is held to an equal share of the false-positive rate (Bonferroni), so that all together keep to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deep_protection.detection._detect import Detection
from deep_protection.detection.calibration import Calibration
from deep_protection.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleDetection:
    """What the detector says of one image with each of several classifiers."""

    p_value: float
    """The smallest of theirs times their number, at most 1."""
    is_suspicious: bool
    by_classifier: Mapping[str, Detection] = field(hash=False)


def combine(found: Mapping[str, Detection]) -> EnsembleDetection:
    """One verdict from those of several classifiers, each found at its :func:`per_classifier_rate`."""
    return EnsembleDetection(
        p_value=min(1.0, len(found) * min(each.p_value for each in found.values())),
        is_suspicious=any(each.is_suspicious for each in found.values()),
        by_classifier=found,
    )


def per_classifier_rate(rate: float, calibrations: Sequence[Calibration]) -> float:
    """Each classifier's share of the false-positive rate. Raises :class:`OptionError` when one cannot keep it."""
    share = rate / len(calibrations)
    for known in calibrations:
        try:
            known.check_rate(share)
        except OptionError as error:
            if len(calibrations) == 1:
                raise
            raise OptionError(
                f"{error}, a share of {rate} among {len(calibrations)} classifiers; calibrate {known.classifier} on "
                "more images or ask for a higher rate"
            ) from None
    return share
