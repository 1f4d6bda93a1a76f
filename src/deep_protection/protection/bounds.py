"""What a protected classifier takes for pixels, and what attacks show it on their way."""

import warnings

import torch
from torch import Tensor

from deep_protection.errors import ImageError, OptionError
from deep_protection.images import NEAR, ROUNDING, check_dense, check_unit_range
from deep_protection.protection.straight_through import straight_through

FAR = 0.1
"""How far outside ``[0, 1]`` an image's values may lie in the mean where a gradient is asked for; elsewhere it is
``NEAR`` at most. Attacks with momentum, and those that draw around an image, look a little outside; a normalised
photograph lies outside by 0.2 to 0.6 in the mean."""


def within_bounds(pixels: Tensor) -> Tensor:
    """``N×3×H×W`` floats, clamped to ``[0, 1]`` with the gradient of the identity where they are a little outside.

    That is said, as they may be normalised ones of a pale image; but where a gradient is asked for, an attack is on
    its way.

    Raises:
        ImageError: these are no such pixels.
    """
    if not isinstance(pixels, Tensor):
        raise ImageError(f"a protected classifier takes a tensor of N×3×H×W floats, got {type(pixels).__name__}")
    if pixels.ndim != 4 or pixels.shape[1] != 3 or not pixels.dtype.is_floating_point or 0 in pixels.shape[2:]:
        raise ImageError(
            f"a protected classifier takes N×3×H×W floats in [0, 1], got {pixels.dtype} of shape "
            f"{tuple(pixels.shape)}; use unsqueeze(0) for a single image"
        )
    check_dense(pixels, "the batch")
    values = pixels.detach()
    if not len(values):
        return pixels
    outside = torch.maximum(-values, values - 1).clamp(min=0).float().flatten(1)
    if _most(outside) <= ROUNDING:
        return pixels
    # Image by image: what becomes of one does not depend on its company.
    attacked = outside.mean(dim=1) <= FAR if pixels.requires_grad else outside.amax(dim=1) <= NEAR
    for image, is_attacked in zip(values, attacked.tolist(), strict=True):
        if not is_attacked:  # said here, as where nothing is fitted nobody else looks
            check_unit_range(image, "the batch")
    if not pixels.requires_grad:
        warnings.warn(
            f"pixels lie up to {_most(outside):.2g} outside [0, 1] and are clamped; if they are normalised, undo that "
            "first",
            stacklevel=4,
        )
    return straight_through(pixels, lambda given: given.clamp(0, 1))


def _most(outside: Tensor) -> float:
    try:
        return outside.max().item()
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        raise OptionError(
            "torch.func.vmap cannot go through a restoration, whose fit depends on what is in the image; give the "
            "images as one batch (torch.func.grad, vjp, jvp, jacrev and jacfwd work)"
        ) from error
