"""Where a fit is computed, in which arithmetic, and on how many cores."""

import threading

import torch

from deep_protection.errors import OptionError
from deep_protection.fitting.recipe import Precision


def find_device(device: str | torch.device) -> torch.device:
    """``"auto"`` is a CUDA card where there is one, else the CPU. A device that is not there is an error."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f"device {str(device)!r} cannot be used here ({reason}); use auto or cpu") from None
    return found


def effective_precision(wanted: Precision, device: torch.device) -> Precision:
    """``wanted``, or float32 where bfloat16 would be emulated and so slower, not faster."""
    if wanted == "float32":
        return "float32"
    if device.type == "cuda":
        # is_bf16_supported() counts emulation; Ampere (8.0) is the first with the instructions.
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    if device.type == "cpu":
        return "bfloat16" if cpu_has_bfloat16() else "float32"
    return "float32"


def cpu_has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively (AVX-512 BF16 or AMX)."""
    # Not public, and not in every release; without them float32 is right everywhere.
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check() for check in checks if check is not None)


# PyTorch's thread counts: set for our own threads, left as found for everybody else's.
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
