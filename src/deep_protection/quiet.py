"""Silencing other people's warnings without losing anyone's filters."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()


@contextmanager
def warnings_silenced() -> Iterator[None]:
    """No warnings inside. The filters are process-wide, so two threads must not save and restore them crosswise."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
