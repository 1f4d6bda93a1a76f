"""Pictures of floats with holes: what lies under a mask may be no pixels at all, such as NaN."""

from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor


def without_missing(image: Any, missing: Tensor) -> Any:
    """An array, tensor or Pillow image of floats, black where ``missing`` (``H×W`` bool) is true; alpha stays.

    Others, and those of another size, as they are.
    """
    if isinstance(image, Image.Image):
        if image.mode != "F" or image.size != (missing.shape[1], missing.shape[0]):
            return image
        made = Image.fromarray(np.where(missing.numpy(), np.float32(0), np.array(image)))
        made.info = image.info
        return made
    if isinstance(image, np.ndarray):
        if image.dtype.kind != "f" or image.ndim not in (2, 3) or image.shape[:2] != tuple(missing.shape):
            return image
        array = image.copy()
        (array[..., :3] if array.ndim == 3 else array)[missing.numpy()] = 0
        return array
    if isinstance(image, Tensor):
        if not image.dtype.is_floating_point or image.ndim not in (2, 3) or image.shape[-2:] != missing.shape:
            return image
        tensor = image.detach().clone()
        (tensor[:3] if tensor.ndim == 3 else tensor).masked_fill_(missing.to(tensor.device), 0)
        return tensor
    return image
