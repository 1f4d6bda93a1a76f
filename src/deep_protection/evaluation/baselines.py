"""The cheap defences that any expensive one has to be compared with. A new baseline is one row of ``BASELINES``."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from deep_protection.certification import total_variation
from deep_protection.detection import compress
from deep_protection.errors import OptionError
from deep_protection.generators.fast import low_pass
from deep_protection.optional import import_optional
from deep_protection.restoration import PRESETS


@dataclass(frozen=True, slots=True)
class Baseline:
    """One cheap defence."""

    name: str
    title: str
    apply: Callable[[Tensor], Tensor]
    """One image ``3×H×W`` in ``[0, 1]``, to the same."""

    def __call__(self, pixels: Tensor) -> Tensor:
        """``N×3×H×W`` images in ``[0, 1]``, each on its own."""
        return torch.stack([self.apply(image) for image in pixels]) if len(pixels) else pixels.clone()


def quantise(image: Tensor) -> Tensor:
    """Rounded to 8 bits, as saving any file does. It alone undoes some attacks."""
    return image.mul(255).round().div(255)


def median(image: Tensor, size: int) -> Tensor:
    """Median of ``size × size`` pixels, each channel on its own (Xu et al. 2018, arXiv:1704.01155)."""
    filters = import_optional("skimage.filters", needed_for="the median filter", extra="baselines")
    filtered = filters.median(
        image.numpy(), footprint=np.ones((1, size, size), np.uint8), mode="reflect", behavior="ndimage"
    )
    return torch.from_numpy(filtered)


def smoothed(image: Tensor, weight: float) -> Tensor:
    """Total variation denoising, back in ``[0, 1]``."""
    return total_variation(image, weight).clamp(0, 1)


def unfitted(image: Tensor, factor: int) -> Tensor:
    """What `fast` does to an image without fitting anything: low-pass copy and detail. Shows what the fit adds."""
    detail = PRESETS["fast"].recipe.detail
    copy = low_pass(image.unsqueeze(0), factor)[0]
    return copy if detail is None else detail.restore_detail(copy, image)


_ROWS = (
    Baseline("none", "nothing", torch.clone),
    Baseline("quantise", "8-bit rounding", quantise),
    Baseline("jpeg75", "JPEG 75", partial(compress, quality=75)),
    Baseline("jpeg50", "JPEG 50", partial(compress, quality=50)),
    Baseline("jpeg25", "JPEG 25", partial(compress, quality=25)),
    Baseline("median3", "median 3×3", partial(median, size=3)),
    Baseline("tv", "total variation", partial(smoothed, weight=0.05)),
    Baseline("unfitted", "low pass ÷4 and detail, no fit", partial(unfitted, factor=4)),
)

BASELINES: dict[str, Baseline] = {row.name: row for row in _ROWS}


def find_baseline(name: str) -> Baseline:
    """The row of the table that a name means."""
    if name not in BASELINES:
        raise OptionError(f"unknown baseline {name!r}; there are: {', '.join(BASELINES)}")
    return BASELINES[name]
