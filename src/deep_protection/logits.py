"""Logits out of what a network answers, whatever it wraps them in."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deep_protection.errors import ClassifierError


def read_logits(said: Any, images: int, who: str) -> Tensor:
    """``N×classes`` logits out of what ``who`` answered to ``N`` images.

    That is the logits themselves; an output with ``logits`` for an attribute or a key, as the models of transformers
    give; or a tuple or list whose first part they are. ``N`` values are one output an image.

    Raises:
        ClassifierError: no logits are to be found in it.
    """
    found = _inside(said)
    if not isinstance(found, Tensor) or not found.dtype.is_floating_point:
        raise ClassifierError(
            f"{who} answers with {_described(said)}; a classifier gives N×classes logits, floats, or an output with "
            "these as .logits, as ['logits'] or as its first part: wrap it in a module that returns the logits"
        )
    if found.shape == (images,):
        found = found[:, None]
    if found.ndim != 2 or len(found) != images or not found.shape[1]:
        raise ClassifierError(
            f"{who} answers to {images} images with values of shape {tuple(found.shape)}; a classifier gives "
            "N×classes logits: wrap it in a module that returns them"
        )
    return found


def check_numbers(logits: Tensor, who: str) -> None:
    """Raise :class:`ClassifierError` where the answer of ``who`` is not a number: no class is the first then."""
    if bool(logits.isnan().any()):
        raise ClassifierError(f"{who}'s answer is not finite; its arithmetic may overflow: try float32")


def as_classes(logits: Tensor) -> Tensor:
    """``…×2`` logits, no and yes, of which the softmax is the sigmoid, for a network's only output (``…×1``); others as
    they are.
    """
    return torch.cat([torch.zeros_like(logits), logits], dim=-1) if logits.shape[-1] == 1 else logits


def as_outputs(logits: Tensor, outputs: int) -> Tensor:
    """The way back: as many logits as the network has outputs."""
    return logits[..., 1:] - logits[..., :1] if outputs == 1 and logits.shape[-1] == 2 else logits


def as_probabilities(logits: Tensor, *, multi_label: bool = False) -> Tensor:
    """``…×classes`` probabilities: two classes for one output; with ``multi_label`` each label's own, which need not
    sum to 1.
    """
    return logits.sigmoid() if multi_label else as_classes(logits).softmax(dim=-1)


def as_log_probabilities(logits: Tensor, *, multi_label: bool = False) -> Tensor:
    """Logarithms of :func:`as_probabilities`, exact where a probability would be rounded to 0."""
    return F.logsigmoid(logits) if multi_label else as_classes(logits).log_softmax(dim=-1)


def _inside(said: Any) -> Any:
    if isinstance(said, Tensor):
        return said
    if isinstance(said, Mapping):  # outputs of transformers are mappings too, and their keys are their attributes
        return said.get("logits")
    if hasattr(said, "logits"):  # named tuples of torchvision, dataclasses
        return said.logits
    return said[0] if isinstance(said, tuple | list) and said else None


def _described(said: Any) -> str:
    name = type(said).__name__
    if isinstance(said, Tensor):
        return f"a tensor of {said.dtype}"
    if isinstance(said, Mapping):
        return f"a {name} with {', '.join(map(repr, said)) or 'nothing in it'}"
    if isinstance(said, tuple | list):
        return f"a {name} of {', '.join(type(each).__name__ for each in said) or 'nothing'}"
    return f"a {name}"
