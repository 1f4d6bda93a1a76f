"""What a function or a service says of one image, in one form, and whether it makes sense."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deep_protection.errors import ClassifierError

LONGEST_LABEL = 200
"""Characters. What comes from elsewhere ends up on terminals and in reports."""
ROUNDING = 1e-4
"""By how much a probability may be above 1 or below 0: services work in low precision."""


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Labels with their probabilities, in any order and of any number: each in ``[0, 1]``, of whatever sum."""

    probabilities: dict[str, float]


@dataclass(frozen=True, slots=True)
class ClassProbabilities:
    """A probability for every class, in the order of the classes."""

    probabilities: tuple[float, ...]


Answer = LabelScores | ClassProbabilities


def read_answer(said: Any, who: str) -> Answer:
    """From anything reasonable: a label; labels, best first; ``{label: probability}``; pairs of the two; mappings with
    ``label`` and ``score``; a row of probabilities (list, array or tensor).

    Where there are only labels, the first is the answer, with probability 1. ``who`` is for the message when it is not
    reasonable.
    """
    if hasattr(said, "tolist"):  # arrays and tensors of any library
        said = said.tolist()
    if isinstance(said, str):
        return LabelScores({_label(said): 1.0})
    if isinstance(said, Mapping):
        return _named(said.items(), who)
    if not isinstance(said, Sequence):
        raise _unreadable(said, who)
    if not said:
        return LabelScores({})
    if all(isinstance(each, str) for each in said):
        return LabelScores({_label(said[0]): 1.0})
    if all(isinstance(each, Mapping) and {"label", "score"} <= each.keys() for each in said):
        return _named(((each["label"], each["score"]) for each in said), who)
    if all(isinstance(each, list | tuple) and len(each) == 2 and isinstance(each[0], str) for each in said):
        return _named(said, who)
    return ClassProbabilities(tuple(probability(each, who) for each in said))


def probability(value: Any, who: str) -> float:
    """``value`` as a number in ``[0, 1]``; logits, percentages, NaN and words are refused."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _unreadable(value, who)
    if not -ROUNDING <= value <= 1 + ROUNDING:
        raise ClassifierError(
            f"{who} answered with {_short(value)} where a probability in [0, 1] was expected; logits need a softmax, "
            "percentages a division by 100"
        )
    return min(1.0, max(0.0, float(value)))


def _named(pairs: Iterable[tuple[Any, Any]], who: str) -> LabelScores:
    probabilities: dict[str, float] = {}
    for name, value in pairs:
        if not isinstance(name, str):
            raise _unreadable(name, who)
        label = _label(name)
        probabilities[label] = max(probabilities.get(label, 0.0), probability(value, who))
    return LabelScores(probabilities)


def _label(name: str) -> str:
    """One line of printable text."""
    plain = "".join(each if each.isprintable() else " " for each in name[: 2 * LONGEST_LABEL])
    return " ".join(plain.split())[:LONGEST_LABEL] or "(no name)"


def _unreadable(said: Any, who: str) -> ClassifierError:
    return ClassifierError(
        f"{who} answered with {_short(said)}, in which no labels and probabilities are to be found; expected are a "
        "label, (label, probability) pairs, or one probability a class"
    )


def _short(said: Any) -> str:
    text = repr(said)
    return text if len(text) <= 80 else f"{text[:80]}…"
