"""What a classifier answers to an image as it came and to restorations of it: asked once, read by detector and answer.

An attack moves the answer in one direction, and whatever restores the image moves it back in the same direction, while
the answers to a clean image scatter (directional bias: Liu et al. 2026, arXiv:2606.06186; with noise alone: Roth et al.
2019, arXiv:1902.04818). So what is kept is logarithms of probabilities, whose differences are such directions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from deep_protection.classifiers import views
from deep_protection.errors import ClassifierError
from deep_protection.images import as_image, to_pillow

LEAST_RANGE = 1 / 16
"""Of an image's values, from its darkest to its brightest, below which it holds next to nothing."""
STRONG_QUALITY, MILD_QUALITY = 25, 75
"""JPEG qualities of the strong reference, which most perturbations do not survive, and of the mild one, which clean
images hardly notice."""
KINDS = ("original", "image", "restored", "compressed", "mild")


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """``V×classes`` log-probabilities for each kind of image, of its ``V = 4`` test-time views: as it is, mirrored,
    nearer, farther. A first look (:func:`look_first`) has fewer.
    """

    original: Tensor
    """``classes``, of one view: the image as it came, the only one that an attacker attacked."""
    image: Tensor
    """The image, its specks repaired, which most have none of."""
    restored: Tensor
    """Its restoration by the deep prior, or what stands for it; ``V`` rows for each fit."""
    compressed: Tensor
    """Through JPEG 25, by :func:`compress_range`."""
    mild: Tensor
    """Through JPEG 75, likewise."""
    is_repaired: bool = False
    """Whether the image had specks: only then is ``original`` not the first row of ``image``."""

    def detached(self) -> "Responses":
        """Without gradients, as float32 on the CPU."""
        return replace(self, **{kind: getattr(self, kind).detach().float().cpu() for kind in KINDS})

    @property
    def references(self) -> list[Tensor]:
        """Everything that was done to the image, ``K×classes`` of each kind: views of it, restored, compressed."""
        return [self.image[1:], self.restored, self.compressed]

    @property
    def mean(self) -> Tensor:
        """``classes``: the mean over the kinds of reference, which weigh the same."""
        return torch.stack([kind.mean(dim=0) for kind in self.references]).mean(dim=0)

    @property
    def shift(self) -> Tensor:
        """``classes``: how far the references move the answer, centred over the classes."""
        return centred(self.mean - self.original)

    @property
    def agreement(self) -> float:
        """How much all references move the answer in one direction, from -1 to 1."""
        return agreement(torch.cat(self.references) - self.original)


def centred(values: Tensor) -> Tensor:
    """``…×classes`` less their mean: adding to all logits alike changes no answer."""
    return values - values.mean(dim=-1, keepdim=True)


def agreement(shifts: Tensor) -> float:
    """Mean cosine of ``K×classes`` shifts, centred over the classes, with their mean."""
    each = centred(shifts)
    return F.cosine_similarity(each, each.mean(dim=0, keepdim=True), dim=-1, eps=1e-12).mean().item()


def respond(ask: Callable[[Tensor], Tensor], image: Tensor, kinds: Sequence[Tensor]) -> Responses:
    """Ask about one image and what was made of it.

    Args:
        ask: from ``N×3×H×W`` pixels in ``[0, 1]`` to ``N×classes`` log-probabilities. Gradients pass.
        image: ``3×H×W``, as it came.
        kinds: ``N×3×H×W`` of each of :data:`KINDS` but the first; more than one restored where several fits were made.

    Raises:
        ClassifierError: an answer is not finite.
    """
    together = torch.cat(list(kinds))
    is_repaired = not torch.equal(together[0], image)
    # View by view: on a CPU, batches of four are a third quicker than one of sixteen, whose layers leave the cache.
    answers = torch.stack([ask(view) for view in views(together)])
    # The first of the views of an image without specks is the image as it came.
    original = ask(image[None])[0] if is_repaired else answers[0, 0]
    _check_finite(answers, original)
    by_kind = answers.split([len(each) for each in kinds], dim=1)
    seen, restored, compressed, mild = (each.flatten(0, 1) for each in by_kind)
    return Responses(original, seen, restored, compressed, mild, is_repaired)


def look_first(ask: Callable[[Tensor], Tensor], image: Tensor, kinds: Sequence[Tensor]) -> Responses:
    """Ask as :func:`respond` does, but only five times: about the image as it is and mirrored, and about one of every
    other kind, of which ``kinds`` has one each. What is plain already is plain by that.
    """
    seen, restored, compressed, mild = kinds
    is_repaired = not torch.equal(seen[0], image)
    answers = ask(torch.cat([seen, seen.flip(-1), restored, compressed, mild]))
    original = ask(image[None])[0] if is_repaired else answers[0]
    _check_finite(answers, original)
    return Responses(original, answers[:2], answers[2:3], answers[3:4], answers[4:], is_repaired)


def _check_finite(*answers: Tensor) -> None:
    if not all(bool(each.isfinite().all()) for each in answers):
        raise ClassifierError("the classifier's answer is not finite; its arithmetic may overflow: try float32")


def compress(pixels: Tensor, quality: int) -> Tensor:
    """``3×H×W`` pixels through JPEG of that quality, default chroma subsampling (Guo et al. 2018, arXiv:1711.00117)."""
    buffer = BytesIO()
    to_pillow(pixels).save(buffer, format="JPEG", quality=quality)
    with Image.open(buffer) as image:
        return as_image(image).pixels


def compress_range(pixels: Tensor, quality: int) -> Tensor:
    """As :func:`compress`, with the range of the image's own values stretched to all of ``[0, 1]`` meanwhile.

    JPEG rounds by steps that suit a range of 256. In haze, where an image keeps a third of it, they take away what the
    classifier goes by, and that looks like an attack that is undone.
    """
    least = pixels.amin()
    extent = (pixels.amax() - least).clamp_min(LEAST_RANGE)
    whole = ((pixels - least) / extent).clamp(0, 1)
    return (compress(whole, quality) * extent + least).clamp(0, 1)
