"""Classifiers that can only be asked, as a service or any function can: probabilities or labels out, no gradient."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from deep_protection.classifiers.classifier import Classifier, Prediction, Preprocess
from deep_protection.classifiers.responses import Answer, ClassProbabilities
from deep_protection.errors import ClassifierError

Ask = Callable[[Tensor], Sequence[Answer]]
"""From ``N×3×H×W`` float32 pixels in ``[0, 1]``, on the CPU, to ``N`` answers."""

SLOTS = 32_768
"""Labels that there is room for where a classifier does not say which it knows."""
FLOOR = 1e-9
"""Probability of what was not named, so that there is a logarithm of it. All slots together come to 3e-5."""
NOTHING = "(nothing)"
"""Label of an image in which a service names nothing at all."""


class BlackBox(Classifier):
    """A classifier behind a question and an answer; for the rest of the package one like the others.

    ``forward`` takes ``N×3×H×W`` pixels in ``[0, 1]`` and returns logarithms of the probabilities that were answered,
    which serve as logits. They need not sum to 1: many services give each concept a probability of its own, and
    :meth:`top` shows those as they were given. There is no gradient: asking for one is an error that says so.

    Without ``labels`` the set of labels is open: a label gets the next free index when it is first seen, and keeps it.
    So indices depend on what was asked before; labels do not.
    """

    checks_itself: ClassVar[bool] = True

    def __init__(
        self,
        ask: Ask,
        *,
        name: str,
        preprocess: Preprocess,
        labels: Sequence[str] | None = None,
        is_remote: bool = False,
    ) -> None:
        super().__init__(nn.Identity(), name=name, preprocess=preprocess)
        self._ask = ask
        self._is_open = labels is None
        self.labels: list[str] = list(labels or ())
        # Of a label that stands twice, as "crane" in ImageNet, the first is meant where only a name is answered.
        self._indices = {label: index for index, label in reversed(list(enumerate(self.labels)))}
        if labels is not None and not self.labels:
            raise ClassifierError("labels is empty; give at least one, or None where any label may be answered")
        self._lock = threading.Lock()  # fits ask from several threads
        self.is_remote = is_remote
        """Whether a question costs money and a round trip."""

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = _NoGradient.apply(pixels, self)  # type: ignore[no-untyped-call]
        return logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """The probabilities as they were answered, whatever they sum to."""
        return logits.exp()

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """The logits themselves, which are such logarithms."""
        return logits

    def best(self, logits: Tensor, k: int = 5) -> list[list[Prediction]]:
        """As for any classifier; labels that were not named are left out, so there may be fewer than ``k``."""
        return [[each for each in row if each.probability > 2 * FLOOR] for row in super().best(logits, k)]

    def answer(self, pixels: Tensor) -> Tensor:
        """``N×classes`` logarithms of probabilities. Asks."""
        given = pixels.detach().float().cpu()
        if given.ndim != 4 or given.shape[1] != 3:
            raise ClassifierError(f"{self.name} takes N×3×H×W pixels, got shape {tuple(given.shape)}")
        answers = self._ask(given) if len(given) else []
        if len(answers) != len(given):
            raise ClassifierError(f"{self.name} gave {len(answers)} answers to {len(given)} images")
        rows = [self._row(each) for each in answers]
        if len({len(row) for row in rows}) > 1:
            raise ClassifierError(f"{self.name} answers now with probabilities of all classes, now with labels")
        if any(isinstance(each, ClassProbabilities) and len(each.probabilities) == 1 for each in answers):
            raise ClassifierError(
                f"{self.name} answers with one probability an image; for yes or no give both, [1 - p, p]"
            )
        return (torch.stack(rows) if rows else torch.empty(0, self._width, dtype=torch.float32, device="cpu")).to(
            pixels.device
        )

    def __getstate__(self) -> dict[str, Any]:
        """Without the lock, which belongs to the threads of one process and one object."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.labels, self._indices = list(self.labels), dict(self._indices)  # what a copy learns is its own
        self._lock = threading.Lock()

    @property
    def _width(self) -> int:
        return SLOTS if self._is_open else len(self.labels)

    def _row(self, answer: Answer) -> Tensor:
        if isinstance(answer, ClassProbabilities):
            if self.labels and len(answer.probabilities) != len(self.labels):
                raise ClassifierError(
                    f"{self.name} answered with {len(answer.probabilities)} probabilities for {len(self.labels)} "
                    "labels; they must be as many"
                )
            probabilities = torch.tensor(answer.probabilities, dtype=torch.float32, device="cpu")
            # However small, they tell which way an answer moves; only 0 has no logarithm.
            least = min([FLOOR, *probabilities[probabilities > 0].tolist()])
        else:
            least = FLOOR
            probabilities = torch.zeros(self._width, dtype=torch.float32, device="cpu")
            named = answer.probabilities or ({NOTHING: 1.0} if self._is_open else {})
            for label, value in named.items():
                probabilities[self._index(label)] = value
        return probabilities.clamp(min=least).log()

    def _index(self, label: str) -> int:
        with self._lock:
            if label not in self._indices:
                if not self._is_open:
                    raise ClassifierError(f"{self.name} answered {label!r}, which is not among the labels it was given")
                if len(self.labels) == SLOTS:
                    raise ClassifierError(f"{self.name} has named more than {SLOTS} labels; load it anew")
                self._indices[label] = len(self.labels)
                self.labels.append(label)
            return self._indices[label]


class _NoGradient(torch.autograd.Function):
    """An answer in a graph, which says at once what is wrong when someone wants its gradient."""

    @staticmethod
    def forward(pixels: Tensor, classifier: BlackBox) -> Tensor:
        return classifier.answer(pixels)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, BlackBox], output: Tensor) -> None:
        """Apart from ``forward``, as ``torch.func`` asks for."""
        del output
        ctx.name = inputs[1].name

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise ClassifierError(
            f"{ctx.name} is a black box: it answers questions and has no gradient. Use an attack that only asks "
            "(saltpepper, hopskipjump, boundary; query-square or query-hopskipjump of an experiment), or make the "
            "attack on another model, such as lite0"
        )
