"""The attacker who may only ask: the defended classifier answers a number of questions and shows nothing else.

Score-based: Square (Andriushchenko et al. 2020, arXiv:1912.00049; torchattacks). Decision-based: HopSkipJump (Chen et
al. 2020, arXiv:1904.02144; foolbox). Every question costs the attacker a restoration.
"""

import traceback
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from io import StringIO
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from deep_protection.attacks import AttackSpec
from deep_protection.attacks.libraries import foolbox, torchattacks

CONFIDENCE = 1.0
"""Logits by which Square has to beat the true class before it stops: an answer behind a random defence may be luck."""

STARTING_STEPS, FIRST_ESTIMATE, COARSENESS = 10, 20, 50.0
"""HopSkipJump's: steps towards noise for a start, probes of the first gradient, and their size: foolbox's gamma over
the number of an image's values. 50 makes a probe an eighth of the distance that is left, spread over all values."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How an attacker who may only ask goes about it."""

    queries: int = 200
    epsilon: float = 4 / 255
    """Linf."""

    def spec(self, name: str) -> AttackSpec:
        """The attack as a row of the table: ``query-square`` or ``query-hopskipjump``."""
        title = f"{name}, {self.epsilon * 255:g}/255, {self.queries} queries"
        return AttackSpec(name, title, "Linf", self.epsilon, partial(BLACK_BOX[name], self))


class Questions(nn.Module):
    """A classifier that answers so many questions, and remembers the one that served the attacker best."""

    def __init__(self, network: nn.Module, clean: Tensor, label: int, asking: Asking) -> None:
        super().__init__()
        self.network, self.clean, self.label, self.left = network, clean, label, asking.queries
        self.epsilon = asking.epsilon
        self.best = clean
        self._worth = (-2.0, 0.0)

    def forward(self, pixels: Tensor) -> Tensor:
        """``N×classes`` logits, which cost ``N`` questions."""
        if len(pixels) > self.left:
            raise NoneLeftError
        self.left -= len(pixels)
        logits: Tensor = self.network(pixels)
        for image, answer in zip(pixels.detach(), logits.detach(), strict=True):
            self._remember(image, answer)
        return logits

    @property
    def is_fooled(self) -> bool:
        """Whether an answer within ε was wrong."""
        return self._worth[0] == 0

    def _remember(self, image: Tensor, answer: Tensor) -> None:
        """Best is what fools within ε by most, then what fools at the least distance, clipped to ε.

        The clean image itself is none, even where a random defence gets it wrong once.
        """
        others = answer.clone()
        others[self.label] = -torch.inf
        lead = (others.max() - answer[self.label]).item()
        distance = (image - self.clean).abs().max().item()
        if distance == 0:
            return
        if distance <= self.epsilon + 1e-6:
            worth = (0.0, lead) if lead > 0 else (-2.0, lead)
        elif lead > 0:
            worth = (-1.0, -distance)
        else:
            return
        if worth > self._worth or self.best is self.clean:
            self._worth, self.best = worth, image


class NoneLeftError(Exception):
    """The last question has been asked. Caught here; nobody else sees it."""


class _Asked:
    """An attack behind the call of foolbox's, one image at a time, within a budget of questions."""

    def __init__(self, asking: Asking) -> None:
        self.asking, self.queries = asking, asking.queries
        # Part of what an attacked image is, and so of the name under which it is kept.
        self.constants = f"{CONFIDENCE} {STARTING_STEPS} {FIRST_ESTIMATE} {COARSENESS}"

    def __call__(self, host: Any, pixels: Tensor, criterion: Any, *, epsilons: float) -> tuple[None, Tensor, None]:
        found = []
        for image, label in zip(pixels, criterion.labels.raw, strict=True):
            questions = Questions(host._model, image, int(label), self.asking).eval()
            with suppress(NoneLeftError):
                for number in count():
                    try:
                        self.ask(questions, image[None], label[None], number)
                    except (AssertionError, ValueError) as error:
                        if not _is_undone(error):
                            raise
                    if questions.is_fooled:
                        break
            change = (questions.best - image).clamp(-epsilons, epsilons)
            found.append((image + change).clamp(0, 1))
        return None, torch.stack(found), None

    def ask(self, questions: Questions, pixels: Tensor, label: Tensor, number: int) -> None:
        """Run the attack for the ``number``-th time."""
        raise NotImplementedError


def _is_undone(error: Exception) -> bool:
    """Whether foolbox gave up because what had fooled the classifier does so no longer: a random defence, no fault.

    It asserts that its start and its steps still fool; only those lines, in its own file, and its word on a start.
    """
    if isinstance(error, ValueError):
        return "init_attack failed" in str(error) or "starting_points are not adversarial" in str(error)
    return traceback.extract_tb(error.__traceback__)[-1].filename.endswith("hop_skip_jump.py")


class _Square(_Asked):
    def ask(self, questions: Questions, pixels: Tensor, label: Tensor, number: int) -> None:
        network = _Doubtful(questions, int(label), CONFIDENCE)
        with redirect_stdout(StringIO()):  # it prints that it could not find a device which it then finds
            run = torchattacks().Square(network, eps=self.asking.epsilon, n_queries=self.queries, seed=number)
        run(pixels, label)


class _Doubtful(nn.Module):
    """A classifier that is surer of the true class than it is, so that fooling it takes more."""

    def __init__(self, network: nn.Module, label: int, confidence: float) -> None:
        super().__init__()
        self.network, self.label, self.confidence = network, label, confidence

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(pixels).clone()
        logits[:, self.label] += self.confidence
        return logits


class _HopSkipJump(_Asked):
    def ask(self, questions: Questions, pixels: Tensor, label: Tensor, number: int) -> None:
        del number  # its random numbers go on from where they are
        library = foolbox()
        host = library.PyTorchModel(questions, bounds=(0, 1), device=pixels.device)
        start = library.attacks.LinearSearchBlendedUniformNoiseAttack(directions=10, steps=STARTING_STEPS)
        attack = _hop_skip_jump(library)(
            init_attack=start,
            initial_gradient_eval_steps=FIRST_ESTIMATE,
            constraint="linf",
            # At the default of 1 the boundary is looked for so finely that the budget goes into it.
            gamma=COARSENESS * pixels[0].numel(),
        )
        attack.run(host, pixels, library.criteria.Misclassification(label))


def _hop_skip_jump(library: Any) -> type[Any]:
    """HopSkipJump whose first probes are as large as its later ones: its own are too small to be seen behind a fit."""

    class Coarser(library.attacks.HopSkipJumpAttack):  # type: ignore[misc]
        def select_delta(self, originals: Any, distances: Any, step: int) -> Any:
            return super().select_delta(originals, distances, max(1, step))

    return Coarser


BLACK_BOX = {"query-square": _Square, "query-hopskipjump": _HopSkipJump}
"""Name of an attack to what runs it."""
