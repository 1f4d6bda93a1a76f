"""Restoring what is not an attack: each call is :func:`deep_protection.purify` with settings of its own."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deep_protection.arguments import real
from deep_protection.errors import ImageError, OptionError
from deep_protection.fitting import ProgressCallback
from deep_protection.images import Picture, Taken, check_dense, take_picture
from deep_protection.purification import Seen, joined, purify, purify_each, with_holes
from deep_protection.restoration.presets import DEJPEG, DENOISE, INPAINT, with_fits
from deep_protection.stopping import CLOSER, StopRule


def denoise(
    image: Any,
    *,
    sigma: float | None = None,
    stop: str | StopRule | None = None,
    fits: int | None = None,
    seed: int | None = 0,
    device: str | torch.device = "auto",
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Any:
    """Take noise out of a picture, a list of pictures or a batch; the same type and size come back.

    Args:
        image: as for :func:`deep_protection.purify`.
        sigma: standard deviation of the noise in 8-bit steps (25 is strong); None estimates it from each picture.
        stop: when to end a fit; None ends it where the output is as far from the picture as its noise is large.
        fits: fits of different seeds that are averaged; more are better and slower.
        seed: as for :func:`deep_protection.purify`, and so are the others that follow.
        device: where the fit runs.
        workers: pictures fitted at once on the CPU.
        progress: called with a :class:`Progress`.
        is_cancelled: asked at every iteration.

    Raises:
        ImageError: a picture cannot be used. OptionError: an argument cannot.
    """
    return purify(
        image,
        preset=with_fits(DENOISE, fits),
        stop=stop_for(sigma, stop),
        seed=seed,
        device=device,
        workers=workers,
        progress=progress,
        is_cancelled=is_cancelled,
    )


def dejpeg(
    image: Any,
    *,
    stop: str | StopRule | None = None,
    fits: int | None = None,
    seed: int | None = 0,
    device: str | torch.device = "auto",
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Any:
    """Take the blocks and rings of strong JPEG compression out; arguments and result are those of :func:`denoise`."""
    return purify(
        image,
        preset=with_fits(DEJPEG, fits),
        stop=stop,
        seed=seed,
        device=device,
        workers=workers,
        progress=progress,
        is_cancelled=is_cancelled,
    )


def inpaint(
    image: Any,
    mask: Any,
    *,
    stop: str | StopRule | None = None,
    fits: int | None = None,
    seed: int | None = 0,
    device: str | torch.device = "auto",
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Any:
    """Fill the holes of one picture; what is not masked comes back as it was.

    Args:
        image: one picture, as for :func:`deep_protection.purify`.
        mask: what is missing: an ``H×W`` bool array or tensor, true where it is, or a picture of the same size (a path,
            Pillow image, …), white where it is.
        stop: when to end a fit; None takes a fixed count, for there is no noise that could be learnt.
        fits: as for :func:`denoise`, and so are the others.
        seed: same picture, same seed: same result.
        device: where the fit runs.
        workers: pictures fitted at once on the CPU.
        progress: called with a :class:`Progress`.
        is_cancelled: asked at every iteration.

    Raises:
        ImageError: picture or mask cannot be used, or do not fit together.
    """
    missing = missing_pixels(mask)
    picture = take_picture(image, missing)
    seen = with_missing(picture, missing)
    if seen is None:
        return picture.rebuild(picture.pixels)
    results = purify_each(
        [seen],
        total=1,
        preset=with_fits(INPAINT, fits),
        stop=stop,
        seed=seed,
        device=device,
        workers=workers,
        progress=progress,
        is_cancelled=is_cancelled,
    )
    return joined(Taken([seen], single=True, join=lambda parts: parts[0]), results)


def with_missing(picture: Picture, missing: Tensor) -> Seen | None:
    """The picture with holes where ``missing`` (``H×W`` bool) is true; None where it is nowhere.

    Raises :class:`ImageError` when the mask does not fit the picture or leaves nothing of it.
    """
    if missing.shape != picture.pixels.shape[-2:]:
        height, width = picture.pixels.shape[-2:]
        raise ImageError(
            f"the mask is {missing.shape[1]}×{missing.shape[0]} and the picture {width}×{height}; make them of one size"
        )
    if bool(missing.all()):
        raise ImageError("the mask covers the whole picture; leave something to fill it in from (white is missing)")
    return with_holes(picture, ~missing) if bool(missing.any()) else None


def missing_pixels(mask: Any) -> Tensor:
    """``H×W`` bool, true where a pixel is missing, of any mask that :func:`inpaint` takes."""
    if isinstance(mask, Tensor):
        check_dense(mask, "the mask")
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
        mask = torch.from_numpy(mask)
    if isinstance(mask, Tensor) and mask.dtype == torch.bool:
        if mask.ndim != 2:
            raise ImageError(f"a mask of bools is H×W, got {tuple(mask.shape)}")
        return mask.cpu()
    if isinstance(mask, np.ndarray | Tensor) and _is_of_ones(mask):
        mask = mask.astype(np.uint8) if isinstance(mask, np.ndarray) else mask.to(torch.uint8)
    shades = take_picture(mask).pixels.mean(dim=0)
    brightest = float(shades.max())
    for largest in (255, 65535):
        if math.isclose(brightest, 1 / largest, rel_tol=1e-5) and not _is_of_floats(mask):
            return shades >= 0.5 / largest  # of zeros and ones, as bools are
    if 0 < brightest < 0.5:
        raise ImageError(
            f"the brightest shade of the mask is {brightest:.3g}, where 1 is white, so it marks nothing; make what is "
            "missing white (255 of 8 bits, 65535 of 16), or give zeros and ones, or bools"
        )
    return shades >= 0.5


def _is_of_floats(mask: Any) -> bool:
    return (isinstance(mask, np.ndarray) and mask.dtype.kind == "f") or (
        isinstance(mask, Tensor) and mask.dtype.is_floating_point
    )


def _is_of_ones(mask: Any) -> bool:
    """Whether an array or tensor of any integers holds zeros and ones only."""
    if _is_of_floats(mask) or 0 in mask.shape or (isinstance(mask, np.ndarray) and mask.dtype.kind not in "iu"):
        return False
    values = mask.to(torch.int64) if isinstance(mask, Tensor) else mask
    return bool(((values == 0) | (values == 1)).all())


def stop_for(sigma: float | None, stop: str | StopRule | None) -> str | StopRule | None:
    """The rule for noise of ``sigma`` 8-bit steps; ``stop`` itself where that is not known."""
    if sigma is None:
        return stop
    if not 0 < real(sigma, "sigma") < 255:
        raise OptionError(f"sigma is in 8-bit steps, above 0 and under 255, got {sigma}")
    if stop is not None:
        raise OptionError("sigma says when to stop; give sigma or stop, not both")
    return f"discrepancy:{CLOSER + 20 * (math.log10(255) - math.log10(sigma)):.4f}"
