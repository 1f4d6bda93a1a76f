"""What happens to images with nobody meaning harm. A defence that mistakes it for an attack does harm of its own.

Kinds after ImageNet-C (Hendrycks & Dietterich 2019, arXiv:1903.12261), at the first three of its five severities where
nothing else is said. A new kind is one row of ``_KINDS``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deep_protection.detection import compress
from deep_protection.errors import OptionError
from deep_protection.images import as_image, to_pillow
from deep_protection.optional import import_optional

Floats = NDArray[np.floating[Any]]

AIRLIGHT = 0.85
"""Colour of thick haze, of white."""
VEIL_SCALES = (1 / 4, 1 / 8, 1 / 16)
"""Standard deviations of the smooth noises that haze thickens by, of the image's shorter side; each half as strong as
the one before."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """One kind of corruption at one of its strengths."""

    name: str
    """Kind and level, ``noise-1``."""
    title: str
    strength: float
    apply: Callable[[Tensor, float, np.random.Generator], Tensor]
    """An image ``3×H×W`` in ``[0, 1]``, strength and randomness, to the same before it is clamped."""

    def __call__(self, image: Tensor, seed: int) -> Tensor:
        """``3×H×W`` float32 in ``[0, 1]``, not rounded to 8 bits but where that is part of it."""
        return self.apply(image, self.strength, np.random.default_rng(seed)).float().clamp(0, 1)

    def parameters(self) -> dict[str, Any]:
        """Everything that decides what it does, ready for a record."""
        return {"corruption": self.name, "strength": self.strength}


def noise(image: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """Gaussian, independent in every value; ``strength`` is its standard deviation."""
    return image + torch.from_numpy(generator.normal(scale=strength, size=image.shape))


def blur(image: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """Gaussian, of standard deviation ``strength`` in pixels."""
    del generator
    return torch.from_numpy(_gaussian(image.numpy(), strength, channel_axis=0))


def compression(image: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """JPEG of quality ``strength``."""
    del generator
    return compress(image, int(strength))


def brightness(image: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """``strength`` added to the value of hue, saturation and value."""
    del generator
    colour = import_optional("skimage.color", needed_for="brightness", extra="baselines")
    hsv = colour.rgb2hsv(image.numpy(), channel_axis=0)
    hsv[2] = np.clip(hsv[2] + strength, 0, 1)
    return torch.from_numpy(colour.hsv2rgb(hsv, channel_axis=0))


def contrast(image: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """Distances from each channel's mean times ``strength``."""
    del generator
    mean = image.mean(dim=(1, 2), keepdim=True)
    return mean + strength * (image - mean)


def haze(image: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """Koschmieder's law: t·image + (1 − t)·airlight, t = exp(−``strength``·depth).

    As RESIDE makes haze (Li et al. 2019, arXiv:1712.04143), within its ranges; but for the depth, which is not known of
    a photograph: it is smooth noise from 0.5 to 1.5.
    """
    size = image.shape[-2:]
    veil = np.zeros(size)
    for level, scale in enumerate(VEIL_SCALES):
        part = _gaussian(generator.normal(size=size), scale * min(size), mode="reflect")
        veil += part / part.std() / 2**level
    depth = 0.5 + (veil - veil.min()) / (veil.max() - veil.min())
    kept = torch.from_numpy(np.exp(-strength * depth))
    return image * kept + AIRLIGHT * (1 - kept)


def pixelation(image: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """Made smaller to ``strength`` of its sides and larger again, by boxes."""
    del generator
    whole = to_pillow(image)
    small = whole.resize([max(1, int(strength * side)) for side in whole.size], Image.Resampling.BOX)
    return as_image(small.resize(whole.size, Image.Resampling.BOX)).pixels


def find_corruption(name: str) -> Corruption:
    """The row of the table that a name means."""
    if name not in CORRUPTIONS:
        raise OptionError(f"unknown corruption {name!r}; there are: {', '.join(CORRUPTIONS)}")
    return CORRUPTIONS[name]


def _gaussian(values: Floats, sigma: float, **options: Any) -> Floats:
    filters = import_optional("skimage.filters", needed_for="blur and haze", extra="baselines")
    smooth: Floats = filters.gaussian(values, sigma=sigma, **options)
    return smooth


_KINDS: tuple[tuple[str, str, Callable[..., Tensor], tuple[float, float, float]], ...] = (
    ("noise", "Gaussian noise, {:g}", noise, (0.08, 0.12, 0.18)),
    ("blur", "blur, {:g} px", blur, (1, 2, 3)),
    # Milder than ImageNet-C's, which begin at 25: what images are passed on in.
    ("jpeg", "JPEG {:g}", compression, (50, 30, 15)),
    ("brightness", "brighter by {:g}", brightness, (0.1, 0.2, 0.3)),
    ("contrast", "contrast × {:g}", contrast, (0.4, 0.3, 0.2)),
    ("haze", "haze, {:g}", haze, (0.6, 1.2, 1.8)),
    ("pixelation", "pixelated to {:g}", pixelation, (0.6, 0.5, 0.4)),
)

CORRUPTIONS: dict[str, Corruption] = {
    f"{kind}-{level}": Corruption(f"{kind}-{level}", title.format(strength), strength, apply)
    for kind, title, apply, strengths in _KINDS
    for level, strength in enumerate(strengths, start=1)
}
"""Seven kinds from mild (1) to strong (3)."""
