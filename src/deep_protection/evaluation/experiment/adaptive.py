"""The attacker who knows the defence: through it, with fresh randomness at every step.

BPDA (the gradient passes straight through the restoration; Athalye et al. 2018, arXiv:1802.00420) with EOT (the mean
answer over several restorations; arXiv:1707.07397), as foolbox's PGD and its own wrapper.
"""

from dataclasses import dataclass
from functools import partial
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
from deep_protection.evaluation.experiment.units import AttackUnit
from deep_protection.evaluation.protections import Protection
from deep_protection.protection import protect, straight_through
from deep_protection.restoration import Preset
from deep_protection.seeds import LARGEST_SEED

MATCHING = ("bpda-match", "bpda-first")
ADAPTIVE = ("bpda", "bpda-low", *MATCHING)
"""Through the defence's answer; with gradients of low frequency; through all that a protection asks, so that the
answers to the image and to its restorations are wrong by a margin, every one (after Tramèr et al. 2020,
arXiv:2002.08347, section 5.2); likewise through the five answers of its first look, which need no fit and draw nothing
at random. Through a defence that asks but once, the last two are as the first."""
CONFIDENCE = 5.0
"""In logarithms of probabilities (κ of Carlini & Wagner 2017, arXiv:1608.04644). Without such an end the answer to
the image itself, which is moved most easily, goes on alone, and restorations show it: then most are answered right."""
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
        return AttackSpec(name, title, "Linf", self.epsilon, partial(self._build, name in MATCHING))

    def _build(self, matching: bool) -> Any:
        pgd = foolbox().attacks.LinfProjectedGradientDescentAttack(steps=self.steps, rel_stepsize=STEP)

        def run(host: Any, pixels: Any, criterion: Any, *, epsilons: float) -> Any:
            wrapped = foolbox().models.ExpectationOverTransformationWrapper(host, n_steps=self.samples)
            return pgd(wrapped, pixels, criterion, epsilons=epsilons)

        run.steps, run.samples, run.rel_stepsize = self.steps, self.samples, STEP  # type: ignore[attr-defined]
        if matching:
            run.confidence = CONFIDENCE  # type: ignore[attr-defined]
        return run


def _as_one(seen: Responses, label: int) -> Tensor:
    """``classes``: logits by which a loss goes for every answer that a protection asks for alike: that of ``label`` is
    the mean of how far it is ahead of the best other one, but where it is :data:`CONFIDENCE` behind, that will do.
    """
    every = torch.cat([seen.original[None], *seen.references, seen.mild])
    is_label = torch.arange(every.shape[1], device=every.device) == label
    lead = every[:, label] - every.masked_fill(is_label, -torch.inf).amax(dim=1)
    return torch.where(is_label, lead.clamp_min(-CONFIDENCE).mean(), torch.zeros_like(every[0]))


class Defended(nn.Module):
    """A classifier behind a defence, as an attacker sees it: pixels to logits, other randomness at every call."""

    def __init__(self, classifier: Classifier, unit: AttackUnit, seed: int, *, device: torch.device) -> None:
        super().__init__()
        self.classifier, self.unit, self.seed, self.device = classifier, unit, seed, device
        self._draws = count()

    def forward(self, pixels: Tensor) -> Tensor:
        if self.unit.attack == "bpda-low":
            pixels = _LowGradient.apply(pixels)  # type: ignore[no-untyped-call]
        defence = find_defence(self.unit.against or "none")
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
            if self.unit.attack in MATCHING:
                seen = model.respond(pixels, at_first_look=self.unit.attack == "bpda-first")
                return torch.stack([_as_one(each, self.unit.label) for each in seen])
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
