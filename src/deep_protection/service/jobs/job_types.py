"""The kinds of job: what each takes, and whether it can be had here. A new kind is one row, and one in ``making``."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from deep_protection.detection import Calibration
from deep_protection.errors import DeepProtectionError
from deep_protection.service.jobs import options
from deep_protection.service.settings import Settings


@dataclass(frozen=True, slots=True)
class JobType:
    """One kind of job, submitted to ``/v1/NAME``."""

    name: str
    options: type[options.Options]
    is_offered: Callable[[Settings], bool] = lambda _: True
    lacking: str = ""
    """What to do where it is not offered."""
    inputs: tuple[str, ...] = ("image",)
    example: str = ""
    """Query of a request, for the documentation."""


class Asked(Protocol):
    """A piece of work, wherever it is kept."""

    kind: str
    options: dict[str, Any]


def can_batch(one: Asked, other: Asked) -> bool:
    """Whether two pieces of work can be: fits with the same options share operations, nothing else does."""
    return one.kind == other.kind == "protect" and one.options == other.options


def _calibrated(settings: Settings) -> bool:
    try:
        calibration_of(settings.classifier, settings.calibration)
    except DeepProtectionError:
        return False
    return True


def calibration_of(classifier: str, file: str | None, *, quick: bool = False) -> Calibration:
    """The detector's calibration: that of the file, or the one that comes with the package."""
    return Calibration.load(file) if file else Calibration.shipped(classifier, quick=quick)


def _installed(*modules: str) -> bool:
    return all(find_spec(module) is not None for module in modules)


_ROWS = (
    JobType("protect", options.ProtectOptions, example="preset=fast&seed=0"),
    JobType(
        "detect",
        options.DetectOptions,
        _calibrated,
        "give the service a calibration made by deep-protection detect calibrate",
        example="false_positive_rate=0.05",
    ),
    JobType("classify", options.ClassifyOptions, example="top=5"),
    JobType(
        "attack",
        options.AttackOptions,
        lambda settings: settings.offers_attacks and _installed("foolbox"),
        "it needs the extra attacks, and --attacks where others can connect",
        example="attack=pgd&epsilon_255=4",
    ),
    JobType("denoise", options.DenoiseOptions, example="sigma=25"),
    JobType("dejpeg", options.RestoreOptions),
    JobType("inpaint", options.RestoreOptions, inputs=("image", "mask")),
    JobType("upscale", options.UpscaleOptions, example="factor=2"),
    JobType(
        "extract-text",
        options.ExtractTextOptions,
        lambda _: _installed("cv2", "rapidocr", "onnxruntime"),
        "it needs the extra ocr",
    ),
)

JOB_TYPES: dict[str, JobType] = {row.name: row for row in _ROWS}


def offered(settings: Settings) -> dict[str, JobType]:
    """The kinds that this service can do."""
    return {name: kind for name, kind in JOB_TYPES.items() if kind.is_offered(settings)}
