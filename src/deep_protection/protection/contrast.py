"""The answer by contrast: where restorations agree on how an attack moved the answer, go further the other way.

An image is restored in several ways, and the classifier is asked about each. What an attack did to the answer, all of
them undo in part, in one direction; going on in that direction undoes the rest (Liu et al. 2026, arXiv:2606.06186; Ding
et al. 2021, arXiv:2108.00180, do so in pixels). With ``z`` for log-probabilities, ``z₀`` those of the image as it came
and ``z̄`` the mean over references – views of it, its restoration by the deep prior, strong compression –::

    answer = z̄ + λ (z̄ - z₀)

It needs answers only, no gradients, and no further fit where the detector has looked already.

It answers attackers who do not know of it. One who does makes ``z₀`` and ``z̄`` agree.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from deep_protection.classifiers import FLOOR
from deep_protection.detection import Responses, margin

AGREEMENT = 0.76
"""Above which shifts count as agreeing where there is no calibration, for very many classes: :func:`by_chance` adds to
it for fewer."""
STRENGTH = 2.0
"""Largest λ."""
SCATTERED, AGREED = 0.73, 0.79
"""Agreement up to which λ is 0, and from which it is largest, linear in between; for very many classes, as above. Where
only specks or compression speak against an image, its shifts scatter as those of clean images do, and a mean answer is
the better one."""
CLOSE, TIED = 0.5, 0.05
"""Nats between the first two answers below which mild changes choose between them: there attacks end that look for the
least change. Among suspicious images only ties, as one step of an attack may also end there and needs more."""
UNANIMOUS = 0.9
"""Agreement from which a close call is the work of an attack that went far, and not of one that looks for the least
change: contrast answers it."""
RAISED = 2.0
"""Nats by which references have to raise a class, beyond the mean of all classes, for a mild answer to be taken; or:"""
SURE = 0.3
"""Probability that mild changes have to give it, where references do not lower it by more than a nat."""

NOT_SUSPICIOUS = "not suspicious: the classifier's own answer"

Kind = Literal["own", "mild", "contrast", "restored"]


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Which answer an image got, and why."""

    kind: Kind
    """``own``: the classifier's own answer. ``mild``: its mean answer to mildly changed copies. ``contrast``: as above.
    ``restored``: that to the restored image, where a classifier only gives labels."""
    log_probabilities: Tensor
    """``classes``; not normalised where the answer is by contrast. Gradients pass."""
    strength: float
    """λ; 0 where the answer is not by contrast, or is the plain mean over strong restorations."""
    reason: str
    """In words."""


def by_chance(classes: int) -> float:
    """By how much the agreement of unrelated answers is larger for so few classes than for very many.

    Answers that have nothing to do with each other agree by 0.71 to 0.74 in the mean, as all their shifts begin at the
    same one; with few classes there are few directions, and chance does more. 0.35 over the root follows the 95 % point
    of simulated answers from 2 classes, where the agreement can tell nothing, to 1,000 (``tests/test_contrast.py``).
    """
    return 0.35 / math.sqrt(classes)


def is_agreement(found: Responses) -> bool:
    """Whether references agree more than clean images' do, where no calibration tells what those do."""
    return found.agreement > AGREEMENT + by_chance(len(found.original))


def share_followed(found: Responses) -> float:
    """How much of the largest λ the agreement is worth, from 0 to 1."""
    beyond_chance = found.agreement - by_chance(len(found.original))
    return min(1.0, max(0.0, (beyond_chance - SCATTERED) / (AGREED - SCATTERED)))


def decide(found: Responses, *, is_suspicious: bool, labels_only: bool = False) -> Decision:
    """The answer to one image from what the classifier said of it and of its restorations."""
    if labels_only:
        if not is_suspicious:
            return Decision("own", found.original, 0.0, NOT_SUSPICIOUS)
        votes = found.restored.exp().mean(dim=0).clamp(min=FLOOR).log()
        return Decision("restored", votes, 0.0, "suspicious, and only labels are known: most views of the restoration")
    is_close = margin(found.original.detach()) < (TIED if is_suspicious else CLOSE)
    if is_close and found.agreement < UNANIMOUS:
        # The image's own answer still says between which classes the choice is.
        answer = _mean(_mild(found)) + found.original
        if is_suspicious or int(answer.argmax()) != int(found.original.argmax()):
            return Decision("mild", answer, 0.0, "too close to call between two classes: mild changes decide")
    if not is_suspicious:
        return Decision("own", found.original, 0.0, NOT_SUSPICIOUS)
    if _is_fragile(found):
        return Decision("mild", _mean(_mild(found)), 0.0, "suspicious, and mild changes undo it already")
    strength = STRENGTH * share_followed(found)
    answer = found.mean + strength * found.shift
    if strength == 0:
        return Decision("contrast", answer, strength, "suspicious, but shifts scatter: the mean over all references")
    reason = f"suspicious, and references agree: {strength:.2g} times as far again as they move the answer"
    return Decision("contrast", answer, strength, reason)


def _mild(found: Responses) -> list[Tensor]:
    """``classes`` for each kind of mild change: views of the image, with the image itself where specks were repaired in
    it; and mild compression.
    """
    return [found.image[0 if found.is_repaired else 1 :].mean(dim=0), found.mild.mean(dim=0)]


def _mean(answers: list[Tensor]) -> Tensor:
    return torch.stack(answers).mean(dim=0)


def _is_fragile(found: Responses) -> bool:
    """Whether mild changes agree on another class than the image's own, and do so with reason.

    So it is after attacks that just reach a class, or aim at a certain one: they leave the true class where it was. A
    class that an attack has pushed up along with its own is lowered by all references, or mild changes are not sure of
    it.
    """
    mild = _mild(found)
    named = {int(each.argmax()) for each in mild}
    label = named.pop()
    if named or label == int(found.original.argmax()):
        return False
    raised = found.shift[label].item()
    return raised > RAISED or (raised > -1 and _mean(mild)[label].exp().item() > SURE)
