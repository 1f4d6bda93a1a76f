"""Masks: whatever a caller has, to where pixels are missing."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deep_protection.errors import ImageError
from deep_protection.images import as_image, check_dense


def missing_pixels(mask: Any) -> Tensor:
    """``H×W`` bool, true where a pixel is missing, of any mask that :func:`inpaint` takes."""
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
        if np.ma.is_masked(mask):
            raise ImageError("the mask has masked values itself; give mask.filled(True), or mask.filled(False)")
        mask = torch.from_numpy(np.array(mask))  # what may not be written to is no tensor
    if isinstance(mask, Tensor):
        check_dense(mask, "the mask")
    if isinstance(mask, Tensor) and mask.dtype == torch.bool:
        if mask.ndim != 2:
            raise ImageError(f"a mask of bools is H×W, got {tuple(mask.shape)}")
        return mask.cpu()
    if isinstance(mask, np.ndarray | Tensor) and _is_of_ones(mask):
        mask = mask.astype(np.uint8) if isinstance(mask, np.ndarray) else mask.to(torch.uint8)
    shades = as_image(mask).pixels.cpu().mean(dim=0)
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
    if isinstance(mask, Tensor) and mask.dtype.is_complex:
        return False
    values = mask.to(torch.int64) if isinstance(mask, Tensor) else mask
    return bool(((values == 0) | (values == 1)).all())
