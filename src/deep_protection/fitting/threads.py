"""PyTorch's thread counts: used, and put back as they were found."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_holders = 0
_found = 1


def usable_cores() -> int:
    """How many cores PyTorch may use here: what the host program or ``OMP_NUM_THREADS`` set, else all."""
    with _lock:
        return _found if _holders else torch.get_num_threads()


@contextmanager
def thread_count_restored() -> Iterator[None]:
    """Inside, worker threads may call ``torch.set_num_threads``; at the end the count found is back.

    The count is partly process-wide, so of several holders at once the first notes it and the last restores it.
    """
    global _holders, _found
    with _lock:
        if _holders == 0:
            _found = torch.get_num_threads()
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                torch.set_num_threads(_found)
