"""The attacks by name, with their parameters. A new attack is one row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from deep_protection.attacks.library import foolbox


@dataclass(frozen=True, slots=True)
class AttackSpec:
    """One attack with everything that decides its strength."""

    name: str
    title: str
    norm: Literal["Linf", "L2", "L1", "L0"]
    epsilon: float | None
    """Size allowed in its norm, on pixels in ``[0, 1]``; None for attacks that look for the smallest."""
    build: Callable[[], Any]
    """Makes the foolbox attack; called only when it is run, so that foolbox is imported only then."""


def _pgd() -> Any:
    return foolbox().attacks.LinfProjectedGradientDescentAttack(steps=40)


_ROWS = (
    AttackSpec("fgsm", "FGSM, 8/255", "Linf", 8 / 255, lambda: foolbox().attacks.LinfFastGradientAttack()),
    AttackSpec("pgd", "PGD, 4/255, 40 steps", "Linf", 4 / 255, _pgd),
    AttackSpec("pgd8", "PGD, 8/255, 40 steps", "Linf", 8 / 255, _pgd),
    AttackSpec(
        "saltpepper",
        "salt and pepper, least found",
        "L2",
        None,
        lambda: foolbox().attacks.SaltAndPepperNoiseAttack(steps=300, across_channels=True),
    ),
)

ATTACKS: dict[str, AttackSpec] = {row.name: row for row in _ROWS}
