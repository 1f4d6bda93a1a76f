"""An image seen differently: mirrored, nearer, farther. Its class stays; what was made for its pixels does not fit."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deep_protection.classifiers.adapter import ask
from deep_protection.classifiers.classifier import mean_answer

ZOOM = 0.9
"""How much less of the image is seen in the nearer view, and how much smaller it is in the farther one."""


def views(pixels: Tensor) -> list[Tensor]:
    """``N×3×H×W`` images in ``[0, 1]`` as they are, mirrored, nearer and farther; all of the same size, which not
    every classifier can do without. Gradients pass.
    """
    return [pixels, pixels.flip(-1), *zoomed(pixels)]


def zoomed(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """``N×3×H×W`` images nearer (the middle, enlarged) and farther (made smaller, the border repeated)."""
    kind = pixels.dtype
    if torch.finfo(kind).bits < 32:  # a CPU resizes no such floats
        nearer, farther = zoomed(pixels.float())
        return nearer.to(kind), farther.to(kind)
    height, width = pixels.shape[-2:]
    rows, columns = max(1, round(ZOOM * height)), max(1, round(ZOOM * width))
    top, left = (height - rows) // 2, (width - columns) // 2
    inner = pixels[..., top : top + rows, left : left + columns]
    nearer = F.interpolate(inner, size=(height, width), mode="bicubic", antialias=True).clamp(0, 1)
    smaller = F.interpolate(pixels, size=(rows, columns), mode="bicubic", antialias=True).clamp(0, 1)
    border = (left, width - columns - left, top, height - rows - top)
    return nearer, F.pad(smaller, border, mode="replicate")


def mean_logits(classifier: Callable[[Tensor], Any], pixels: Tensor) -> Tensor:
    """``N×classes`` logarithms of the mean probability over the views, which serve as logits."""
    seen = torch.stack([ask(classifier, view) for view in views(pixels)])
    return mean_answer(classifier, seen, dim=0, least=1e-12)
