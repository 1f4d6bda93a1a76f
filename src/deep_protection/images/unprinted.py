"""What decoders print by themselves: libtiff on standard error, Pillow through a logger that nobody handles."""

import ctypes
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from PIL import _imaging

_lock = threading.Lock()
_inside = 0
"""Silences that last, in all threads together."""
_handler: int | None = None
"""Of libtiff's errors, as it was before."""


@contextmanager
def nothing_printed() -> Iterator[None]:
    """No words of decoders on standard error inside: what goes wrong is an exception there all the same.

    Whoever handles Pillow's log goes on to get it. Nothing is locked meanwhile.
    """
    pillow, nobody = logging.getLogger("PIL"), logging.NullHandler()
    pillow.addHandler(nobody)
    _count(1)
    try:
        yield
    finally:
        _count(-1)
        pillow.removeHandler(nobody)


def _count(change: int) -> None:
    global _inside, _handler
    put = _libtiff()
    with _lock:
        before, _inside = _inside, _inside + change
        if put is None or (before and _inside):
            return
        if _inside:
            _handler = put(None)
        else:
            put(_handler)


@cache
def _libtiff() -> Callable[[int | None], int | None] | None:
    """What sets the handler of errors in Pillow's libtiff and gives the one of before; None where it is out of reach.

    The handler is one for the process, and Pillow sets only that of warnings.
    """
    try:
        found: Any = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (AttributeError, OSError, TypeError):  # built in, or built without
        return None
    found.argtypes, found.restype = [ctypes.c_void_p], ctypes.c_void_p
    put: Callable[[int | None], int | None] = found
    return put
