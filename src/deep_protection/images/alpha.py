"""What nobody sees of a picture: the colours under full transparency, which most programs write as black."""

import torch
from torch import Tensor
from torch.nn import functional as F


def visible(colours: Tensor, alpha: Tensor) -> Tensor:
    """``3×H×W`` colours in which hidden ones are those of what is visible around them.

    A fit draws edges softer than they are; what it takes from beyond an edge must not be a colour that is never shown.

    Args:
        colours: ``3×H×W``.
        alpha: ``H×W``, 0 where nothing is seen.
    """
    seen = alpha > 0
    if bool(seen.all()) or not bool(seen.any()):
        return colours
    weight = alpha.to(torch.float32)[None]
    return torch.where(seen, colours, _spread(colours * weight, weight))


def with_hidden(restored: Tensor, colours: Tensor, alpha: Tensor) -> Tensor:
    """``restored`` with the hidden ``colours`` as they were, where it is of the same size."""
    return torch.where(alpha > 0, restored, colours) if restored.shape == colours.shape else restored


PALE, SPECKS = 0.6, 0.01
"""Mean of a colour from which on it is hard to see on white, and the share of darker pixels that is no lettering."""


def on_paper(colours: Tensor, alpha: Tensor) -> Tensor:
    """``3×H×W`` colours over white, as opaque as ``alpha`` (``H×W``) says; over black where nothing dark is seen, as of
    lettering that was drawn for a dark ground.
    """
    seen = colours.mean(dim=0)[alpha > 0.5]
    white = float(not seen.numel() or (seen < PALE).float().mean() > SPECKS)
    return alpha * colours + white * (1 - alpha)


def _spread(weighted: Tensor, weight: Tensor) -> Tensor:
    """Means by weight of ever larger squares, each where smaller ones have no weight."""
    mean = weighted / weight.clamp(min=1e-12)
    known = weight > 0
    if bool(known.all()):
        return mean
    height, width = weight.shape[-2:]
    window = (min(2, height), min(2, width))
    smaller = _spread(*(F.avg_pool2d(each[None], window, ceil_mode=True)[0] for each in (weighted, weight)))
    larger = F.interpolate(smaller[None], size=(height, width), mode="bilinear", align_corners=False)[0]
    return torch.where(known, mean, larger)
