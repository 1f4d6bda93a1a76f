"""What speaks for tampering: how much the classifier's answer changes when the picture is changed a little.

A perturbation was made for one picture, pixel by pixel. What leaves the object in the picture as it was – drawing it
anew, mirroring it, another size, mild compression – should leave the answer as it was too. Feature squeezing (Xu et al.
2018, arXiv:1704.01155) compares such answers by their L1 distance, which hardly tells an answer of 90 % from one of
99.99 %: strong attacks reach that confidence, and clean pictures seldom do, so the divergence below tells them apart.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from itertools import product

import torch
from PIL import Image
from torch import Tensor, nn

from deep_protection.classifiers import Asked, views
from deep_protection.errors import ClassifierError
from deep_protection.images import take_picture, to_pillow

JPEG_QUALITY = 75
"""Of the mild compression: clean pictures keep their class, those that an attack has just pushed over a boundary fall
back."""
SPECK = 0.3
"""By how much a pixel is brighter or darker than all its neighbours when it counts as a speck, on ``[0, 1]``."""


@dataclass(frozen=True, slots=True)
class Answers:
    """A classifier's probabilities for one picture as it is and as it was changed; ``classes`` numbers each.

    All but the first are means over the picture, its mirror image and two sizes of it.
    """

    given: Tensor
    seen: Tensor
    restored: Tensor
    compressed: Tensor


@torch.no_grad()
def answers(classifier: nn.Module, pixels: Tensor, restored: Tensor) -> Answers:
    """Ask about ``3×H×W`` pixels in ``[0, 1]`` and what a fit made of them: twelve pictures in one batch."""
    three = torch.stack([pixels, restored, compressed(pixels)])
    chances = Asked(classifier)(torch.cat(views(three))).softmax(dim=-1).unflatten(0, (-1, 3))
    if not chances.isfinite().all():
        raise ClassifierError("the classifier's answer is not finite; its arithmetic may overflow: try float32")
    seen, again, small = chances.mean(dim=0)
    return Answers(chances[0, 0], seen, again, small)


def compressed(pixels: Tensor) -> Tensor:
    """``3×H×W`` pixels through JPEG."""
    buffer = BytesIO()
    to_pillow(pixels).save(buffer, format="JPEG", quality=JPEG_QUALITY)
    with Image.open(buffer) as image:
        return take_picture(image).pixels


def divergence(first: Tensor, second: Tensor) -> float:
    """Logarithm of the Kullback-Leibler divergence of two rows of probabilities, in nats.

    1e-6 stands for what is not possible, and below a divergence of 1e-3 nothing is told apart.
    """
    nats = (first * ((first + 1e-6) / (second + 1e-6)).log()).sum().clamp(min=0).item()
    return math.log(nats + 1e-3)


def odds_against(answer: int, chances: Tensor) -> float:
    """Logarithm of how much more probable the best of the other classes is than ``answer``."""
    others = chances.clone()
    others[answer] = 0
    return math.log((others.max().item() + 1e-4) / (chances[answer].item() + 1e-4))


def specks(pixels: Tensor) -> float:
    """Logarithm of how much single pixels of ``3×H×W`` stick out from all eight neighbours in every channel, summed."""
    height, width = pixels.shape[-2:]
    padded = torch.nn.functional.pad(pixels[None], (1, 1, 1, 1), mode="replicate")[0]
    brighter = torch.full_like(pixels[0], torch.inf)
    darker = brighter.clone()
    for row, column in product(range(3), range(3)):  # one neighbour at a time: a large picture is not held nine times
        if (row, column) != (1, 1):
            more = pixels - padded[:, row : row + height, column : column + width]
            brighter = torch.minimum(brighter, more.amin(dim=0))
            darker = torch.minimum(darker, (-more).amin(dim=0))
    return math.log((torch.maximum(brighter, darker) - SPECK).clamp(min=0).sum().item() + 0.5)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One figure that is larger for pictures that were tampered with, on a logarithmic scale."""

    name: str
    measure: Callable[[Tensor, Answers], float]
    """From the picture and the answers."""


_ROWS = (
    Evidence("restoration", lambda _, found: divergence(found.restored, found.given)),
    Evidence("views", lambda _, found: divergence(found.seen, found.given)),
    Evidence("compression", lambda _, found: odds_against(int(found.given.argmax()), found.compressed)),
    Evidence("specks", lambda pixels, _: specks(pixels)),
)

EVIDENCE = {row.name: row for row in _ROWS}
"""All that is looked at. A new kind is one row; calibrations are then made anew."""


def gather(pixels: Tensor, found: Answers) -> dict[str, float]:
    """Every figure for one picture."""
    return {name: row.measure(pixels, found) for name, row in EVIDENCE.items()}
