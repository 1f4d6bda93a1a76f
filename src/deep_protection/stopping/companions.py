"""Second fits beside the one that counts, for rules that compare the two."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from deep_protection.seeds import LARGEST_SEED

NOISE = 8 / 255
"""Size of the noise that is known, on pixels in ``[0, 1]``."""

RESEEDED = "reseeded"
NOISIER = "noisier"


def known_noise(target: Tensor) -> Tensor:
    """±``NOISE`` at every value of an image, always the same for one shape."""
    draws = torch.rand(target.shape, dtype=torch.float32, device="cpu", generator=torch.Generator("cpu").manual_seed(0))
    return (NOISE * (2 * (draws > 0.5).to(target.dtype) - 1)).to(target.device)


def _reseeded(target: Tensor, seed: int) -> tuple[Tensor, int]:
    return target, (seed + 1) & LARGEST_SEED


def _noisier(target: Tensor, seed: int) -> tuple[Tensor, int]:
    return target + known_noise(target), seed


@dataclass(frozen=True, slots=True)
class Companion:
    """How a second fit differs from the one that counts."""

    make: Callable[[Tensor, int], tuple[Tensor, int]]
    """Its image and seed, from those of the fit that counts."""
    brings_back_detail: bool
    """Whether its outputs are finished as the others are. Noise that is known would come back with the detail."""


COMPANIONS = {
    RESEEDED: Companion(_reseeded, brings_back_detail=True),
    NOISIER: Companion(_noisier, brings_back_detail=False),
}
