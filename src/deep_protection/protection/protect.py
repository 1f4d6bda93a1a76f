"""A classifier behind the restoration, still a classifier."""

import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deep_protection.classifiers import load_classifier
from deep_protection.errors import ImageError
from deep_protection.fitting import ProgressCallback
from deep_protection.protection.straight_through import straight_through
from deep_protection.purification import Preset, find_preset, purify
from deep_protection.seeds import checked_seed
from deep_protection.stopping import StopRule


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
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.preset = find_preset(preset)
        self.stop = self.preset.rule(stop).with_classifier(classifier)
        checked_seed(seed)
        self.seed = seed
        self.device, self.workers, self.progress = device, workers, progress
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.purify(pixels))
        return logits

    def purify(self, pixels: Tensor) -> Tensor:
        """The restored pictures, of the same shape, type and device, with the straight-through gradient."""
        if pixels.ndim != 4 or pixels.shape[1] != 3 or not pixels.dtype.is_floating_point:
            raise ImageError(
                f"a protected classifier takes N×3×H×W floats in [0, 1], got {pixels.dtype} of shape "
                f"{tuple(pixels.shape)}; use unsqueeze(0) for a single picture"
            )
        return straight_through(pixels, self._restore)

    def _restore(self, pixels: Tensor) -> Tensor:
        device = pixels.device if self.device == "auto" and pixels.device.type != "cpu" else self.device
        restored: Tensor = purify(
            pixels,
            preset=self.preset,
            stop=self.stop,
            seed=self.seed,
            device=device,
            workers=self.workers,
            progress=self.progress,
        )
        return restored


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
) -> ProtectedClassifier:
    """Put the restoration in front of ``classifier`` (a module that takes pixels in ``[0, 1]``, or a name).

    >>> import deep_protection as dp
    >>> model = dp.protect(dp.load_classifier("lite0"))

    ``mean`` and ``std`` are for a bare network that expects normalised pixels: normalisation belongs after the
    restoration. ``seed=None`` draws fresh randomness at every call, which an attacker cannot foresee; the other
    options are those of :func:`deep_protection.purify`. The classifier is put into evaluation mode.
    """
    if not isinstance(classifier, nn.Module) or mean is not None or std is not None:
        classifier = load_classifier(classifier, mean=mean, std=std)
    return ProtectedClassifier(
        classifier, preset=preset, stop=stop, seed=seed, device=device, workers=workers, progress=progress
    )
