"""Single damaged pixels, as salt-and-pepper noise leaves them: found, and repaired from their neighbours."""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

SPECK = 0.3
"""By how much a pixel is brighter or darker than all its neighbours when it counts as a speck, on ``[0, 1]``."""
_AROUND = [(row, column) for row, column in product(range(3), range(3)) if (row, column) != (1, 1)]
"""A pixel's eight neighbours, from the corner of the square around it."""


def find_specks(pixels: Tensor) -> Tensor:
    """``H×W``: by how much each pixel of ``3×H×W`` sticks out from all eight neighbours in every channel."""
    height, width = pixels.shape[-2:]
    padded = _padded(pixels)
    brighter = torch.full_like(pixels[0], torch.inf)
    darker = brighter.clone()
    for row, column in _AROUND:  # one neighbour at a time: a large image is not held nine times
        more = pixels - padded[:, row : row + height, column : column + width]
        brighter = torch.minimum(brighter, more.amin(dim=0))
        darker = torch.minimum(darker, (-more).amin(dim=0))
    return torch.maximum(brighter, darker)


def repair_specks(pixels: Tensor) -> Tensor:
    """``3×H×W`` with every speck replaced by the median of its neighbours (switching median filter: Sun & Neuvo 1994,
    https://doi.org/10.1016/0167-8655(94)90082-5). An image without specks comes back as it is.
    """
    rows, columns = (find_specks(pixels) > SPECK).nonzero(as_tuple=True)
    if not len(rows):
        return pixels
    padded, repaired = _padded(pixels), pixels.clone()
    neighbours = torch.stack([padded[:, rows + row, columns + column] for row, column in _AROUND])
    repaired[:, rows, columns] = neighbours.median(dim=0).values
    return repaired


def _padded(pixels: Tensor) -> Tensor:
    return F.pad(pixels[None], (1, 1, 1, 1), mode="replicate")[0]
