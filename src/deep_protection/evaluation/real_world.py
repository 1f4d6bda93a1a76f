"""The poster's demonstration on any classifier: an image, an adversarial one made on another model, and its repair.

The attacker has no access to the classifier under test: the perturbation is made on a surrogate and hoped to transfer
(Papernot et al. 2017, arXiv:1602.02697). Everything that is asked about is an 8-bit image, as a file would be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from PIL import Image
from torch import Tensor

from deep_protection.attacks import AttackSpec, attack
from deep_protection.attacks.libraries import foolbox
from deep_protection.classifiers import BlackBox, Classifier, Prediction
from deep_protection.errors import OptionError
from deep_protection.evaluation.baselines import BASELINES
from deep_protection.images import to_pillow

STEPS = 50
"""Of the attack; a confident perturbation transfers better than one that has just succeeded."""
ORIGINAL, ADVERSARIAL, FILTERED, RESTORED = "original", "adversarial", "JPEG 25", "restored"
"""The images. The filter is there because it costs two milliseconds: what it does too is no merit of a fit."""


@dataclass(frozen=True, slots=True, eq=False)
class RealWorld:
    """Four images, and what a classifier says of each."""

    classifier: str
    surrogate: str
    target: str
    epsilon: float
    """Linf size of the perturbation, in 255ths."""
    images: dict[str, Tensor]
    """``3×H×W``, of 8 bits, by name."""
    answers: dict[str, list[Prediction]]
    """The most probable first, by name of the image."""
    surrogate_answers: dict[str, Prediction]
    """The surrogate's first answer to the original and to the adversarial image."""

    def first(self, image: str) -> str:
        """The label of the first answer to an image."""
        return self.answers[image][0].label if self.answers[image] else "nothing"

    @property
    def is_fooled(self) -> bool:
        """Whether the first answer to the adversarial image is another than to the original."""
        return self.first(ADVERSARIAL) != self.first(ORIGINAL)

    @property
    def names_target(self) -> bool:
        """Whether the target is among the answers to the adversarial image."""
        return self.target.casefold() in {each.label.casefold() for each in self.answers[ADVERSARIAL]}

    def is_back(self, image: str) -> bool:
        """Whether the first answer to an image is the one to the original."""
        return self.first(image) == self.first(ORIGINAL)

    def shared(self, image: str) -> int:
        """How many of the answers to the original are among those to an image."""
        return len({each.label for each in self.answers[image]} & {each.label for each in self.answers[ORIGINAL]})

    def verdict(self) -> list[str]:
        """What came of it, in sentences."""
        before, after = (self.surrogate_answers[name] for name in (ORIGINAL, ADVERSARIAL))
        told = [
            f"On {self.surrogate}, which the attack was made on, it "
            + ("worked" if after.label == self.target else "did not reach its target")
            + f": {before.label} ({before.probability:.0%}) became {after.label} ({after.probability:.0%})."
        ]
        if self.surrogate == self.classifier:
            told.append("The classifier is that same model, so nothing had to transfer: this says nothing of services.")
        if self.is_fooled:
            told.append(
                f"{self.classifier} was fooled: its first answer went from {self._shown(ORIGINAL)} to "
                f"{self._shown(ADVERSARIAL)}; {self.target} is {'' if self.names_target else 'not '}among its first "
                f"{len(self.answers[ADVERSARIAL])}."
            )
            told.append(
                f"The restoration {'brought that answer back' if self.is_back(RESTORED) else 'did not bring it back'}: "
                f"{self._shown(RESTORED)}."
            )
            told.append(
                f"JPEG at quality 25, which costs next to nothing, {'did too' if self.is_back(RESTORED) else 'did'}."
                if self.is_back(FILTERED)
                else f"JPEG at quality 25 did not: {self._shown(FILTERED)}."
            )
        else:
            told.append(
                f"{self.classifier} was not fooled: its first answer to the adversarial image is still "
                f"{self._shown(ADVERSARIAL)} (to the original: {self._shown(ORIGINAL)}). There was no answer to bring "
                f"back; to the restored image it is {self._shown(RESTORED)}."
            )
        told.append(
            f"Of its {len(self.answers[ORIGINAL])} answers to the original, it gives {self.shared(ADVERSARIAL)} to the "
            f"adversarial image, {self.shared(FILTERED)} after JPEG and {self.shared(RESTORED)} after the "
            "restoration."
        )
        told.append(
            "One image is an anecdote. The attack did not know of the restoration; one that does gets through far "
            "more often."
        )
        return told

    def _shown(self, image: str) -> str:
        answers = self.answers[image]
        return f"{answers[0].label} ({answers[0].probability:.0%})" if answers else "nothing"


def find_target(surrogate: Classifier, target: str) -> int:
    """The surrogate's class of that name. Raises :class:`OptionError`, with names that look alike, if there is none."""
    names = {name.casefold(): index for index, name in reversed(list(enumerate(surrogate.labels or ())))}
    if target.casefold() in names:
        return names[target.casefold()]
    near = get_close_matches(target.casefold(), names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "give one of its class names, such as gibbon"
    raise OptionError(f"{surrogate.name} has no class {target!r}; {hint}")


def real_world(
    image: Image.Image,
    classifier: Classifier,
    surrogate: Classifier,
    *,
    target: str = "gibbon",
    epsilon: float = 8,
    seed: int = 0,
    answers: int = 5,
    restore: Callable[[Tensor], Tensor],
    say: Callable[[str], None] = lambda _: None,
) -> RealWorld:
    """Attack ``image`` on the surrogate with targeted PGD (Linf ``epsilon``/255), restore it, and ask the classifier.

    ``restore`` takes and gives ``3×H×W`` pixels in ``[0, 1]``; ``say`` is told what is being done. The image is the
    part that the surrogate sees, at its size. The classifier is asked four times.
    """
    if not 0 < epsilon <= 255:
        raise OptionError(f"epsilon is in 255ths, above 0 and at most 255; got {epsilon:g}")
    if isinstance(surrogate, BlackBox):
        raise OptionError(f"{surrogate.name} is a black box, on which no attack can be made; take lite0 as surrogate")
    index = find_target(surrogate, target)
    original = _rounded(surrogate.preprocess(image))
    own = surrogate.top(original[None], 1)[0][0]
    if own.index == index:
        raise OptionError(f"{surrogate.name} takes the image itself for {target}; give another target")
    say(f"asking {classifier.name}")  # before the attack: a key that is refused is then said at once
    found = {ORIGINAL: _ask(classifier, original, answers)}
    say(f"attacking {surrogate.name}")
    spec = AttackSpec(
        "pgd-targeted",
        f"targeted PGD, {epsilon:g}/255, {STEPS} steps",
        "Linf",
        epsilon / 255,
        lambda: foolbox().attacks.LinfProjectedGradientDescentAttack(steps=STEPS),
    )
    made = attack(surrogate, original[None], torch.tensor([own.index]), spec, targets=torch.tensor([index]), seed=seed)
    adversarial = _rounded(made.adversarial[0])
    say("restoring")
    images = {
        ORIGINAL: original,
        ADVERSARIAL: adversarial,
        FILTERED: BASELINES["jpeg25"].apply(adversarial),
        RESTORED: _rounded(restore(adversarial)),
    }
    say(f"asking {classifier.name}")
    found |= {name: _ask(classifier, pixels, answers) for name, pixels in images.items() if name != ORIGINAL}
    return RealWorld(
        classifier=classifier.name,
        surrogate=surrogate.name,
        target=surrogate.label(index),
        epsilon=epsilon,
        images=images,
        answers=found,
        surrogate_answers={ORIGINAL: own, ADVERSARIAL: surrogate.top(adversarial[None], 1)[0][0]},
    )


def _ask(classifier: Classifier, pixels: Tensor, count: int) -> list[Prediction]:
    """Answers to an image as a file of it would get them; what has the classifier's own size is not cropped again."""
    seen = classifier.preprocess(to_pillow(pixels))
    return classifier.top((pixels if seen.shape == pixels.shape else seen)[None], count)[0]


def _rounded(pixels: Tensor) -> Tensor:
    return pixels.clamp(0, 1).mul(255).round().div(255)
