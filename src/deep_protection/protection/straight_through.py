"""The straight-through gradient: restoring forwards, identity backwards.

A restoration is close to its input, so the identity stands in for its derivative. This is BPDA (Athalye et al. 2018,
arXiv:1802.00420), the attacker's own method: it exists so that a defence can be attacked honestly.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, pixels: Tensor, restore: Callable[[Tensor], Tensor]) -> Tensor:
        return restore(pixels.detach())

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def straight_through(pixels: Tensor, restore: Callable[[Tensor], Tensor]) -> Tensor:
    """``restore(pixels)``, whose gradient is that of ``pixels`` itself."""
    restored: Tensor = _StraightThrough.apply(pixels, restore)  # type: ignore[no-untyped-call]
    return restored
