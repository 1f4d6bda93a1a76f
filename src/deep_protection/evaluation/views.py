"""A classifier's answer to one image, or to several views of it."""

import torch
from torch import Tensor, nn

from deep_protection.classifiers import is_multi_label, mean_logits
from deep_protection.logits import as_probabilities


@torch.no_grad()
def probabilities(classifier: nn.Module, pixels: Tensor, *, views: bool = False) -> Tensor:
    """``N×classes`` probabilities for ``N×3×H×W`` images in ``[0, 1]``.

    With ``views`` they are the mean over the image, its mirror image and two sizes of it. This helps every defence,
    so in a comparison every defence gets it or none.
    """
    logits: Tensor = mean_logits(classifier, pixels) if views else classifier(pixels)
    return as_probabilities(logits, multi_label=is_multi_label(classifier))
