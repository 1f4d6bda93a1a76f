"""Where the arithmetic is done."""

import torch

from deep_protection.errors import OptionError


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
