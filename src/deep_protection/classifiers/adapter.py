"""Asking any network about images: in its own type, on its own device, whatever it wraps its logits in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from deep_protection.errors import ClassifierError, DeepProtectionError
from deep_protection.logits import check_numbers, read_logits

_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_tried: WeakSet[nn.Module] = WeakSet()
"""Networks that have answered as classifiers do."""


def ask(network: Callable[[Tensor], Any], pixels: Tensor) -> Tensor:
    """``N×classes`` logits for ``N×3×H×W`` pixels, of the wider of the network's and the pixels' types.

    Raises:
        ClassifierError: what it answers holds no logits, or it cannot answer about such pixels, as of images that are
            smaller than its kernels.
    """
    kind = _own_type(network)
    try:
        said = network(pixels if kind is None else pixels.to(kind))
    except (RuntimeError, ValueError, AssertionError) as error:
        if isinstance(error, DeepProtectionError | torch.OutOfMemoryError) or getattr(network, "checks_itself", False):
            raise
        size = "×".join(map(str, pixels.shape))
        raise ClassifierError(
            f"{name_of(network)} cannot answer about {size} pixels ({_first_line(error)}); give it images of a size "
            "and a type that it takes, as load_classifier(…).preprocess makes them"
        ) from error
    logits = read_logits(said, len(pixels), name_of(network))
    return logits.to(torch.promote_types(logits.dtype, pixels.dtype))


def try_out(network: nn.Module, pixels: Tensor) -> None:
    """Ask about the first of ``N×3×H×W`` pixels, once in a network's life: before a fit, not in the middle of one.

    Raises:
        ClassifierError: what it answers holds no logits, or is not a number.
    """
    if network in _tried or getattr(network, "checks_itself", False) or not len(pixels):
        return
    with torch.no_grad(), evaluating(network):
        logits = ask(network, pixels[:1].detach().to(_device(network) or pixels.device))
    check_numbers(logits, name_of(network))
    _tried.add(network)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def name_of(network: object) -> str:
    """What to call a network in a message."""
    name = getattr(network, "name", None)
    return name if isinstance(name, str) else getattr(network, "__name__", type(network).__name__)


def _own_type(network: object) -> torch.dtype | None:
    """Of all its weights; None where they differ, or where it looks after that itself."""
    if not isinstance(network, nn.Module) or getattr(network, "takes_any_floats", False):
        return None
    kinds = {each.dtype for each in network.parameters() if each.is_floating_point()}
    return kinds.pop() if len(kinds) == 1 and kinds <= set(_TYPES) else None


def _device(network: nn.Module) -> torch.device | None:
    weights = next((each for each in network.parameters() if each.is_floating_point()), None)
    return None if weights is None else weights.device


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """In evaluation mode inside; whatever part of it was in training mode is so again afterwards."""
    trained = [each for each in network.modules() if each.training]
    try:
        for each in trained:
            each.training = False
        yield
    finally:
        for each in trained:
            each.training = True


class ClassifierAdapter:
    """A network as stop rules and the detector ask it: float pixels anywhere in, float32 logits on the CPU out."""

    def __init__(self, network: nn.Module, answer: Callable[[Tensor], Tensor] | None = None) -> None:
        self.network, self.answer = network, answer

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        given = pixels.to(_device(self.network) or pixels.device)
        return (self.answer(given) if self.answer else ask(self.network, given)).float().cpu()
