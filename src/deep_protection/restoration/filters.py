"""Classical estimates, which the prior's image is averaged with, or which stand alone where it adds nothing.

All take and give ``3×H×W`` float32. They are scikit-image's filters, put to work on what suits them: noise on
brightness and colours apart, holes and enlargement by filtering and putting back what is known, in turn.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from deep_protection.fitting import Downsampling
from deep_protection.optional import import_optional
from deep_protection.restoration.dct import OPPONENT, wiener_filtered
from deep_protection.stopping import noise_deviation

LEAST_SIDE = 32
"""Smaller images are mirrored up to this: patches have to fit in."""
_MIXING = np.array(OPPONENT, np.float32) / np.linalg.norm(OPPONENT, axis=1, keepdims=True).astype(np.float32)
SILENT = 0.05 / 255
"""Standard deviation under which a plane has no noise."""
NON_LOCAL, AT_HALF = 0.65, 0.8
"""Strength of non-local means for noise, and for what is no noise, by its own standard deviation; chosen on photographs
of ``imagenet-dev``."""
COSINES = 0.75
"""Of the weighed cosines in what is taken for free of noise."""
WIDE = 20_000
"""Missing pixels from which on a biharmonic surface is drawn smaller: it would be a blur anyway."""
ENLARGING = tuple(np.geomspace(30, 5, 14) / 255)
FILLING = tuple(np.geomspace(20, 3, 10) / 255)
"""Standard deviations that a filter is told, step by step: coarse structure settles before fine."""


def noise_of(pixels: Tensor, sigma: float | None = None) -> tuple[float, float, float]:
    """Standard deviation of the noise in each plane of :data:`OPPONENT`, estimated, or of white noise of ``sigma``.

    A grey image has one noise in three colours: all of it is in brightness, √3 times as strong.
    """
    if sigma is None:
        brightness, red, green = (noise_deviation(torch.from_numpy(plane)[None]) for plane in _planes(pixels))
        return brightness, red, green
    grey = bool((pixels[:1] == pixels).all())
    return (3**0.5 * sigma, 0.0, 0.0) if grey else (sigma, sigma, sigma)


def strength_of(noise: Sequence[float]) -> float:
    """Standard deviation of the noise in the three colours, that of each plane given."""
    return math.sqrt(sum(each**2 for each in noise) / 3)


def without_noise(pixels: Tensor, noise: Sequence[float]) -> Tensor:
    """A mean of cosine coefficients that are weighed by how much of them is image (:func:`wiener_filtered`) and of
    non-local means (Buades et al. 2005), of brightness and colours apart: what one leaves of noise and takes of detail,
    the other does not.
    """

    def both(plane: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
        cosines = wiener_filtered(torch.from_numpy(plane)[None], sigma)[0].numpy()
        return COSINES * cosines + (1 - COSINES) * _non_local_means(plane, NON_LOCAL, sigma)

    return pixels if strength_of(noise) <= SILENT else _plane_by_plane(pixels, noise, both)


def unclipped(pixels: Tensor, sigma: float) -> Tensor:
    """The image that means of clipped noisy pixels, as filters give them, are of (Foi 2009, Signal Processing 89).

    Noise cannot make black darker, so what is left of it makes black grey. The mean of a value x with normal noise that
    is clipped to ``[0, 1]`` is known, and is turned round here.
    """
    if sigma <= SILENT:
        return pixels
    special = import_optional("scipy.special", needed_for="denoising", extra="restore")
    values = np.linspace(0, 1, 1025)
    low, high = -values / sigma, (1 - values) / sigma
    below, above = special.ndtr(low), special.ndtr(high)
    density = [np.exp(-(at**2) / 2) / (2 * np.pi) ** 0.5 for at in (low, high)]
    means = values * (above - below) + sigma * (density[0] - density[1]) + 1 - above
    return torch.from_numpy(np.interp(pixels.numpy(), means, values).astype(np.float32))


def smoothed(pixels: Tensor, sigma: float) -> Tensor:
    """Non-local means of the three colours together."""
    return torch.from_numpy(_filtered(pixels.numpy(), lambda each: _non_local_means(each, AT_HALF, sigma, 0)))


def filled(seen: Tensor, missing: Tensor) -> Tensor:
    """Holes (``H×W`` bool) filled: the mean of a biharmonic surface (Damelin & Hoang 2018) and of what non-local means
    makes of it, while what is known is put back (plug and play; Venkatakrishnan et al. 2013).
    """
    if not bool(missing.any()):
        return seen
    base = _surface(seen, missing)
    drawn = _in_turn(base, FILLING, lambda made: torch.where(missing, made, seen))
    return (base + drawn) / 2


def _surface(seen: Tensor, missing: Tensor) -> Tensor:
    """Biharmonic where pixels are missing; over wide holes that of a smaller image, for its price grows by the area."""
    count = int(missing.sum())
    if count > WIDE:
        by = math.ceil((count / WIDE) ** 0.5)
        known = (~missing)[None, None].float()
        small, share = (F.avg_pool2d(each, by, ceil_mode=True) for each in (seen[None] * known, known))
        smaller = _surface((small / share.clamp(min=1e-6))[0], share[0, 0] == 0)
        drawn = F.interpolate(smaller[None], size=seen.shape[-2:], mode="bicubic", align_corners=False)[0]
    elif count:
        holed = torch.where(missing, 0.0, seen).numpy()
        surface = _restoration().inpaint_biharmonic(holed, missing.numpy(), channel_axis=0, split_into_regions=True)
        drawn = torch.from_numpy(surface).float()
    else:
        drawn = seen
    return torch.where(missing, drawn.clamp(0, 1), seen)


def enlarged(seen: Tensor, shrink: Downsampling, consistent: Callable[[Tensor], Tensor]) -> Tensor:
    """An image that ``shrink`` makes small to ``seen``: non-local means and back-projection in turn, from a bicubic
    one.
    """
    return _in_turn(consistent(shrink.initial_estimate(seen)), ENLARGING, consistent)


def _in_turn(image: Tensor, strengths: Sequence[float], consistent: Callable[[Tensor], Tensor]) -> Tensor:
    for sigma in strengths:
        image = consistent(smoothed(image, sigma))
    return image


def _plane_by_plane(pixels: Tensor, noise: Sequence[float], function: Callable[..., NDArray[np.float32]]) -> Tensor:
    made = [
        _filtered(plane, partial(function, sigma=sigma)) if sigma > SILENT else plane
        for plane, sigma in zip(_planes(pixels), noise, strict=True)
    ]
    return torch.from_numpy(np.tensordot(_MIXING.T, np.stack(made), 1))


def _planes(pixels: Tensor) -> NDArray[np.float32]:
    """NumPy knows nothing of the type, the device and the autocast that a host may have set."""
    made: NDArray[np.float32] = np.tensordot(_MIXING, pixels.numpy(), 1)
    return made


def _filtered(
    values: NDArray[np.float32], function: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """``function`` of ``…×H×W`` values, mirrored up to a side that it can work on."""
    height, width = values.shape[-2:]
    more = [(0, max(0, LEAST_SIDE - height)), (0, max(0, LEAST_SIDE - width))]
    wide = np.pad(values, [(0, 0)] * (values.ndim - 2) + more, mode="symmetric")
    return function(wide)[..., :height, :width].astype(np.float32)


def _non_local_means(
    values: NDArray[np.float32], strength: float, sigma: float, channel_axis: int | None = None
) -> NDArray[np.float32]:
    """Patches of 5 px, up to 6 px away."""
    made: NDArray[np.float32] = _restoration().denoise_nl_means(
        values,
        patch_size=5,
        patch_distance=6,
        h=strength * sigma,
        sigma=sigma,
        fast_mode=True,
        channel_axis=channel_axis,
    )
    return made


def check_filters() -> None:
    """Raise :class:`MissingExtraError` where their package is missing: before anything is restored, not after."""
    _restoration()


def _restoration() -> Any:
    return import_optional("skimage.restoration", needed_for="restoring images", extra="restore")
