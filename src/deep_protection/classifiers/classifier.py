"""The classifier as the rest of the package sees it: pixels in ``[0, 1]`` in, logits out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor, nn

from deep_protection.arguments import whole
from deep_protection.classifiers.adapter import ask, name_of
from deep_protection.errors import ClassifierError, ImageError, OptionError
from deep_protection.images import apply_exif_orientation, refuse_far, to_rgb8
from deep_protection.logits import as_log_probabilities, as_outputs, as_probabilities, check_numbers

Preprocess = Callable[[Image.Image], Tensor]
"""From an RGB image of any size to the ``3×H×W`` pixels in ``[0, 1]`` that the network was trained on."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class among a classifier's most probable."""

    index: int
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Upright:
    """Shows a classifier's own preparation every image as :func:`deep_protection.purify` takes it.

    A photograph is turned as its EXIF orientation says, and any mode becomes RGB, whoever opened it.
    """

    preprocess: Preprocess

    def __call__(self, image: Image.Image) -> Tensor:
        """The pixels that the classifier was trained on, ``3×H×W``."""
        return self.preprocess(to_rgb8(apply_exif_orientation(image)))


class Classifier(nn.Module):
    """A network with its normalisation inside and its resizing beside it.

    ``forward`` takes ``N×3×H×W`` float pixels in ``[0, 1]`` and returns ``N×classes`` logits; :attr:`preprocess` makes
    such pixels (without the N) from an image of any size. So a purifier or an attack that works on pixels in
    ``[0, 1]`` fits in between. Always in evaluation mode.

    A network with one output says yes or no: it has two classes, whose probabilities are the output's sigmoid and what
    is left. With ``multi_label`` every output says so of a label of its own.
    """

    takes_any_floats: ClassVar[bool] = True
    """Pixels are not rounded to its weights' type before they are normalised."""
    checks_itself: ClassVar[bool] = False
    """Whether its answers need not be tried out before a fit: where each may be paid for."""
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        preprocess: Preprocess,
        labels: Sequence[str] | None = None,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        multi_label: bool = False,
    ) -> None:
        super().__init__()
        if not (_are_numbers(mean) and _are_numbers(std) and min(std) > 0):
            raise ClassifierError(f"mean and std need three numbers each, std positive; got {mean} and {std}")
        if isinstance(labels, str):
            raise ClassifierError(f"labels is a list of names, one a class, got the text {labels!r}")
        self.network = network
        self.name = name
        self.preprocess: Preprocess = Upright(preprocess)
        self.is_multi_label = multi_label
        self.labels = list(labels) if labels is not None else None
        if self.labels is not None and len(self.labels) == 1 and not multi_label:
            # Of one output, which says yes or no to it.
            self.labels = [f"not {self.labels[0]}", *self.labels]
        device = next((weights.device for weights in network.parameters()), torch.device("cpu"))
        for which, values in (("mean", mean), ("std", std)):
            numbers = torch.tensor(values, dtype=torch.float32, device=device).view(1, 3, 1, 1)
            self.register_buffer(which, numbers, persistent=False)
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        return ask(self.network, (pixels - self.mean) / self.std)

    def train(self, mode: bool = True) -> "Classifier":
        """Stays in evaluation mode: dropout or moving statistics would change what is being defended."""
        del mode
        return super().train(False)

    @torch.no_grad()
    def top(self, pixels: Tensor, k: int = 5) -> list[list[Prediction]]:
        """The ``k`` most probable classes of each of ``N×3×H×W`` images, most probable first."""
        if not isinstance(pixels, Tensor) or pixels.ndim != 4 or not pixels.dtype.is_floating_point:
            kind = f"{pixels.dtype} of {tuple(pixels.shape)}" if isinstance(pixels, Tensor) else type(pixels).__name__
            raise ImageError(
                f"a classifier takes N×3×H×W floats in [0, 1], got {kind}; preprocess(image)[None] gives such"
            )
        refuse_far(pixels, "the batch")
        return self.best(self(pixels.to(self.mean.device)), k)

    def best(self, logits: Tensor, k: int = 5) -> list[list[Prediction]]:
        """The ``k`` most probable classes by ``N×classes`` logits, this classifier's or those behind a defence."""
        k = whole(k, "k")
        check_numbers(logits, self.name)
        probabilities = self.probabilities(logits)
        values, indices = probabilities.topk(min(k, probabilities.shape[-1]), dim=-1)
        return [
            [Prediction(index, self.label(index), value) for index, value in zip(row, probabilities, strict=True)]
            for row, probabilities in zip(indices.tolist(), values.tolist(), strict=True)
        ]

    def probabilities(self, logits: Tensor) -> Tensor:
        """``N×classes`` probabilities from logits: two classes for one output."""
        return as_probabilities(logits, multi_label=self.is_multi_label)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """Logarithms of the probabilities from ``N×classes`` logits, exact where a probability is rounded to 0."""
        return as_log_probabilities(logits, multi_label=self.is_multi_label)

    def label(self, index: int) -> str:
        """The name of a class, or its number where no names are known."""
        return self.labels[index] if self.labels is not None and index < len(self.labels) else str(index)


def _are_numbers(values: object) -> bool:
    """Whether these are three finite numbers."""
    if isinstance(values, str) or not hasattr(values, "__len__") or not hasattr(values, "__iter__") or len(values) != 3:
        return False
    return all(isinstance(each, Real) and math.isfinite(each) for each in values)


def probabilities(classifier: object, logits: Tensor) -> Tensor:
    """Probabilities from the ``N×classes`` logits of any network: by its own rule if it is a :class:`Classifier`."""
    if isinstance(classifier, Classifier):
        return classifier.probabilities(logits)
    return as_probabilities(logits, multi_label=is_multi_label(classifier))


def log_probabilities(classifier: object, logits: Tensor) -> Tensor:
    """Logarithms of :func:`probabilities`, exact where a probability would be rounded to 0."""
    if isinstance(classifier, Classifier):
        return classifier.log_probabilities(logits)
    return as_log_probabilities(logits, multi_label=is_multi_label(classifier))


def mean_answer(classifier: object, logits: Tensor, *, dim: int, least: float) -> Tensor:
    """Logits of the mean probability along ``dim`` of ``…×outputs`` logits, none taken for less than ``least``."""

    def logs(each: Tensor) -> Tensor:
        return each.mean(dim=dim).clamp(min=least).log()

    if is_multi_label(classifier):
        return logs(logits.sigmoid()) - logs((-logits).sigmoid())
    return as_outputs(logs(probabilities(classifier, logits)), logits.shape[-1])


def is_multi_label(classifier: object) -> bool:
    """Whether each output says by itself how probable its label is, so that several may be right, or none."""
    own = getattr(classifier, "is_multi_label", None)
    if isinstance(own, bool):
        return own
    config = getattr(classifier, "config", None)  # of a model of transformers
    several = getattr(config, "num_labels", 2) != 1
    return several and getattr(config, "problem_type", None) == "multi_label_classification"


def refuse_multi_label(classifier: object, what: str) -> None:
    """Raise :class:`OptionError` for a classifier whose answer is no single class, which is what ``what`` is about."""
    if is_multi_label(classifier):
        raise OptionError(
            f"{name_of(classifier)} says of each label by itself whether it is there, and {what} asks which one class "
            "is right; for such a classifier use protect(…, answer='restored')"
        )
