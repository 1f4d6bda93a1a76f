"""Seeds: every image has its own, so that its result does not depend on what else is in the call."""

import hashlib
import operator
import secrets

from torch import Tensor

from deep_protection.errors import OptionError

LARGEST_SEED = 2**63 - 1


def checked_seed(seed: int | None) -> int:
    """The run's seed, or a fresh one from the operating system when it is None."""
    if seed is None:
        return secrets.randbits(63)
    try:
        number = operator.index(seed)  # NumPy's integers too, but no floats
    except TypeError:
        number = -1
    if not 0 <= number <= LARGEST_SEED:
        raise OptionError(f"seed must be a whole number from 0 to {LARGEST_SEED} or None, got {seed!r}")
    return number


def image_seed(run_seed: int, pixels: Tensor, fit: int = 0) -> int:
    """A seed from the run's seed, the image's content (``3×H×W`` float32) and the number of the fit."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"{run_seed} {tuple(pixels.shape)}{f' {fit}' if fit else ''}".encode())
    digest.update(pixels.detach().cpu().contiguous().numpy().tobytes())
    return int.from_bytes(digest.digest(), "little") & LARGEST_SEED
