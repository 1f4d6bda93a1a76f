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
    def forward(pixels: Tensor, restore: Callable[[Tensor], Tensor]) -> Tensor:
        return restore(pixels.detach())

    @staticmethod
    def setup_context(_ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Nothing to keep. That it is apart from ``forward`` is what ``torch.func`` asks for."""

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None

    @staticmethod
    def jvp(_ctx: Any, change: Tensor, _restore: None) -> Tensor:
        return change.clone()

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, None], pixels: Tensor, restore: Callable[[Tensor], Tensor]) -> Any:
        """One after the other: a restoration is no operation on tensors that could be widened."""
        each = [pixels] * info.batch_size if in_dims[0] is None else pixels.movedim(in_dims[0], 0)
        return torch.stack([straight_through(one, restore) for one in each]), 0


def straight_through(pixels: Tensor, restore: Callable[[Tensor], Tensor]) -> Tensor:
    """``restore(pixels)``, whose gradient is that of ``pixels`` itself."""
    restored: Tensor = _StraightThrough.apply(pixels, restore)  # type: ignore[no-untyped-call]
    return restored
