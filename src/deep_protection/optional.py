"""Importing what is not always installed, or is yours, with a word that says what to do."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deep_protection.errors import DeepProtectionError, MissingExtraError, OptionError
from deep_protection.quiet import importing_quietly


def import_optional(module: str, *, needed_for: str, extra: str) -> Any:
    """The module, imported without its warnings.

    Raises :class:`MissingExtraError` that names the ``extra`` when it is not installed, and says why it cannot be
    imported when it is: a package may be there and broken.
    """
    host = module.partition(".")[0]
    try:
        with importing_quietly():
            import_module(host)  # a part of it that was imported before would be found without it
            return import_module(module)
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        missing = host if find_spec(host) is None else error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None:
            raise MissingExtraError(
                f"{needed_for} needs {missing}, which is not installed ({error}); "
                f"run: pip install 'deep-protection[{extra}]'"
            ) from error
        raise MissingExtraError(f"{needed_for} needs {host}, {_why(error)}") from error


def import_own(name: str, *, kind: str, error: type[DeepProtectionError] = OptionError) -> Any:
    """What ``module:name`` means, of a module that is installed or in the present folder.

    Raises ``error`` when there is none, which calls it a ``kind``.
    """
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # the command's file is elsewhere; worker processes get this path too
        sys.path.append(here)
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as why:
        raise error(
            f"{kind} {name!r} cannot be imported ({why}); give module:name of a module that is installed or in "
            "this folder"
        ) from None


@contextmanager
def needing(what: str, extra: str) -> Iterator[None]:
    """For imports of rooms of ours whose packages may be missing.

    Raises :class:`MissingExtraError` that names the package and the ``extra``.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            f"{what} needs {error.name}, which is not installed ({error}); run: pip install 'deep-protection[{extra}]'"
        ) from error


def _why(error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "torchvision::" in reason:
        return (
            f"which needs torchvision, and torchvision {_version('torchvision')} cannot be imported beside torch "
            f"{_version('torch')} ({reason}): its compiled operators were built for another torch. Install both of one "
            "build, CPU or CUDA, and of releases that belong together; deep-protection itself needs no torchvision"
        )
    return f"which is installed but cannot be imported ({type(error).__name__}: {reason}); reinstall it"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
