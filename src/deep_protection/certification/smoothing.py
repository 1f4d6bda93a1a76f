"""A classifier under noise: the settings, and its answers to draw after draw around one image."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from deep_protection.arguments import real, whole
from deep_protection.certification.bounds import Plan, check_reach, plan_looks
from deep_protection.certification.denoisers import Denoiser, find_denoiser
from deep_protection.classifiers import BlackBox, Classifier, ClassifierAdapter, mean_answer, name_of
from deep_protection.errors import CancelledError, OptionError
from deep_protection.logits import as_classes, check_numbers
from deep_protection.seeds import checked_seed, image_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothing:
    """What :func:`deep_protection.certify` is asked for, checked when it is made.

    Raises:
        OptionError: one of them cannot be used, or nothing could be certified by them.
    """

    sigma: float = 0.12
    samples: int = 1000
    alpha: float = 0.001
    selection: int = 100
    denoiser: str | Denoiser = "none"
    views: bool = False
    radius: float | None = None
    batch: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("sigma", "radius"):
            value = getattr(self, name)
            if value is not None and not (real(value, name) > 0 and isfinite(value)):
                raise OptionError(f"{name} must be positive and finite, got {value}")
        if not 0 < real(self.alpha, "alpha") < 1:
            raise OptionError(f"alpha must be between 0 and 1, got {self.alpha}")
        if not isinstance(self.views, bool):
            raise OptionError(f"views must be True or False, got {self.views!r}")
        for name in ("samples", "selection", "batch"):
            whole(getattr(self, name), name)
        checked_seed(self.seed)
        check_reach(self.samples, self.alpha)
        self.plan()

    @property
    def denoiser_name(self) -> str:
        return self.denoiser if isinstance(self.denoiser, str) else name_of(self.denoiser)

    @property
    def most_draws(self) -> int:
        """Of an image, those too that choose its class."""
        return self.selection + self.samples

    def about(self) -> dict[str, Any]:
        """All that decides a certificate beside image and classifier, for a file."""
        names = ("sigma", "samples", "alpha", "selection", "views", "radius", "seed")
        return {**{name: getattr(self, name) for name in names}, "denoiser": self.denoiser_name}

    def plan(self) -> Plan | None:
        """When to look whether ``radius`` holds; None where no radius is asked for, and all samples are drawn."""
        if self.radius is None:
            return None
        return plan_looks(self.sigma, self.radius, self.samples, self.alpha)


class NoisyAnswers:
    """The classifier's answers to one image under noise, in an order that image and seed decide."""

    def __init__(
        self,
        pixels: Tensor,
        answer: Callable[[Tensor], Tensor],
        settings: Smoothing,
        on_draws: Callable[[int], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._pixels, self._answer, self._settings = pixels, answer, settings
        self._on_draws, self._is_cancelled = on_draws, is_cancelled
        # On the CPU and one by one: the same noise whatever the batch and the device.
        self._generator = torch.Generator().manual_seed(image_seed(settings.seed, pixels))
        self._drawn = 0

    def take(self, number: int) -> Iterator[Tensor]:
        """The classes of the next ``number`` draws, in batches."""
        while number > 0:
            if self._is_cancelled():
                raise CancelledError(f"certifying was cancelled after {self._drawn} draws")
            now = min(number, self._settings.batch)
            noise = torch.stack([self._draw() for _ in range(now)])
            classes = self._answer(self._pixels.cpu() + self._settings.sigma * noise)
            number -= now
            self._drawn += now
            self._on_draws(self._drawn)
            yield classes

    def _draw(self) -> Tensor:
        return torch.randn(self._pixels.shape, generator=self._generator, dtype=torch.float32, device="cpu")


class NoisyClassifier:
    """The base classifier: whatever stands between the noise and a class. Noisy ``N×3×H×W`` in, ``N`` classes out."""

    def __init__(self, classifier: Classifier, settings: Smoothing, device: torch.device) -> None:
        self._classifier, self._adapter, self._device = classifier, ClassifierAdapter(classifier), device
        self._views = settings.views
        self._name, self._denoiser_name = classifier.name, settings.denoiser_name
        self._denoise = find_denoiser(settings.denoiser, settings.sigma, settings.seed)
        self._clips = isinstance(classifier, BlackBox)  # it is promised pixels, which most turn into files

    @torch.no_grad()
    def __call__(self, noisy: Tensor) -> Tensor:
        given = noisy.to(self._device)
        denoised = self._denoise(given)
        if not isinstance(denoised, Tensor) or denoised.shape != given.shape:
            what = f"shape {tuple(denoised.shape)}" if isinstance(denoised, Tensor) else type(denoised).__name__
            raise OptionError(
                f"the denoiser {self._denoiser_name} gives {what} for {tuple(given.shape)} values; it has to give an "
                "image for each, of the same shape"
            )
        logits = self._answers(denoised)
        if self._views:  # what is taken away with the noise in one is there in the other
            both = torch.stack([logits, self._answers(((denoised + given) / 2).flip(-1))])
            logits = mean_answer(self._classifier, both, dim=0, least=torch.finfo(both.dtype).tiny)
        return as_classes(logits).argmax(dim=-1)

    def _answers(self, shown: Tensor) -> Tensor:
        logits = self._adapter(shown.clamp(0, 1) if self._clips else shown)
        check_numbers(logits, self._name)
        return logits
