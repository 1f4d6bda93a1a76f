"""The attacker who may only ask: the defended classifier answers a number of questions and shows nothing else.

Score-based: Square (Andriushchenko et al. 2020, arXiv:1912.00049; torchattacks). Decision-based: HopSkipJump (Chen et
al. 2020, arXiv:1904.02144; foolbox). Every question costs the attacker a restoration.
"""

from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn

from deep_protection.attacks import AttackSpec
from deep_protection.attacks.library import foolbox, torchattacks

CONFIDENCE = 1.0
"""Logits by which Square has to beat the true class before it stops: an answer behind a random defence may be luck."""


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
        for picture, answer in zip(pixels.detach(), logits.detach(), strict=True):
            self._remember(picture, answer)
        return logits

    @property
    def is_fooled(self) -> bool:
        """Whether an answer within ε was wrong."""
        return self._worth[0] == 0

    def _remember(self, picture: Tensor, answer: Tensor) -> None:
        """Best is what fools within ε by most, then what fools at the least distance, clipped to ε."""
        others = answer.clone()
        others[self.label] = -torch.inf
        lead = (others.max() - answer[self.label]).item()
        distance = (picture - self.clean).abs().max().item()
        if distance <= self.epsilon + 1e-6:
            worth = (0.0, lead) if lead > 0 else (-2.0, lead)
        elif lead > 0:
            worth = (-1.0, -distance)
        else:
            return
        if worth > self._worth or self.best is self.clean:
            self._worth, self.best = worth, picture


class NoneLeftError(Exception):
    """The last question has been asked. Caught here; nobody else sees it."""


class _Asked:
    """An attack behind the call of foolbox's, one picture at a time, within a budget of questions."""

    def __init__(self, asking: Asking) -> None:
        self.asking, self.queries = asking, asking.queries

    def __call__(self, host: Any, pixels: Tensor, criterion: Any, *, epsilons: float) -> tuple[None, Tensor, None]:
        found = []
        for picture, label in zip(pixels, criterion.labels.raw, strict=True):
            questions = Questions(host._model, picture, int(label), self.asking).eval()
            with suppress(NoneLeftError):
                for number in count():
                    # Foolbox's words for a start, or a step, that a random defence has undone: begun anew.
                    with suppress(AssertionError, ValueError):
                        self.ask(questions, picture[None], label[None], number)
                    if questions.is_fooled:
                        break
            change = (questions.best - picture).clamp(-epsilons, epsilons)
            found.append((picture + change).clamp(0, 1))
        return None, torch.stack(found), None

    def ask(self, questions: Questions, pixels: Tensor, label: Tensor, number: int) -> None:
        """Run the attack for the ``number``-th time."""
        raise NotImplementedError


class _Square(_Asked):
    confidence = CONFIDENCE

    def ask(self, questions: Questions, pixels: Tensor, label: Tensor, number: int) -> None:
        network = _Doubtful(questions, int(label), self.confidence)
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
    starting_steps, first_estimate, coarseness = 10, 20, 50.0

    def ask(self, questions: Questions, pixels: Tensor, label: Tensor, number: int) -> None:
        del number  # its random numbers go on from where they are
        library = foolbox()
        host = library.PyTorchModel(questions, bounds=(0, 1), device=pixels.device)
        start = library.attacks.LinearSearchBlendedUniformNoiseAttack(directions=10, steps=self.starting_steps)
        attack = library.attacks.HopSkipJumpAttack(
            init_attack=start,
            initial_gradient_eval_steps=self.first_estimate,
            constraint="linf",
            # At the default of 1 the probes are too small to be seen through a random defence, and the boundary is
            # looked for so finely that the budget goes into it.
            gamma=self.coarseness * pixels[0].numel(),
        )
        attack.run(host, pixels, library.criteria.Misclassification(label))


BLACK_BOX = {"query-square": _Square, "query-hopskipjump": _HopSkipJump}
"""Name of an attack to what runs it."""
