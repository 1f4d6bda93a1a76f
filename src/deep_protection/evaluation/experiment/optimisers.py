"""Optimisers that `fast` could have had, for :mod:`tune`. They take a step where Adam does and keep its bookkeeping."""

import torch
from torch import Tensor

from deep_protection.fitting import Adam


class Momentum(Adam):
    """Gradient descent with momentum 0.9 (Polyak 1964)."""

    @torch.no_grad()
    def step(self, weights: Tensor, gradient: Tensor) -> None:
        self._first.mul_(0.9).add_(gradient)
        weights.addcmul_(self._first, self._rates.to(weights), value=-1)


class RMSprop(Adam):
    """Hinton's RMSprop (Tieleman & Hinton 2012), decay 0.99."""

    @torch.no_grad()
    def step(self, weights: Tensor, gradient: Tensor) -> None:
        self._second.mul_(0.99).addcmul_(gradient, gradient, value=0.01)
        weights.addcmul_(gradient / self._second.sqrt().add_(1e-8), self._rates.to(weights), value=-1)


OPTIMISERS: dict[str, type[Adam]] = {"adam": Adam, "rmsprop": RMSprop, "momentum": Momentum}
RATES = {"adam": (0.003, 0.01, 0.03), "rmsprop": (0.001, 0.003, 0.01), "momentum": (1.0, 3.0, 10.0)}
"""Learning rates that are tried with each: a factor of three to both sides of the best found by hand."""
