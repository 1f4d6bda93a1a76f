"""What speaks for tampering: how much the classifier's answer changes when the picture is changed a little.

A perturbation was made for one picture, pixel by pixel. What leaves the object in the picture as it was – drawing it
anew, another size, 8 bits – should leave the answer as it was too. Feature squeezing (Xu et al. 2018, arXiv:1704.01155)
compares such answers by their L1 distance, which mild squeezing hardly moves under a strong attack; a partial
restoration does, and the divergence below grows with the confidence that an attack has put into the wrong class.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deep_protection.classifiers import zoomed

SPECK = 0.3
"""By how much a pixel is brighter or darker than all its neighbours when it counts as a speck, on ``[0, 1]``."""


@dataclass(frozen=True, slots=True)
class Answers:
    """A classifier's probabilities for one picture as it is and as it was changed; ``classes`` numbers each."""

    given: Tensor
    restored: Tensor
    rounded: Tensor
    zoomed: Tensor
    """The mean of two sizes."""


@torch.no_grad()
def answers(classifier: nn.Module, pixels: Tensor, restored: Tensor) -> Answers:
    """Ask about ``3×H×W`` pixels in ``[0, 1]`` and what a fit made of them. Five pictures in one batch."""
    seen = torch.stack(
        [pixels, restored, pixels.mul(255).round().div(255), *(view[0] for view in zoomed(pixels[None]))]
    )
    device = next((weights.device for weights in classifier.parameters()), pixels.device)
    given, again, rounded, nearer, farther = classifier(seen.to(device)).softmax(dim=-1).cpu()
    return Answers(given, again, rounded, (nearer + farther) / 2)


def divergence(first: Tensor, second: Tensor) -> float:
    """Kullback-Leibler divergence of two rows of probabilities, in nats; 1e-6 stands for what is not possible."""
    return (first * ((first + 1e-6) / (second + 1e-6)).log()).sum().clamp(min=0).item()


def distance(first: Tensor, second: Tensor) -> float:
    """L1 distance of two rows of probabilities, from 0 to 2."""
    return (first - second).abs().sum().item()


def specks(pixels: Tensor) -> float:
    """How much single pixels stick out from all eight neighbours in every channel, summed over the picture."""
    padded = F.pad(pixels[None], (1, 1, 1, 1), mode="replicate")
    around = F.unfold(padded, 3).view(pixels.shape[0], 9, -1)
    middle = around[:, 4:5]
    others = torch.cat([around[:, :4], around[:, 5:]], dim=1)
    brighter, darker = (middle - others).amin(dim=(0, 1)), (others - middle).amin(dim=(0, 1))
    return (torch.maximum(brighter, darker) - SPECK).clamp(min=0).sum().item()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One figure that is larger for pictures that were tampered with."""

    name: str
    measure: Callable[[Tensor, Answers], float]
    """From the picture and the answers."""
    floor: float
    """Added before the logarithm is taken: below it, differences mean nothing."""


_ROWS = (
    Evidence("restoration", lambda _, seen: divergence(seen.restored, seen.given), 1e-3),
    Evidence("zoom", lambda _, seen: distance(seen.zoomed, seen.given), 1e-3),
    Evidence("rounding", lambda _, seen: distance(seen.rounded, seen.given), 1e-4),
    Evidence("specks", lambda pixels, _: specks(pixels), 1e-2),
)

EVIDENCE = {row.name: row for row in _ROWS}
"""All that is looked at. A new kind is one row; calibrations are then made anew."""


def gather(pixels: Tensor, seen: Answers) -> dict[str, float]:
    """Every figure for one picture."""
    return {name: row.measure(pixels, seen) for name, row in EVIDENCE.items()}
