"""The attacker who knows the defence: through it, with fresh randomness at every step.

BPDA (the gradient passes straight through the restoration; Athalye et al. 2018, arXiv:1802.00420) with EOT (the mean
answer over several restorations; arXiv:1707.07397), as foolbox's PGD and its own wrapper.
"""

from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deep_protection.attacks import AttackSpec
from deep_protection.attacks.libraries import foolbox
from deep_protection.classifiers import Classifier
from deep_protection.detection import Responses
from deep_protection.evaluation.baselines import Baseline
from deep_protection.evaluation.defences import OwnProtection, find_defence
from deep_protection.evaluation.protections import Protection
from deep_protection.protection import protect, straight_through
from deep_protection.restoration import Preset
from deep_protection.seeds import LARGEST_SEED

STEP = 0.25
"""Step of an adaptive attack in units of ε: foolbox's own would not reach the ball's edge in 20. Through JPEG it
leaves half the probability of the true class that a tenth leaves; momentum (MI-FGSM) gains nothing more."""

LOW_FACTOR = 8
"""Low-frequency perturbations are about constant over so many pixels."""


@dataclass(frozen=True, slots=True)
class Knowing:
    """How an attacker who knows the defence goes about it."""

    steps: int = 20
    samples: int = 2
    """Restorations whose answers are averaged at every step (EOT)."""
    epsilon: float = 4 / 255
    """Linf."""

    def spec(self, name: str) -> AttackSpec:
        """The attack as a row of the table: one of :data:`ADAPTIVE`."""
        title = f"{name}, {self.epsilon * 255:g}/255, {self.steps} steps, EOT {self.samples}"
        return AttackSpec(name, title, "Linf", self.epsilon, self._build)

    def _build(self) -> Any:
        pgd = foolbox().attacks.LinfProjectedGradientDescentAttack(steps=self.steps, rel_stepsize=STEP)

        def run(host: Any, pixels: Any, criterion: Any, *, epsilons: float) -> Any:
            wrapped = foolbox().models.ExpectationOverTransformationWrapper(host, n_steps=self.samples)
            return pgd(wrapped, pixels, criterion, epsilons=epsilons)

        run.steps, run.samples, run.rel_stepsize = self.steps, self.samples, STEP  # type: ignore[attr-defined]
        return run


ADAPTIVE = ("bpda", "bpda-low", "bpda-match")
"""Through the defence's answer; with gradients of low frequency; through all that it asks, so that the answers to the
image and to its restorations agree on a wrong class (logit matching: Tramèr et al. 2020,
arXiv:2002.08347, section 5.2)."""


def _all_answers(found: Responses) -> Tensor:
    """``classes``: the mean over everything that a protection asks its classifier."""
    return (found.original + found.mean + found.mild.mean(dim=0)) / 3


class Defended(nn.Module):
    """A classifier behind a defence, as an attacker sees it: pixels to logits, other randomness at every call."""

    def __init__(
        self,
        classifier: Classifier,
        defence: str,
        seed: int,
        *,
        low: bool = False,
        match: bool = False,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.classifier, self.defence, self.seed, self.device = classifier, defence, seed, device
        self.low, self.match = low, match
        self._draws = count()

    def forward(self, pixels: Tensor) -> Tensor:
        if self.low:
            pixels = _LowGradient.apply(pixels)  # type: ignore[no-untyped-call]
        defence = find_defence(self.defence)
        if isinstance(defence, Baseline):
            filtered = straight_through(pixels, lambda given: defence(given.cpu()).to(given.device))
            logits: Tensor = self.classifier(filtered)
            return logits
        # Each image with its own randomness, also where they are the same image.
        return torch.cat([self._answer(defence, image[None]) for image in pixels])

    def _answer(self, defence: Protection | Preset, pixels: Tensor) -> Tensor:
        seed = (self.seed * 1_000_003 + next(self._draws)) & LARGEST_SEED
        if isinstance(defence, Protection):
            model = defence.build(self.classifier, seed, self.device)
            if isinstance(defence, OwnProtection):
                return torch.stack([each.logits for each in model.explain(pixels)])
            if self.match:
                return _all_answers(model.respond(pixels)[0])[None]
        else:
            model = protect(
                self.classifier, answer="restored", preset=defence, seed=seed, device=self.device, workers=1
            )
        logits: Tensor = model(pixels)
        return logits


class _LowGradient(torch.autograd.Function):
    """Identity forwards; backwards the low frequencies of the gradient."""

    @staticmethod
    def forward(_ctx: Any, pixels: Tensor) -> Tensor:
        return pixels.clone()

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        height, width = gradients[0].shape[-2:]
        small = F.avg_pool2d(gradients[0], LOW_FACTOR, ceil_mode=True)
        return F.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
