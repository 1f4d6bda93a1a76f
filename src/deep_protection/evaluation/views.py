"""A classifier's answer to one picture, or to several views of it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZES = (0.9, 1.1)
"""How much smaller and larger the other views are."""


@torch.no_grad()
def probabilities(classifier: nn.Module, pixels: Tensor, *, views: bool = False) -> Tensor:
    """``N×classes`` probabilities for ``N×3×H×W`` pictures in ``[0, 1]``.

    With ``views`` they are the mean over the picture, its mirror image and two sizes of it. This helps every defence,
    so in a comparison every defence gets it or none.
    """
    seen = [pixels]
    if views:
        seen.append(pixels.flip(-1))
        seen += [F.interpolate(pixels, scale_factor=size, mode="bicubic", antialias=True).clamp(0, 1) for size in SIZES]
    return torch.stack([classifier(view).softmax(dim=-1) for view in seen]).mean(dim=0)
