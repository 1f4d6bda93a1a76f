"""A classifier behind the restoration, still a classifier."""

import os
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from deep_protection.classifiers import Asked, BlackBox, Classifier, chances, load_classifier, mean_logits
from deep_protection.detection import Calibration, gather, look
from deep_protection.errors import ImageError, OptionError
from deep_protection.fitting import ProgressCallback
from deep_protection.protection.straight_through import straight_through
from deep_protection.purification import Preset, Purified, find_preset, purify
from deep_protection.seeds import checked_seed
from deep_protection.stopping import Auto, StopRule

When = Literal["always", "suspicious"]
"""Which pictures are restored."""


class ProtectedClassifier(nn.Module):
    """Restores every picture, then classifies it. ``N×3×H×W`` pixels in ``[0, 1]`` in, ``N×classes`` logits out.

    The gradient passes straight through the restoration (BPDA), so white-box attacks can be run against the defence.

    What it protects against: perturbations made for the bare classifier. An attacker who knows of the restoration and
    attacks through it succeeds far more often; do not take accuracy under oblivious attacks for robustness.
    """

    def __init__(
        self,
        classifier: nn.Module,
        *,
        preset: str | Preset = "fast",
        stop: str | StopRule | None = None,
        seed: int | None = 0,
        device: str | torch.device = "auto",
        workers: int | None = None,
        progress: ProgressCallback | None = None,
        views: bool = False,
        when: When = "always",
        false_positive_rate: float = 0.05,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.preset = find_preset(preset)
        self.stop = self.preset.rule(stop)
        checked_seed(seed)
        self.seed = seed
        self.device, self.workers, self.progress = device, workers, progress
        self.calibration = _calibration(classifier, calibration) if when == "suspicious" else None
        self.false_positive_rate, self.views = false_positive_rate, views
        if when not in get_args(When):
            raise OptionError(f"when must be one of {', '.join(get_args(When))}, got {when!r}")
        if self.calibration is not None:
            self.calibration.check_rate(false_positive_rate)
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        fits = self.preset.fits
        logits = self._ask(self._straight_through(pixels))
        if fits == 1:
            return logits
        mean: Tensor = chances(self.classifier, logits).unflatten(0, (len(pixels), fits)).mean(dim=1)
        return mean.clamp(min=torch.finfo(mean.dtype).tiny).log()

    def _ask(self, pixels: Tensor) -> Tensor:
        logits: Tensor = mean_logits(self.classifier, pixels) if self.views else self.classifier(pixels)
        return logits

    def purify(self, pixels: Tensor) -> Tensor:
        """The restored pictures, of the same shape, type and device, with the straight-through gradient; the mean of
        its fits where the preset makes several.
        """
        restored = self._straight_through(pixels)
        mean: Tensor = restored.unflatten(0, (len(pixels), self.preset.fits)).mean(dim=1)
        return mean

    def _straight_through(self, pixels: Tensor) -> Tensor:
        """``(N·fits)×3×H×W``: the fits of the first picture, then those of the second, and so on."""
        if pixels.ndim != 4 or pixels.shape[1] != 3 or not pixels.dtype.is_floating_point:
            raise ImageError(
                f"a protected classifier takes N×3×H×W floats in [0, 1], got {pixels.dtype} of shape "
                f"{tuple(pixels.shape)}; use unsqueeze(0) for a single picture"
            )
        fits = self.preset.fits
        return straight_through(pixels.repeat_interleave(fits, dim=0), lambda repeated: self._restore(repeated[::fits]))

    def _restore(self, pixels: Tensor) -> Tensor:
        device = pixels.device if self.device == "auto" and pixels.device.type != "cpu" else self.device
        if self.calibration is None:
            return self._restored(pixels, device)
        flagged = self._suspicious(pixels, self.calibration, device).repeat_interleave(self.preset.fits)
        result = pixels.repeat_interleave(self.preset.fits, dim=0)
        if flagged.any():
            result[flagged] = self._restored(pixels[flagged[:: self.preset.fits]], device)
        return result

    def _suspicious(self, pixels: Tensor, calibration: Calibration, device: str | torch.device) -> Tensor:
        """``N`` booleans: which pictures the detector flags."""
        own = [picture.detach().float().cpu() for picture in pixels]
        seen = look(
            own, self.classifier, iterations=calibration.iterations, seed=self.seed, device=device, workers=self.workers
        )
        scores = [calibration.score(gather(*both)) for both in zip(own, seen, strict=True)]
        flags = [calibration.p_value(score) <= self.false_positive_rate for score in scores]
        return torch.tensor(flags, dtype=torch.bool, device=pixels.device)

    def _restored(self, pixels: Tensor, device: str | torch.device) -> Tensor:
        results: list[Purified] = purify(
            pixels,
            preset=self.preset,
            stop=self._rule(max(pixels.shape[-2:])),
            seed=self.seed,
            device=device,
            workers=self.workers,
            progress=self.progress,
            return_details=True,
        )
        return torch.cat([pixels[:0], *(fit[None].to(pixels) for result in results for fit in _fits_of(result))])

    def _rule(self, side: int) -> StopRule:
        # `auto` would ask at every checkpoint. Where questions are paid for, it ends as it does without a classifier.
        if isinstance(self.stop, Auto) and isinstance(self.classifier, BlackBox) and self.classifier.is_remote:
            return self.stop
        return self.preset.rule_asking(Asked(self.classifier, self._ask), side, self.stop)


def _fits_of(result: Purified) -> list[Tensor]:
    """The ``3×H×W`` pictures that the fits ended with, one by one; of a picture in tiles only their mean is kept."""
    if result.tiles > 1:
        return [result.image] * result.fits
    return [trajectory.restored for trajectory in result.trajectories]


def _calibration(classifier: nn.Module, given: Calibration | None) -> Calibration:
    if given is not None:
        if isinstance(classifier, Classifier):
            given.check_classifier(classifier.name)
        return given
    if isinstance(classifier, Classifier):
        return Calibration.shipped(classifier.name, quick=False)
    raise OptionError(
        'when="suspicious" needs a calibration for this network; make one on clean pictures with '
        "deep_protection.detection.calibrate and pass it as calibration"
    )


def protect(
    classifier: nn.Module | str | os.PathLike[str],
    *,
    preset: str | Preset = "fast",
    stop: str | StopRule | None = None,
    seed: int | None = 0,
    device: str | torch.device = "auto",
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    views: bool = False,
    when: When = "always",
    false_positive_rate: float = 0.05,
    calibration: Calibration | None = None,
) -> ProtectedClassifier:
    """Put the restoration in front of ``classifier`` (a module that takes pixels in ``[0, 1]``, or a name).

    >>> import deep_protection as dp
    >>> model = dp.protect(dp.load_classifier("lite0"))

    ``mean`` and ``std`` are for a bare network that expects normalised pixels: normalisation belongs after the
    restoration. ``seed=None`` draws fresh randomness at every call, which an attacker cannot foresee; the other
    options are those of :func:`deep_protection.purify`. The classifier is put into evaluation mode.

    A preset that makes several fits of a picture, such as ``"thorough"``, has each of them classified; the answer is
    the mean of their probabilities, which is right more often than the answer to the mean picture (docs/stopping.md).
    Pictures so large that they are fitted in tiles have their fits averaged as pictures.

    A remote classifier, for which each question is paid, is asked once for each fit: the stop rule ``"auto"`` then ends
    as it does without a classifier. A rule that is named, as ``"stable"``, asks it at every checkpoint.

    With ``views`` the answer is the mean over the restored picture, its mirror image and two sizes of it, which helps
    much against attacks on the bare classifier; not for classes that mirroring changes, such as letters.

    With ``when="suspicious"`` only those pictures are restored that the detector flags at ``false_positive_rate``, see
    :func:`deep_protection.detect`; the others are classified as they are, which is quicker and keeps the classifier's
    own accuracy on clean pictures. ``calibration`` None takes the one that comes with the package.
    """
    if not isinstance(classifier, nn.Module) or mean is not None or std is not None:
        classifier = load_classifier(classifier, mean=mean, std=std)
    return ProtectedClassifier(
        classifier,
        preset=preset,
        stop=stop,
        seed=seed,
        device=device,
        workers=workers,
        progress=progress,
        views=views,
        when=when,
        false_positive_rate=false_positive_rate,
        calibration=calibration,
    )
