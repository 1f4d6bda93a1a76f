"""Asking any network about pictures that come from elsewhere: in its own type, on its own device."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Asked:
    """A network as stop rules and the detector ask it: float pixels anywhere in, float32 logits on the CPU out."""

    def __init__(self, network: nn.Module, answer: Callable[[Tensor], Tensor] | None = None) -> None:
        self.network, self.answer = network, answer or network

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        weights = next((each for each in self.network.parameters() if each.is_floating_point()), None)
        given = pixels if weights is None else pixels.to(weights.device, weights.dtype)
        return self.answer(given).float().cpu()
