"""What is computed at a time: an attack on an image, or a defence of an attacked image.

Plain data, so that a unit can go to another process or machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deep_protection.attacks import AttackSpec
from deep_protection.evaluation.corruptions import CORRUPTIONS

Row = dict[str, Any]
Key = tuple[str, str, str, int]
"""Image, attack, defence, seed."""
Pixels = NDArray[np.float32]
"""``3×H×W`` in ``[0, 1]``."""


@dataclass(frozen=True, slots=True, eq=False)
class AttackUnit:
    """A clean image to be attacked."""

    image: str
    label: int
    attack: str
    seed: int
    clean_correct: bool
    """Whether the classifier gets the image right when nobody has tampered with it."""
    clean: Pixels = field(repr=False)
    against: str | None = None
    """The defence that the attacker knows of and attacks through; None is an attack on a bare classifier."""
    through: str = ""
    """Everything that decides what that defence does, when fits end included."""
    spec: AttackSpec | None = None
    """How such an attacker goes about it; None is the table's row of that name."""

    @property
    def title(self) -> str:
        return f"{self.attack} on {self.image}" + (f" behind {self.against}" if self.against else "")


def tier_of(attack: str) -> str:
    """What the attacker has, by an attack's name: the classifier, another one, the defence's answers, or all of it.

    A common corruption has no attacker.
    """
    if attack in CORRUPTIONS:
        return "corruption"
    if attack.startswith("bpda"):
        return "adaptive"
    if attack.startswith("query-"):
        return "black-box"
    return "transfer" if "@" in attack else "oblivious"


@dataclass(frozen=True, slots=True)
class Attacked:
    """What an attack made of an image, and what was measured of it before any defence."""

    adversarial: Pixels = field(repr=False)
    measured: Mapping[str, Any]
    """``attack_success``, ``attack_success_8bit``, ``linf``, ``l2``, ``queries``, ``attack_seconds``, ``error``."""


UNTOUCHED: Mapping[str, Any] = {
    "attack_success": False,
    "attack_success_8bit": False,
    "linf": 0.0,
    "l2": 0.0,
    "queries": 0.0,
    "attack_seconds": 0.0,
    "error": None,
}
"""What is measured of an image that no attack has changed."""


@dataclass(frozen=True, slots=True, eq=False)
class DefenceUnit:
    """An attacked image to be defended, in one fit, and judged by every stop rule."""

    image: str
    label: int
    attack: str
    defence: str
    stops: tuple[str, ...]
    seed: int
    clean_correct: bool
    views: bool
    iterations: int | None
    """Length of a fit; None is as long as the longest of the fixed counts."""
    clean: Pixels = field(repr=False)
    attacked: Attacked = field(repr=False)

    @property
    def key(self) -> Key:
        return (self.image, self.attack, self.defence, self.seed)

    @property
    def title(self) -> str:
        return f"{self.defence} of {self.image}, {self.attack}"


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a unit of defence."""

    results: list[Row]
    """One a stop rule."""
    checkpoints: list[Row]
    """One a checkpoint of the fit; none where nothing was fitted."""


Unit = AttackUnit | DefenceUnit
Outcome = Attacked | Judged
