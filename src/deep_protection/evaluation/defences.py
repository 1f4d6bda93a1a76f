"""What can stand between an image and its answer: protections, presets, filters, and whatever you bring along.

Your own is named ``module:name``, where ``name`` is a function of a batch of images that gives a batch of images, a
class or an object with ``explain``, or a :class:`~deep_protection.Preset`.
"""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from deep_protection.classifiers import Classifier
from deep_protection.errors import OptionError
from deep_protection.evaluation.baselines import BASELINES, Baseline
from deep_protection.evaluation.protections import PROTECTIONS, Protection
from deep_protection.images import ROUNDING
from deep_protection.optional import import_own
from deep_protection.restoration import PRESETS, Preset
from deep_protection.seeds import image_seed

DEFENCES = (*PROTECTIONS, *PRESETS, *BASELINES)
"""Names of those that the package has."""


@dataclass(frozen=True, slots=True)
class OwnProtection(Protection):
    """Something with ``explain``: of ``N×3×H×W`` images, one explanation each, with ``logits`` at least."""

    made: Any = None

    def build(self, classifier: Classifier, seed: int, device: torch.device) -> Any:
        """The object; of a class one that is made with the classifier."""
        del seed, device
        return self.made(classifier) if isinstance(self.made, type) else self.made


Defence = Protection | Preset | Baseline


def find_defence(name: str) -> Defence:
    """The row of the tables that a name means, or your own under ``module:name``.

    Raises:
        OptionError: there is none, or it is nothing that can defend.
    """
    for table in (PROTECTIONS, PRESETS, BASELINES):
        if name in table:
            return table[name]
    if ":" not in name:
        raise OptionError(f"unknown defence {name!r}; there are: {', '.join(DEFENCES)}; or your own as module:function")
    return _own(name)


def name_of(defence: str | Callable[..., Any]) -> str:
    """What an experiment calls a defence: a name as it is, ``module:name`` for a function or a class of your own.

    Raises:
        OptionError: worker processes could not find it under that name.
    """
    if isinstance(defence, str):
        return defence
    module, name = getattr(defence, "__module__", ""), getattr(defence, "__qualname__", "")
    main = sys.modules["__main__"]
    found = getattr(sys.modules.get(module), name, None)
    if found is not defence or (module == "__main__" and not hasattr(main, "__file__")):
        raise OptionError(
            f"{defence!r} cannot be found by worker processes; define it at the top of a file and pass it, or its name "
            "as module:name"
        )
    return f"{module}:{name}"


def source_of(name: str) -> str:
    """What tells one version of your own defence from another."""
    found = import_own(name, kind="defence")
    if isinstance(found, Preset):
        return repr(found)
    kind = found if inspect.isclass(found) or inspect.isroutine(found) else type(found)
    try:
        text = inspect.getsource(kind)
    except (OSError, TypeError):  # compiled, or not from a file
        text = repr(kind)
    return blake2b(text.encode(), digest_size=8).hexdigest()


@cache
def _own(name: str) -> Defence:
    found = import_own(name, kind="defence")
    if isinstance(found, Preset):
        return found
    if hasattr(found, "explain"):
        return OwnProtection(name, f"`{name}`", made=found)
    if callable(found) and not isinstance(found, type):
        return Baseline(name, f"`{name}`", lambda image: _applied(name, found, image))
    raise OptionError(f"defence {name!r} is neither a function of images nor something with explain, nor a preset")


def _applied(name: str, function: Callable[[Tensor], Any], image: Tensor) -> Tensor:
    """One image through your function, as a batch of one; its random numbers depend on the image alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(image_seed(0, image))
        try:
            found = function(image[None].clone())
        except Exception as error:  # whatever it may raise
            raise OptionError(f"defence {name!r} failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, Tensor) or found.shape != image[None].shape:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise OptionError(f"defence {name!r} has to give images of shape {(1, *image.shape)}, got {got}")
    found = found.detach().float().cpu()
    if not (found.min() >= -ROUNDING and found.max() <= 1 + ROUNDING):  # also where something is no number
        raise OptionError(
            f"defence {name!r} has to give values from 0 to 1, got {found.min():.3g} to {found.max():.3g}"
        )
    return found[0].clamp(0, 1)
