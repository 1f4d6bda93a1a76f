"""What clean images look like to the detector: from it come scores, thresholds and error rates."""

import json
import math
import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Self

from deep_protection.arguments import real
from deep_protection.detection.evidence import EVIDENCE
from deep_protection.errors import DeepProtectionError, OptionError
from deep_protection.images import write_atomically

VERSION = 4
"""Of the figures. A calibration of another version cannot be used."""
LEAST_SPREAD = 0.1
"""Evidence that clean images hardly differ in must not make a mountain of a trifle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Made on clean images alone: nothing about any attack is in it."""

    version: int
    classifier: str
    iterations: int
    """Of the fit that is looked at; 0 is the low-pass copy that a fit begins with."""
    description: str
    """What it was made on, in words."""
    median: Mapping[str, float] = field(hash=False)
    """Median, by evidence."""
    scale: Mapping[str, float] = field(hash=False)
    """Distance from the median to the 90 % quantile over 1.28: the standard deviation of what lies above."""
    scores: Sequence[float] = field(hash=False)
    """Of the clean images, in order."""
    first_look: "Calibration | None" = field(default=None, hash=False)
    """What the same images look like in five answers (:func:`deep_protection.detection.look_first`); None in files from
    before there was one."""

    def score(self, evidence: Mapping[str, float]) -> float:
        """The evidence that stands out most, in standard deviations of clean images, and a little for the rest.

        A soft maximum: ``log(Σ exp(2·deviation)) / 2``.
        """
        found = self.deviations(evidence).values()
        most = max(found)
        return most + math.log(sum(math.exp(2 * (each - most)) for each in found)) / 2

    def deviations(self, evidence: Mapping[str, float]) -> dict[str, float]:
        """Every evidence in standard deviations of clean images."""
        return {name: (value - self.median[name]) / self.scale[name] for name, value in evidence.items()}

    def p_value(self, score: float) -> float:
        """How often a clean image scores as high: (1 + those that do) / (1 + all).

        An image is flagged when this is at most the false-positive rate, which then holds, to within rounding, for new
        clean images of the same kind, on average over calibrations: each of the clean scores was made by a scale that
        had not seen its image (the jackknife in conformal prediction; Barber et al. 2021, arXiv:1905.02928).
        """
        as_high = len(self.scores) - bisect_left(self.scores, score)
        return (1 + as_high) / (1 + len(self.scores))

    def check_classifier(self, name: str) -> None:
        """Raise :class:`OptionError` for a classifier that this calibration was not made with."""
        if name != self.classifier:
            raise OptionError(
                f"this calibration was made with classifier {self.classifier!r}, not {name!r}; make one with: "
                "deep-protection detect calibrate DIR --classifier …"
            )

    def check_rate(self, rate: float) -> None:
        """Raise :class:`OptionError` for a false-positive rate that cannot be kept."""
        least = 1 / (1 + len(self.scores))
        if not least <= real(rate, "the false-positive rate") < 1:
            raise OptionError(
                f"the false-positive rate must be from {least:.3f}, as this calibration has {len(self.scores)} "
                f"images, to below 1; got {rate}"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """As JSON."""
        write_atomically((json.dumps(asdict(self), indent=1) + "\n").encode(), Path(path))

    @classmethod
    def from_evidence(
        cls,
        evidence: Sequence[Mapping[str, float]],
        *,
        classifier: str,
        iterations: int,
        description: str,
        looks: Sequence[Mapping[str, float]] | None = None,
    ) -> Self:
        """From the evidence of clean images, at least 20 of them, and that of a first look at each."""
        if len(evidence) < 20:
            raise DeepProtectionError(f"a calibration needs at least 20 clean images, got {len(evidence)}")
        median, scale = _location_and_scale(evidence)
        made = cls(
            version=VERSION,
            classifier=classifier,
            iterations=iterations,
            description=description,
            median=median,
            scale=scale,
            scores=(),
            first_look=None
            if looks is None
            else cls.from_evidence(looks, classifier=classifier, iterations=0, description=description),
        )
        scores = []
        for index, each in enumerate(evidence):
            # Each by the others, as a new image will be: by a scale that has seen it, it would score too low.
            median, scale = _location_and_scale([*evidence[:index], *evidence[index + 1 :]])
            scores.append(replace(made, median=median, scale=scale).score(each))
        return replace(made, scores=sorted(scores))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """What :meth:`save` wrote."""
        try:
            return cls._from(json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise OptionError(f"{path} cannot be read ({error.strerror})") from None
        except (ValueError, TypeError, KeyError) as error:
            raise OptionError(
                f"{path} is no calibration of version {VERSION} ({error}); make one with: "
                "deep-protection detect calibrate"
            ) from None

    @classmethod
    def shipped(cls, classifier: str, *, quick: bool = False) -> Self:
        """The one that comes with the package."""
        name = f"{classifier}{'-quick' if quick else ''}.json"
        file = files("deep_protection.detection") / "calibrations" / name
        if not file.is_file():
            raise OptionError(
                f"no calibration for classifier {classifier!r} comes with the package; make one on clean images of "
                "your own with: deep-protection detect calibrate DIR --classifier … -o FILE, and give it as calibration"
            )
        return cls._from(json.loads(file.read_text(encoding="utf-8")))

    @classmethod
    def _from(cls, values: dict[str, object]) -> Self:
        look = values.get("first_look")
        if look is not None:
            if not isinstance(look, dict):
                raise TypeError("its first_look is no calibration")
            values = {**values, "first_look": cls._from(look)}
        found = cls(**values)  # type: ignore[arg-type]
        if found.version != VERSION or set(found.median) != set(EVIDENCE) or set(found.scale) != set(EVIDENCE):
            raise ValueError("made by another version")
        return found


def _location_and_scale(evidence: Sequence[Mapping[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Median and scale of clean images."""
    location, scale = {}, {}
    for name in EVIDENCE:
        values = sorted(each[name] for each in evidence)
        location[name] = median(values)
        above = values[round(0.9 * (len(values) - 1))] - location[name]
        scale[name] = max(above / 1.2816, LEAST_SPREAD)
    return location, scale
