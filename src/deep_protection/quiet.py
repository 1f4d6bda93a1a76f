"""Silencing other people's warnings: in one thread, and without losing anyone's filters."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

_is_silent: ContextVar[bool] = ContextVar("deep_protection_is_silent", default=False)
_lock = threading.Lock()
_inside = 0
"""Silences that last, in all threads together."""


class _WhereSilent(type):
    """Every warning is of a class of this type for whoever is silenced, and none for everybody else."""

    def __subclasscheck__(cls, _: type) -> bool:
        return _is_silent.get()


class _Silenced(Warning, metaclass=_WhereSilent):
    """What the one filter names that silences. Filters are process-wide; whom they concern is up to their class."""


_FILTER = ("ignore", None, _Silenced, None, 0)


@contextmanager
def warnings_silenced() -> Iterator[None]:
    """No warnings inside, in this thread. Nothing is locked meanwhile, so anything may be called, and by many threads
    at once.
    """
    token = _is_silent.set(True)
    _begin()
    try:
        yield
    finally:
        _is_silent.reset(token)
        _end()


@contextmanager
def importing_quietly() -> Iterator[None]:
    """No warnings inside, and no filters left by what is imported, which many packages set for the whole process."""
    before = list(warnings.filters)
    try:
        with warnings_silenced():
            yield
    finally:
        for each in [each for each in warnings.filters if each not in before and each != _FILTER]:
            _remove(each)


def _begin() -> None:
    global _inside
    with _lock:
        _inside += 1
        warnings.simplefilter("ignore", category=_Silenced)  # to the front, where it may be already


def _end() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if not _inside:
            _remove(_FILTER)


def _remove(which: object) -> None:
    with suppress(ValueError):  # somebody may have put older filters back in the meantime
        warnings.filters.remove(which)  # type: ignore[attr-defined]
