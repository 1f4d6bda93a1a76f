"""Deep Protection: restore images that may have been tampered with to fool a model.

>>> import deep_protection as dp
>>> restored = dp.purify("photo.jpg")                       # doctest: +SKIP
>>> model = dp.protect(dp.load_classifier("lite0"))         # doctest: +SKIP
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING
from typing import Any as _Any

if TYPE_CHECKING:
    from deep_protection.attacks import ATTACKS as ATTACKS
    from deep_protection.attacks import AttackResult as AttackResult
    from deep_protection.attacks import AttackSpec as AttackSpec
    from deep_protection.attacks import attack as attack
    from deep_protection.certification import Certificate as Certificate
    from deep_protection.certification import certify as certify
    from deep_protection.classifiers import Classifier as Classifier
    from deep_protection.classifiers import Prediction as Prediction
    from deep_protection.classifiers import load_classifier as load_classifier
    from deep_protection.detection import Calibration as Calibration
    from deep_protection.detection import Detection as Detection
    from deep_protection.detection import calibrate as calibrate
    from deep_protection.detection import detect as detect
    from deep_protection.errors import CancelledError as CancelledError
    from deep_protection.errors import ClassifierError as ClassifierError
    from deep_protection.errors import DeepProtectionError as DeepProtectionError
    from deep_protection.errors import FitError as FitError
    from deep_protection.errors import ImageError as ImageError
    from deep_protection.errors import MissingExtraError as MissingExtraError
    from deep_protection.errors import OptionError as OptionError
    from deep_protection.errors import OutputError as OutputError
    from deep_protection.fitting import Detail as Detail
    from deep_protection.fitting import Progress as Progress
    from deep_protection.fitting import Recipe as Recipe
    from deep_protection.integrations import Purify as Purify
    from deep_protection.maps import ExtractedText as ExtractedText
    from deep_protection.maps import extract_text as extract_text
    from deep_protection.protection import Explanation as Explanation
    from deep_protection.protection import ProtectedClassifier as ProtectedClassifier
    from deep_protection.protection import protect as protect
    from deep_protection.restoration import PRESETS as PRESETS
    from deep_protection.restoration import FitOptions as FitOptions
    from deep_protection.restoration import Preset as Preset
    from deep_protection.restoration import Purified as Purified
    from deep_protection.restoration import dejpeg as dejpeg
    from deep_protection.restoration import denoise as denoise
    from deep_protection.restoration import inpaint as inpaint
    from deep_protection.restoration import purify as purify
    from deep_protection.restoration import upscale as upscale
    from deep_protection.stopping import Checkpoint as Checkpoint
    from deep_protection.stopping import Decision as Decision
    from deep_protection.stopping import Fixed as Fixed
    from deep_protection.stopping import Oracle as Oracle
    from deep_protection.stopping import StopRule as StopRule
    from deep_protection.stopping import Trajectory as Trajectory

__version__ = _version("deep-protection")

__all__ = [
    "ATTACKS",
    "PRESETS",
    "AttackResult",
    "AttackSpec",
    "Calibration",
    "CancelledError",
    "Certificate",
    "Checkpoint",
    "Classifier",
    "ClassifierError",
    "Decision",
    "DeepProtectionError",
    "Detail",
    "Detection",
    "Explanation",
    "ExtractedText",
    "FitError",
    "FitOptions",
    "Fixed",
    "ImageError",
    "MissingExtraError",
    "OptionError",
    "Oracle",
    "OutputError",
    "Prediction",
    "Preset",
    "Progress",
    "ProtectedClassifier",
    "Purified",
    "Purify",
    "Recipe",
    "StopRule",
    "Trajectory",
    "attack",
    "calibrate",
    "certify",
    "dejpeg",
    "denoise",
    "detect",
    "extract_text",
    "inpaint",
    "load_classifier",
    "protect",
    "purify",
    "upscale",
]

_NAMES = {
    "attacks": "ATTACKS AttackResult AttackSpec attack",
    "certification": "Certificate certify",
    "classifiers": "Classifier Prediction load_classifier",
    "detection": "Calibration Detection calibrate detect",
    "errors": "CancelledError ClassifierError DeepProtectionError FitError ImageError MissingExtraError OptionError "
    "OutputError",
    "fitting": "Detail Progress Recipe",
    "integrations": "Purify",
    "maps": "ExtractedText extract_text",
    "protection": "Explanation ProtectedClassifier protect",
    "restoration": "FitOptions PRESETS Preset Purified dejpeg denoise inpaint purify upscale",
    "stopping": "Checkpoint Decision Fixed Oracle StopRule Trajectory",
}
"""Where the public names live. Each is imported when it is first used: PyTorch alone takes a second."""
_ROOM_OF = {name: room for room, names in _NAMES.items() for name in names.split()}
_HOSTS = ("art", "deepinv", "hf")
"""Integrations, likewise, such as ``dp.art.DeepPriorPreprocessor``."""


def __getattr__(name: str) -> _Any:
    value: _Any
    if name in _ROOM_OF:
        value = getattr(_import_module(f"deep_protection.{_ROOM_OF[name]}"), name)
    elif name in _HOSTS:
        return _import_module(f"deep_protection.integrations.{name}")  # what is missing is said each time
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOSTS})
