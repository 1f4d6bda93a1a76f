"""A reconstructor of deepinv (Tachella et al. 2025, arXiv:2505.20160), next to its ``DeepImagePrior``."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deep_protection.arguments import whole
from deep_protection.errors import ImageError, OptionError
from deep_protection.fitting import FitTask, ForwardOperator, ProgressCallback, fit_all
from deep_protection.images import ImageRecord
from deep_protection.optional import import_optional
from deep_protection.restoration import (
    DENOISE,
    INPAINT,
    UPSCALE,
    FitOptions,
    Preset,
    find_device,
    purify_each,
    with_fits,
    with_noise,
)
from deep_protection.seeds import checked_seed, image_seed
from deep_protection.stopping import CLOSER, StopRule

if TYPE_CHECKING:
    from deepinv.physics import Physics

_models = import_optional("deepinv.models", needed_for="DeepPriorReconstructor", extra="deepinv")
_physics = import_optional("deepinv.physics", needed_for="DeepPriorReconstructor", extra="deepinv")


class DeepPriorReconstructor(_models.Reconstructor):  # type: ignore[misc, name-defined]
    r"""
    Deep image prior reconstruction that ends by itself, any number of images a call, one seed one result.

    Fits :math:`\hat x = G_\theta(z)` to :math:`\|y - A G_\theta(z)\|^2` for every image of a batch, a few times from
    different seeds, and averages what they have drawn. Where nothing is noise, the nearest images of which just
    :math:`y` is measured are given.

    :param str, StopRule stop: when to end a fit, such as ``"fixed:200"``. ``None``: where :math:`A \hat x` is as far
        from :math:`y` as the noise is large, if the physics says how large (``noise_model.sigma``); else a fixed
        count. Denoising takes filters, and fits only where ``stop`` or ``fits`` asks for them.
    :param int fits: fits that are averaged; ``None`` takes as many as a problem of this kind wants.
    :param int seed: with the measurement it decides all that is drawn at random; ``None`` draws a fresh one.
    :param int workers: fits at once on the CPU; ``None`` is one a core.
    :param progress: called in this thread with a ``deep_protection.Progress``.
    """

    def __init__(
        self,
        stop: str | StopRule | None = None,
        fits: int | None = None,
        seed: int | None = 0,
        workers: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        super().__init__()
        if fits is not None:
            whole(fits, "fits")
        DENOISE.rule(stop).check()
        checked_seed(seed)
        self.stop, self.fits, self.seed = stop, fits, seed
        self.workers, self.progress = workers, progress

    def forward(self, y: Tensor, physics: "Physics", **kwargs: Any) -> Tensor:
        r"""
        Reconstruct images from the measurements :math:`y`. No gradient passes.

        :param torch.Tensor y: measurements, ``B×C×h×w`` of one or three channels, of images in ``[0, 1]``; noise may
            lie outside.
        :param deepinv.physics.Physics physics: ``Denoising``, ``Inpainting``, ``Downsampling``, or another whose
            measurements are images and whose ``A`` is differentiable and the same for the whole batch.
        :return: ``B×C×H×W`` images in ``[0, 1]``.
        """
        del kwargs
        seen = _checked(y)
        if isinstance(physics, _physics.Denoising):
            return self._denoised(seen, physics).to(y)[:, : y.shape[1]]
        kinds = [_kind(physics, image, y.shape[1] == 1, index) for index, image in enumerate(seen)]
        run_seed, device = checked_seed(self.seed), find_device(y.device)

        def tasks() -> Iterator[FitTask]:
            for target, (preset, degradation, spread) in zip(seen, kinds, strict=True):
                preset = with_fits(preset, self.fits)
                stop = _stop(spread) if self.stop is None else self.stop
                for number in range(preset.fits):
                    yield FitTask(
                        target=target,
                        recipe=preset.recipe,
                        rule=preset.rule(stop).for_image(0),
                        seed=image_seed(run_seed, target, number),
                        device=device,
                        operator=degradation,
                        share=1 / preset.fits,
                    )

        fitted = fit_all(tasks(), images_total=len(seen), workers=self.workers, progress=self.progress)
        images = []
        for preset, _, _ in kinds:
            fits = with_fits(preset, self.fits).fits
            images.append(torch.stack([next(fitted).restored.to(y) for _ in range(fits)]).mean(dim=0))
        if not images:
            return y.detach().clone()
        made = torch.stack(images)
        made = made.mean(dim=1, keepdim=True) if y.shape[1] == 1 else made
        return _consistent(made, y, physics) if _is_exact(physics) else made

    def _denoised(self, seen: Tensor, physics: "Physics") -> Tensor:
        """As :func:`deep_protection.denoise` does it: filters, and fits beside them where they are asked for."""
        spreads = [_spread(physics, index) for index in range(len(seen))]
        noisy = (
            with_noise(ImageRecord(image), None if spread is None else 255 * spread)
            for image, spread in zip(seen, spreads, strict=True)
        )
        preset = with_fits(DENOISE, self.fits, self.stop)
        how = FitOptions(seed=self.seed, device=seen.device, workers=self.workers, progress=self.progress)
        made = [each.image for each in purify_each(noisy, len(seen), preset, preset.rule(self.stop), how)]
        return torch.stack(made) if made else seen


def _is_exact(physics: "Physics") -> bool:
    """Whether nothing is noise, and little is made of the rounding of what was measured by going back from it."""
    noise = physics.noise_model
    silent = type(noise) is _physics.ZeroNoise or (type(noise) is _physics.GaussianNoise and not noise.sigma.any())
    return silent and isinstance(physics, (_physics.Inpainting, _physics.Downsampling))


@torch.no_grad()
def _consistent(made: Tensor, y: Tensor, physics: "Physics") -> Tensor:
    """The nearest images of which just ``y`` is measured: where nothing is noise, the truth is one of these, so this
    takes away error and adds none.
    """
    if isinstance(physics, _physics.Inpainting):  # every image may have a mask of its own
        nearest: Tensor = made + physics.A_dagger(y - physics.A(made))
        return nearest.clamp(0, 1)
    # One by one: solvers that serve a batch stop by what is left of all of it.
    each = zip(made.split(1), y.split(1), strict=True)
    return torch.cat([one + physics.A_dagger(seen - physics.A(one)) for one, seen in each]).clamp(0, 1)


class _Measured(ForwardOperator):
    """What deepinv's physics see of an image; grey ones see the mean of the three channels that are drawn."""

    def __init__(self, operator: Any, whole: Sequence[int], grey: bool) -> None:
        self.operator, self.whole, self.grey = operator, tuple(whole), grey

    def __call__(self, images: Tensor) -> Tensor:
        given = images.mean(dim=1, keepdim=True) if self.grey else images
        seen: Tensor = self.operator(given)
        return seen.expand(-1, 3, -1, -1) if self.grey else seen

    def initial_estimate(self, seen: Tensor) -> Tensor:
        return F.interpolate(seen[None], size=self.whole, mode="bicubic", align_corners=False)[0].clamp(0, 1)


_Kind = tuple[Preset, ForwardOperator | None, float | None]
"""Settings, what lies between image and measurement, and the standard deviation of the latter's noise if known."""


def _kind(physics: "Physics", seen: Tensor, grey: bool, index: int) -> _Kind:
    """For the image with that number."""
    spread = _spread(physics, index)
    if isinstance(physics, _physics.Inpainting):
        mask = physics.mask if physics.mask.ndim < 4 or len(physics.mask) == 1 else physics.mask[index : index + 1]
        known = mask.detach().to(seen.device, torch.float32)
        degradation = _Measured(lambda images: images * known.reshape(1, *known.shape[-3:]), seen.shape[-2:], grey)
        share = known.expand(1, *seen.shape).mean().item()
        if not share:
            raise ImageError("the mask covers the whole image; leave something to fill it in from")
        return INPAINT, degradation, None if spread is None else spread * math.sqrt(share)
    shape = (1, 1 if grey else 3, *seen.shape[-2:])
    try:
        whole = physics.A_adjoint(seen[None, : shape[1]]).shape if hasattr(physics, "A_adjoint") else shape
        made = tuple(physics.A(torch.zeros(whole, device=seen.device)).shape)
    except Exception as error:
        raise OptionError(f"{_cannot(physics)}: {type(error).__name__}: {error}") from error
    if made != shape or len(whole) != 4 or whole[:2] != shape[:2]:
        raise OptionError(f"{_cannot(physics)}: it makes {made} of an image where {shape} was measured")
    return UPSCALE if whole != shape else INPAINT, _Measured(physics.A, whole[-2:], grey), spread


def _cannot(physics: "Physics") -> str:
    return (
        f"{type(physics).__name__} cannot be used; only operators from images to images that are the same for the "
        "whole batch can"
    )


def _spread(physics: "Physics", index: int) -> float | None:
    """Standard deviation of the noise, where the physics says it and it is not nothing."""
    sigma = getattr(getattr(physics, "noise_model", None), "sigma", None)
    if sigma is None:
        return None
    values = torch.as_tensor(sigma).detach().flatten()
    value = values[index if len(values) > 1 else 0].item()
    return value if value > 0 else None


def _stop(spread: float | None) -> str | None:
    """Morozov's discrepancy principle, where it can be used."""
    return None if spread is None else f"discrepancy:{CLOSER - 20 * math.log10(spread):.4f}"


def _checked(y: Any) -> Tensor:
    """``B×3×h×w`` float32."""
    if not isinstance(y, Tensor) or y.ndim != 4 or y.shape[1] not in (1, 3) or not y.dtype.is_floating_point:
        got = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        raise ImageError(f"measurements are B×C×h×w floats with C of 1 or 3, got {got}")
    if not y.isfinite().all():
        raise ImageError("the measurements have values that are NaN or infinite; replace them before reconstructing")
    if len(y) and not -2 < y.min().item() <= y.max().item() < 3:
        low, high = y.min().item(), y.max().item()
        raise ImageError(f"the measurements go from {low:.4g} to {high:.4g}, expected [0, 1] and noise; scale them")
    return y.detach().to(torch.float32).expand(-1, 3, -1, -1).contiguous()
