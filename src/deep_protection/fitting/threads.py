"""PyTorch's thread counts: set for our own threads, left as found for everybody else's."""

import threading

import torch

_lock = threading.Lock()


def usable_cores() -> int:
    """How many cores PyTorch may use here: what the host program or ``OMP_NUM_THREADS`` set, else all."""
    with _lock:  # not while the starting count is ours
        return torch.get_num_threads()


def use_threads(count: int, elsewhere: int) -> None:
    """Let PyTorch use ``count`` cores in the calling thread, and ``elsewhere`` in threads that begin later.

    ``torch.set_num_threads`` sets both this thread's count and the one that new threads start with. The second is put
    back at once from a thread that ends there and then, so a host program's own threads do not get ours, but for one
    that first uses PyTorch in that very instant.
    """
    with _lock:
        torch.get_num_threads()  # a thread takes the starting count over at first use, which must not come later
        torch.set_num_threads(count)
        restorer = threading.Thread(target=torch.set_num_threads, args=(elsewhere,))
        restorer.start()
        restorer.join()
