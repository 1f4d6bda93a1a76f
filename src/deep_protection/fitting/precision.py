"""Which arithmetic the device can do quickly."""

import torch

from deep_protection.fitting.recipe import Precision


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
