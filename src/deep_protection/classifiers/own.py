"""A classifier of your own by name, for commands and worker processes: ``module:function``."""

from typing import Any

from torch import nn

from deep_protection.errors import ClassifierError
from deep_protection.optional import import_own


def make_own(name: str) -> nn.Module:
    """What the function ``module:function`` makes, or the module of that name.

    Raises:
        ClassifierError: there is none, it fails, or it makes no module.
    """
    found: Any = import_own(name, kind="classifier", error=ClassifierError)
    if callable(found) and not isinstance(found, nn.Module):
        try:
            found = found()
        except Exception as error:  # whatever it may raise
            raise ClassifierError(f"classifier {name!r} cannot be made ({type(error).__name__}: {error})") from error
    if not isinstance(found, nn.Module):
        raise ClassifierError(
            f"classifier {name!r} has to be a function without arguments that gives a network, or what "
            f"deep_protection.load_classifier(network, mean=…, std=…) makes of one; got {type(found).__name__}"
        )
    return found
