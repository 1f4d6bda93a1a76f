"""Deep Protection: restore images that may have been tampered with to fool a model.

>>> import deep_protection as dp
>>> restored = dp.purify("photo.jpg")                       # doctest: +SKIP
>>> model = dp.protect(dp.load_classifier("lite0"))         # doctest: +SKIP
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from types import ModuleType as _ModuleType

from deep_protection.attacks import ATTACKS as ATTACKS
from deep_protection.attacks import attack as attack
from deep_protection.classifiers import Classifier as Classifier
from deep_protection.classifiers import Prediction as Prediction
from deep_protection.classifiers import load_classifier as load_classifier
from deep_protection.detection import Calibration as Calibration
from deep_protection.detection import Detection as Detection
from deep_protection.detection import detect as detect
from deep_protection.errors import CancelledError as CancelledError
from deep_protection.errors import ClassifierError as ClassifierError
from deep_protection.errors import DeepProtectionError as DeepProtectionError
from deep_protection.errors import FitError as FitError
from deep_protection.errors import ImageError as ImageError
from deep_protection.errors import MissingExtraError as MissingExtraError
from deep_protection.errors import OptionError as OptionError
from deep_protection.errors import OutputError as OutputError
from deep_protection.fitting import Progress as Progress
from deep_protection.fitting import Recipe as Recipe
from deep_protection.integrations import Purify as Purify
from deep_protection.maps import ExtractedText as ExtractedText
from deep_protection.maps import extract_text as extract_text
from deep_protection.protection import Explanation as Explanation
from deep_protection.protection import ProtectedClassifier as ProtectedClassifier
from deep_protection.protection import protect as protect
from deep_protection.purification import PRESETS as PRESETS
from deep_protection.purification import Preset as Preset
from deep_protection.purification import Purified as Purified
from deep_protection.purification import purify as purify
from deep_protection.restoration import dejpeg as dejpeg
from deep_protection.restoration import denoise as denoise
from deep_protection.restoration import inpaint as inpaint
from deep_protection.restoration import upscale as upscale
from deep_protection.stopping import Fixed as Fixed
from deep_protection.stopping import Oracle as Oracle
from deep_protection.stopping import StopRule as StopRule
from deep_protection.stopping import Trajectory as Trajectory

__version__ = _version("deep-protection")

_HOSTS = ("art", "deepinv", "hf")
"""Integrations whose library is imported when they are first used, such as ``dp.art.DeepPriorPreprocessor``."""


def __getattr__(name: str) -> _ModuleType:
    if name in _HOSTS:
        return _import_module(f"deep_protection.integrations.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
