"""What may stand between the noise and the classifier. A new denoiser is one row of ``DENOISERS``.

Each takes values as the noise left them, some below 0 and some above 1: noise that was clipped is not normal any more.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from deep_protection.errors import OptionError
from deep_protection.optional import import_optional
from deep_protection.restoration import FitOptions, find_preset, purify_batch
from deep_protection.restoration.dct import thresholded

Denoiser = Callable[[Tensor], Tensor]
"""``N×3×H×W`` noisy values to as many images, each on its own."""
FIT_ITERATIONS = 30
"""Of ``fast``: what it draws first is the image, noise comes later."""
TV_STRENGTH = 0.35
"""Of the noise's own. A classifier that never saw noise minds what is smoothed away more than noise that is left: at
full strength, which is best for the eye, ``lite0`` is less often right than bare (on foolbox's twenty photographs)."""


def nothing(sigma: float, seed: int) -> Denoiser:
    """The classifier sees the noise."""
    del sigma, seed
    return lambda noisy: noisy


def by_total_variation(sigma: float, seed: int) -> Denoiser:
    """Chambolle's total variation denoising (2004)."""
    del seed
    _restoration()
    return lambda noisy: total_variation(noisy, weight=TV_STRENGTH * sigma)


def by_cosines(sigma: float, seed: int) -> Denoiser:
    """Thresholded cosine coefficients of patches: ``lite0`` is right behind them as often as behind the filters of
    :func:`deep_protection.denoise`, in a tenth of their time.
    """
    del seed
    return lambda noisy: thresholded(noisy, sigma)


def by_prior(sigma: float, seed: int) -> Denoiser:
    """A short fit of the deep prior to the noisy values. No detail comes back: what is strong in it is noise."""
    del sigma
    fast = find_preset("fast")
    preset = replace(fast, recipe=replace(fast.recipe, detail=None))

    def denoise(noisy: Tensor) -> Tensor:
        options = FitOptions(seed=seed, device=noisy.device)
        return purify_batch(noisy, preset, f"fixed:{FIT_ITERATIONS}", options)[:, 0]

    return denoise


DENOISERS: dict[str, Callable[[float, int], Denoiser]] = {
    "none": nothing,
    "tv": by_total_variation,
    "dct": by_cosines,
    "fast": by_prior,
}
"""Name to what makes the denoiser for a sigma and a seed."""


def find_denoiser(denoiser: str | Denoiser, sigma: float, seed: int) -> Denoiser:
    """A function as it is, or what a name means.

    Raises:
        OptionError: there is no such. MissingExtraError: it needs a package that is not installed.
    """
    if callable(denoiser):
        return denoiser
    if denoiser not in DENOISERS:
        raise OptionError(
            f"unknown denoiser {denoiser!r}; there are: {', '.join(DENOISERS)}, or a function of N×3×H×W values"
        )
    return DENOISERS[denoiser](sigma, seed)


def total_variation(pixels: Tensor, weight: float) -> Tensor:
    """Every plane of ``…×H×W`` values smoothed on its own (Chambolle 2004, doi:10.1023/B:JMIV.0000011325.36760.1e)."""
    planes = pixels.reshape(-1, *pixels.shape[-2:]).cpu().numpy()
    smooth = _restoration().denoise_tv_chambolle(planes, weight=weight, channel_axis=0)
    return torch.from_numpy(smooth).to(pixels).reshape(pixels.shape)


def _restoration() -> Any:
    return import_optional("skimage.restoration", needed_for="total variation", extra="certify")
