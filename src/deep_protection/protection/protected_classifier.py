"""A classifier behind the protection, still a classifier.

Over 300 lines, as it is one class: what it is given, what it asks, and what it answers.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal, Unpack, get_args

import torch
from torch import Tensor, nn

from deep_protection.arguments import real
from deep_protection.classifiers import (
    FLOOR,
    BlackBox,
    Classifier,
    ClassifierAdapter,
    ask,
    evaluating,
    is_multi_label,
    log_probabilities,
    mean_answer,
    mean_logits,
    refuse_multi_label,
    try_out,
)
from deep_protection.detection import (
    ITERATIONS,
    Calibration,
    Responses,
    classifier_responses,
    look_first,
    partial_restorations,
    reference_images,
    repair_specks,
    respond,
)
from deep_protection.errors import ImageError, OptionError
from deep_protection.logits import as_outputs
from deep_protection.protection.bounds import within_bounds
from deep_protection.protection.contrast import decide, is_agreement
from deep_protection.protection.explanation import Explanation
from deep_protection.protection.straight_through import straight_through
from deep_protection.protection.suspicion import HIGHEST_RATE, Suspicion, is_clearly_clean, suspect
from deep_protection.restoration import FitKeywords, FitOptions, Preset, find_preset, purify_batch
from deep_protection.stopping import Auto, StopRule

AnswerBy = Literal["contrast", "restored"]
"""How suspicious images are answered: by contrast, or by the classifier's answer to the restored image alone."""
When = Literal["always", "suspicious"]
"""Which images are taken for attacked."""


class ProtectKeywords(FitKeywords, total=False):
    """What :func:`protect` takes of a classifier that has its normalisation inside."""

    answer: AnswerBy | None
    quick: bool
    preset: str | Preset
    stop: str | StopRule | None
    views: bool | None
    when: When | None
    false_positive_rate: float
    calibration: Calibration | str | os.PathLike[str] | None


class ProtectedClassifier(nn.Module):
    """Answers as ``classifier`` does, and where an image was attacked, as it would have without the attack.

    ``N×3×H×W`` pixels in ``[0, 1]`` in, ``N×classes`` logits out. Pixels a little outside, as attacks look at on their
    way, are clamped. The gradient passes straight through the restorations
    (BPDA) into the answer that is given, so white-box attacks can be run against the defence.

    What it protects against: perturbations made for the bare classifier. An attacker who knows of the defence and
    attacks through it succeeds far more often; do not take accuracy under oblivious attacks for robustness.
    """

    takes_any_floats: ClassVar[bool] = True
    """Pixels are not rounded to the weights' type before they are restored."""
    checks_itself: ClassVar[bool] = True
    """Trying it out would be a fit; it tries the classifier."""

    def __init__(
        self,
        classifier: nn.Module,
        *,
        answer: AnswerBy | None = None,
        quick: bool = False,
        preset: str | Preset = "fast",
        stop: str | StopRule | None = None,
        views: bool | None = None,
        when: When | None = None,
        false_positive_rate: float = 0.05,
        calibration: Calibration | str | os.PathLike[str] | None = None,
        **options: Unpack[FitKeywords],
    ) -> None:
        super().__init__()
        if not isinstance(classifier, nn.Module):
            raise OptionError(f"a module is protected, got {type(classifier).__name__}; dp.protect takes names too")
        self.classifier = classifier
        for name, switch in (("quick", quick), ("views", views)):
            if switch is not None and not isinstance(switch, bool):
                raise OptionError(f"{name} must be True or False, got {switch!r}")
        if not 0 < real(false_positive_rate, "the false-positive rate") < 1:
            raise OptionError(f"the false-positive rate must be between 0 and 1, got {false_positive_rate}")
        if isinstance(calibration, str | os.PathLike):
            calibration = Calibration.load(calibration)
        no_contrast = _is_paid_for(classifier) or (self.is_multi_label and not quick)
        self.answer: AnswerBy = answer or ("restored" if no_contrast else "contrast")
        by_contrast = self.answer == "contrast"
        self.when: When = when or ("suspicious" if by_contrast else "always")
        for name, value, choices in (("answer", self.answer, AnswerBy), ("when", self.when, When)):
            if value not in get_args(choices):
                raise OptionError(f"{name} must be one of {', '.join(get_args(choices))}, got {value!r}")
        if by_contrast or self.when == "suspicious":
            refuse_multi_label(classifier, "the answer by contrast" if by_contrast else "the detector")
        self.views = by_contrast if views is None else views
        if by_contrast and not self.views:
            raise OptionError(
                "the answer by contrast needs the views; where mirroring changes a class, use answer='restored'"
            )
        if quick and not by_contrast:
            raise OptionError("quick fits nothing, so there is no restored image to answer to; use answer='contrast'")
        self.calibration: Calibration | None = None
        if self.when == "suspicious":
            self.calibration = _calibration(classifier, calibration, quick=quick, is_needed=not by_contrast)
        if self.calibration is not None:
            self.calibration.check_rate(false_positive_rate)
        self.false_positive_rate = false_positive_rate
        self.preset = find_preset(preset)
        self.iterations = self._iterations(quick) if by_contrast and stop is None else None
        """Of the fits behind an answer by contrast; 0: nothing is fitted; None: as ``stop`` says."""
        self.stop = self.preset.rule(f"fixed:{self.iterations}" if self.iterations else stop)
        self.first_look: Calibration | None = None
        """Of a look in five answers, which spares images that are clearly clean all else; None: there is none."""
        if self.calibration is not None and self.iterations is not None and false_positive_rate <= HIGHEST_RATE:
            self.first_look = self.calibration.first_look
        self.options = FitOptions(**options)
        super().train(False)

    @property
    def is_multi_label(self) -> bool:
        """Whether each output says by itself how probable its label is."""
        return is_multi_label(self.classifier)

    @property
    def fits(self) -> int:
        """Fits of every image."""
        return 1 if self.iterations == 0 else self.preset.fits

    def train(self, mode: bool = True) -> "ProtectedClassifier":
        """Changes nothing, in the classifier either: whatever its mode, it is asked in evaluation mode."""
        del mode
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        pixels = within_bounds(pixels)
        with evaluating(self.classifier):
            return self._forward(pixels)

    def _forward(self, pixels: Tensor) -> Tensor:
        try_out(self.classifier, pixels)
        if self.answer == "contrast" and len(pixels):
            return torch.stack([each.logits for each in self.explain(pixels)])
        logits = self._ask(self._straight_through(pixels))
        if self.fits == 1:
            return logits
        each = logits.unflatten(0, (len(pixels), self.fits))
        return mean_answer(self.classifier, each, dim=1, least=torch.finfo(each.dtype).tiny)

    def explain(self, pixels: Tensor, restored: Tensor | None = None) -> list[Explanation]:
        """Answer ``N×3×H×W`` pixels and tell how each answer came about.

        Args:
            pixels: the images as they came.
            restored: ``N×fits×3×H×W``, for who has made the restorations already, of the images without specks
                (:func:`deep_protection.detection.repair_specks`); None makes them.

        Raises:
            ImageError: these are no such pixels. OptionError: the answer is not by contrast.
        """
        pixels = within_bounds(pixels)
        if self.answer != "contrast":
            raise OptionError("only answers by contrast are explained; use answer='contrast'")
        # Sixteen answers an image are as many graphs: none is kept for weights, which nobody trains through this.
        if restored is not None and restored.shape != (len(pixels), self.fits, *pixels.shape[1:]):
            raise ImageError(
                f"restored must be N×fits×3×H×W, here {(len(pixels), self.fits, *pixels.shape[1:])}, "
                f"got {tuple(restored.shape)}"
            )
        with evaluating(self.classifier), torch.set_grad_enabled(torch.is_grad_enabled() and pixels.requires_grad):
            try_out(self.classifier, pixels)
            repaired = straight_through(pixels, _repaired)
            explained = self._clearly_clean(pixels, repaired) if restored is None else {}
            left = [n for n in range(len(pixels)) if n not in explained]
            if restored is None:
                restored = self._straight_through(repaired[left]).unflatten(0, (len(left), self.fits))
            for n, made in zip(left, restored, strict=True):
                found, own = self._respond(pixels[n], reference_images(repaired[n], made, straight_through), respond)
                suspicion = self._suspect(pixels[n], found.detached())
                is_alone = self.calibration is None and self.when != "always"
                note = "; no calibration, so the agreement alone decides" if is_alone else ""
                explained[n] = self._explain(found, own, suspicion, made.mean(dim=0), note)
            return [explained[n] for n in range(len(pixels))]

    def _clearly_clean(self, pixels: Tensor, repaired: Tensor) -> dict[int, Explanation]:
        """The answers to those images that a first look is enough for."""
        if self.first_look is None:
            return {}
        explained = {}
        for n, (image, whole) in enumerate(zip(pixels, repaired, strict=True)):
            found, own = self._look_first(image, whole)
            seen = found.detached()
            suspicion = suspect(image, seen, self.first_look, self.false_positive_rate)
            if is_clearly_clean(suspicion, seen):
                note = "; that was plain at a first look"
                explained[n] = self._explain(found, own, suspicion, image, note, at_first_look=True)
        return explained

    def _look_first(self, image: Tensor, repaired: Tensor) -> tuple[Responses, Tensor]:
        low = straight_through(repaired[None], _unfitted)
        return self._respond(image, reference_images(repaired, low, straight_through), look_first)

    def respond(self, pixels: Tensor, *, at_first_look: bool = False) -> list[Responses]:
        """What the classifier says of ``N×3×H×W`` pixels and of their restorations, with the straight-through gradient:
        for attacks on more than the answer.

        Args:
            pixels: the images as they came.
            at_first_look: only in the five answers of a first look, without a fit.
        """
        pixels = within_bounds(pixels)
        with evaluating(self.classifier):
            try_out(self.classifier, pixels)
            repaired = straight_through(pixels, _repaired)
            if at_first_look:
                return [self._look_first(*each)[0] for each in zip(pixels, repaired, strict=True)]
            made = self._straight_through(repaired).unflatten(0, (len(pixels), self.fits))
            asked = (reference_images(*both, straight_through) for both in zip(repaired, made, strict=True))
            return [self._respond(*each, respond)[0] for each in zip(pixels, asked, strict=True)]

    def purify(self, pixels: Tensor) -> Tensor:
        """The restored images, of the same shape, type and device, with the straight-through gradient; the mean of
        its fits where the preset makes several.
        """
        pixels = within_bounds(pixels)
        with evaluating(self.classifier):
            restored = self._straight_through(pixels)
        mean: Tensor = restored.unflatten(0, (len(pixels), self.fits)).mean(dim=1)
        return mean

    def _respond(self, image: Tensor, asked: list[Tensor], how: Callable[..., Responses]) -> tuple[Responses, Tensor]:
        """The classifier's answers, and its logits for ``image``."""
        own: list[Tensor] = []

        def answer(shown: Tensor) -> Tensor:
            logits = ask(self.classifier, shown)
            if torch.equal(shown[0], image):
                own.append(logits[0])
            return log_probabilities(self.classifier, logits)

        return how(answer, image, asked), own[0]

    def _suspect(self, image: Tensor, seen: Responses) -> Suspicion:
        if self.when == "always":
            return Suspicion(is_suspicious=True)
        if self.calibration is None:
            return Suspicion(is_suspicious=is_agreement(seen))
        return suspect(image, seen, self.calibration, self.false_positive_rate)

    def _explain(
        self,
        found: Responses,
        own: Tensor,
        suspicion: Suspicion,
        restored: Tensor,
        note: str,
        *,
        at_first_look: bool = False,
    ) -> Explanation:
        seen = found.detached()
        labels_only = _labels_only(self.classifier, seen)
        decision = decide(found, is_suspicious=suspicion.is_suspicious, labels_only=labels_only)
        logits = own if decision.kind == "own" else as_outputs(decision.log_probabilities, len(own))
        if decision.kind in ("mild", "contrast") and isinstance(self.classifier, BlackBox):
            logits = logits.log_softmax(dim=-1)  # its logits are logarithms of probabilities
        return Explanation(
            answer=decision.kind,
            reason=decision.reason + note,
            logits=logits,
            is_suspicious=suspicion.is_suspicious,
            p_value=suspicion.p_value,
            agreement=seen.agreement,
            strength=decision.strength,
            evidence=suspicion.evidence,
            responses=seen,
            restored=restored.detach(),
            at_first_look=at_first_look,
        )

    def _iterations(self, quick: bool) -> int | None:
        if quick:
            return 0 if self.calibration is None else self.calibration.iterations
        if not isinstance(self.preset.rule(), Auto):  # a published recipe ends where its authors say
            return None
        return ITERATIONS if self.calibration is None else self.calibration.iterations

    def _ask(self, pixels: Tensor) -> Tensor:
        return mean_logits(self.classifier, pixels) if self.views else ask(self.classifier, pixels)

    def _straight_through(self, pixels: Tensor) -> Tensor:
        """``(N·fits)×3×H×W``: the fits of the first image, then those of the second, and so on."""
        fits = self.fits
        return straight_through(pixels.repeat_interleave(fits, dim=0), lambda repeated: self._restore(repeated[::fits]))

    def _restore(self, pixels: Tensor) -> Tensor:
        options = self.options
        if options.device == "auto" and pixels.device.type != "cpu":
            options = replace(options, device=pixels.device)
        if self.iterations == 0:
            return _unfitted(pixels)
        if self.answer == "contrast" or self.calibration is None:
            return self._restored(pixels, options)
        flagged = self._suspicious(pixels, self.calibration, options).repeat_interleave(self.fits)
        result = pixels.repeat_interleave(self.fits, dim=0)
        if flagged.any():
            result[flagged] = self._restored(pixels[flagged[:: self.fits]], options)
        return result

    def _suspicious(self, pixels: Tensor, calibration: Calibration, options: FitOptions) -> Tensor:
        """``N`` booleans: which images the detector flags."""
        own = [image.detach().float() for image in pixels]
        seen = classifier_responses(own, self.classifier, iterations=calibration.iterations, options=options)
        found = [suspect(*both, calibration, self.false_positive_rate) for both in zip(own, seen, strict=True)]
        return torch.tensor([each.is_suspicious for each in found], dtype=torch.bool, device=pixels.device)

    def _restored(self, pixels: Tensor, options: FitOptions) -> Tensor:
        return purify_batch(pixels, self.preset, self._rule(max(pixels.shape[-2:])), options).flatten(0, 1)

    def _rule(self, side: int) -> StopRule:
        # `auto` would ask at every checkpoint. Where questions are paid for, or there is no first answer that could
        # settle, it ends as it does without a classifier.
        if isinstance(self.stop, Auto) and (_is_paid_for(self.classifier) or self.is_multi_label):
            return self.stop
        return self.preset.rule_asking(ClassifierAdapter(self.classifier, self._ask), side, self.stop)


def _repaired(pixels: Tensor) -> Tensor:
    whole = [repair_specks(image.float()).to(image) for image in pixels]
    return torch.stack(whole) if whole else pixels


def _unfitted(pixels: Tensor) -> Tensor:
    made = partial_restorations([each.float() for each in pixels], iterations=0)
    return torch.cat([pixels[:0], *(each[None].to(pixels) for each in made)])


def _is_paid_for(classifier: nn.Module) -> bool:
    return isinstance(classifier, BlackBox) and classifier.is_remote


def _labels_only(classifier: nn.Module, found: Responses) -> bool:
    """Whether a classifier names one class and says no more: such answers show no direction."""
    if not isinstance(classifier, BlackBox):
        return False
    every = torch.cat([found.image, found.restored, found.compressed, found.mild])
    return bool(((every.exp() > 2 * FLOOR).sum(dim=-1) <= 1).all())


def _calibration(
    classifier: nn.Module, given: Calibration | None, *, quick: bool, is_needed: bool
) -> Calibration | None:
    if given is not None:
        if not isinstance(given, Calibration):
            raise OptionError(f"calibration must be a Calibration or its file, got {type(given).__name__}")
        if isinstance(classifier, Classifier):
            given.check_classifier(classifier.name)
        return given
    try:
        if isinstance(classifier, Classifier):
            return Calibration.shipped(classifier.name, quick=quick)
    except OptionError:
        if is_needed:
            raise
    if is_needed:
        raise OptionError(
            'when="suspicious" needs a calibration for this network; make one on clean images with '
            "deep_protection.calibrate and pass it as calibration"
        )
    return None
