"""The attacks by name, with their parameters. A new attack is one row."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from deep_protection.attacks.libraries import AutoAttack, foolbox
from deep_protection.attacks.patch import Patch
from deep_protection.attacks.universal import Universal


@dataclass(frozen=True, slots=True)
class AttackSpec:
    """One attack with everything that decides its strength."""

    name: str
    title: str
    norm: Literal["Linf", "L2", "L1", "none"]
    """What it keeps small; "none" for attacks that move, blur or cover the image."""
    epsilon: float | None
    """Size allowed in its norm, on pixels in ``[0, 1]``; None for attacks that look for the smallest."""
    build: Callable[[], Any]
    """Makes the foolbox attack; called only when it is run, so that foolbox is imported only then."""

    is_noisy: bool = False
    """Foolbox's code for it calls what PyTorch warns of; silenced."""

    target: Literal["none", "random", "least"] = "none"
    """The answer it wants: any wrong one, one drawn from the seed, or the one that the model finds least probable."""

    def within(self, change: Tensor) -> Tensor:
        """``N`` booleans: which changes of ``N×3×H×W`` pixels keep to ``epsilon``."""
        if self.epsilon is None or self.norm == "none":
            return torch.ones(len(change), dtype=torch.bool, device=change.device)
        order = {"Linf": torch.inf, "L2": 2, "L1": 1}[self.norm]
        size: Tensor = torch.linalg.vector_norm(change.flatten(1), order, dim=1)
        return size <= self.epsilon + 1e-5

    def parameters(self) -> dict[str, Any]:
        """Everything that was set or left at foolbox's default, ready for a record."""
        plain = {key: value for key, value in vars(self.build()).items() if isinstance(value, bool | int | float | str)}
        # Left out where there is none: attacked images are kept under these, and those of before had no such word.
        aim = {} if self.target == "none" else {"target": self.target}
        return {"norm": self.norm, "epsilon": self.epsilon, **plain, **aim}


def _of(name: str, **settings: Any) -> Callable[[], Any]:
    return partial(_build, name, settings)


def _build(name: str, settings: dict[str, Any]) -> Any:
    return getattr(foolbox().attacks, name)(**settings)


_PGD = _of("LinfProjectedGradientDescentAttack", steps=40)
# The paper's step: ε divided by the number of steps (Dong et al. 2018, arXiv:1710.06081).
_MIFGSM = _of("LinfMomentumIterativeFastGradientMethod", steps=10, rel_stepsize=0.1)

_ROWS = (
    AttackSpec("fgsm", "FGSM, 8/255", "Linf", 8 / 255, _of("LinfFastGradientAttack")),
    AttackSpec("pgd", "PGD, 4/255, 40 steps", "Linf", 4 / 255, _PGD),
    AttackSpec("mifgsm", "MI-FGSM, 8/255, 10 steps", "Linf", 8 / 255, _MIFGSM),
    AttackSpec("l2pgd", "L2-PGD, 3.0, 40 steps", "L2", 3.0, _of("L2ProjectedGradientDescentAttack", steps=40)),
    AttackSpec("deepfool", "DeepFool, least L2 found", "L2", None, _of("L2DeepFoolAttack")),
    AttackSpec(
        "cw",
        "Carlini & Wagner, least L2 found",
        "L2",
        None,
        # On photographs as near as nine times a thousand of foolbox's own larger steps get.
        _of("L2CarliniWagnerAttack", binary_search_steps=6, steps=250, stepsize=0.002, initial_const=0.01),
    ),
    AttackSpec(
        "ead",
        "EAD, least elastic net found",
        "L1",
        None,
        _of("EADAttack", binary_search_steps=6, steps=100, initial_const=0.1),
    ),
    AttackSpec(
        "saltpepper",
        "salt and pepper, least found",
        "L2",
        None,
        _of("SaltAndPepperNoiseAttack", steps=300, across_channels=True),
    ),
    AttackSpec("pgd8", "PGD, 8/255, 40 steps", "Linf", 8 / 255, _PGD),
    AttackSpec("pgd16", "PGD, 16/255, 40 steps", "Linf", 16 / 255, _PGD),
    AttackSpec("mifgsm16", "MI-FGSM, 16/255, 10 steps", "Linf", 16 / 255, _MIFGSM),
    AttackSpec("pgd8-random", "PGD, 8/255, 40 steps, to a random class", "Linf", 8 / 255, _PGD, target="random"),
    AttackSpec("pgd8-least", "PGD, 8/255, 40 steps, to the least likely class", "Linf", 8 / 255, _PGD, target="least"),
    AttackSpec("ddn", "DDN, least L2 found", "L2", None, _of("DDNAttack", steps=100)),
    AttackSpec("hopskipjump", "HopSkipJump, least L2 found", "L2", None, _of("HopSkipJumpAttack", steps=20)),
    AttackSpec("boundary", "boundary attack, least L2 found", "L2", None, _of("BoundaryAttack", steps=5000)),
    AttackSpec("gaussianblur", "blur, least found", "none", None, _of("GaussianBlurAttack", steps=100)),
    AttackSpec("spatial", "turned by ≤ 30°, moved by ≤ 3 px", "none", None, _of("SpatialAttack"), is_noisy=True),
    AttackSpec("autoattack", "AutoAttack, 4/255", "Linf", 4 / 255, AutoAttack),
    AttackSpec("patch", "patch on 5 %, PGD, 100 steps", "none", None, Patch),
    AttackSpec("universal", "one perturbation for all images, 10/255", "Linf", 10 / 255, Universal),
)

ATTACKS: dict[str, AttackSpec] = {row.name: row for row in _ROWS}

POSTER = ("fgsm", "pgd", "mifgsm", "l2pgd", "deepfool", "cw", "ead", "saltpepper")
"""Eight attacks of foolbox, as many as the poster had. It does not name its own."""
