"""Single damaged pixels, as salt-and-pepper noise leaves them: found, and repaired from their neighbours."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

SPECK = 0.3
"""By how much a pixel is brighter or darker than all its neighbours when it counts as a speck, on ``[0, 1]``."""


def find_specks(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """``H×W``: by how much each pixel of ``3×H×W`` sticks out from all eight neighbours in every channel; and
    ``3×H×W``: the median of those neighbours.
    """
    height, width = pixels.shape[-2:]
    padded = F.pad(pixels[None], (1, 1, 1, 1), mode="replicate")[0]
    neighbours = torch.stack(
        [
            padded[:, row : row + height, column : column + width]
            for row, column in product(range(3), range(3))
            if (row, column) != (1, 1)
        ]
    )
    brighter = (pixels - neighbours).amin(dim=(0, 1))
    darker = (neighbours - pixels).amin(dim=(0, 1))
    return torch.maximum(brighter, darker), neighbours.median(dim=0).values


def repair_specks(pixels: Tensor) -> Tensor:
    """``3×H×W`` with every speck replaced by the median of its neighbours (switching median filter: Sun & Neuvo 1994,
    https://doi.org/10.1016/0167-8655(94)90082-5). An image without specks comes back as it is.
    """
    found, median = find_specks(pixels)
    is_speck = found > SPECK
    return torch.where(is_speck, median, pixels) if bool(is_speck.any()) else pixels
