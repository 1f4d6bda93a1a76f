"""Noise of a known strength taken out by thresholding: quick, in batches, on any device, and no package is needed."""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE, STRIDE = 8, 2
"""Of the patches, in pixels, and from one to the next. The first begin ``SIDE - 1`` before the image, so every pixel is
in as many. One pixel later all would be as good for the eye, but ``lite0``, whose first convolution takes every second
pixel, is right three times in a hundred less often.
"""
THRESHOLD = (2.3, 3.0, 3.0)
"""In standard deviations of the noise, for brightness and the two colours of :data:`OPPONENT`: chosen on
``imagenet-dev`` by how often ``lite0`` is right afterwards. For the eye, 2.7 is better."""
OPPONENT = ((1, 1, 1), (1, 0, -1), (1, -2, 1))
"""Brightness, red against blue, green against both; of length one each, white noise is as strong in them as in the
colours. Pictures have little in the last two, so their noise is the easier to take out there."""


def thresholded(noisy: Tensor, sigma: float) -> Tensor:
    """Images without their white noise: every patch's cosine coefficients below a threshold are zeroed, and patches
    that overlap are averaged, those more that little is left of (Yu and Sapiro 2011, doi:10.5201/ipol.2011.ys-dct;
    weights as in Dabov et al. 2007, doi:10.1109/TIP.2007.901238).

    Args:
        noisy: ``N×3×H×W``; values below 0 and above 1 are as good as others.
        sigma: standard deviation of the noise, in the same unit.

    Returns:
        As many images of the same size, not clipped.
    """
    mixing = _opponent().to(noisy)
    some = 1 if noisy.device.type == "cpu" else 16  # one image's patches stay in the processor's cache
    done = []
    for images in noisy.split(some):
        planes = torch.einsum("ij,njhw->inhw", mixing, images)
        made = [_plane(plane, by * sigma) for plane, by in zip(planes, THRESHOLD, strict=True)]
        done.append(torch.einsum("ij,inhw->njhw", mixing, torch.stack(made)))
    return torch.cat(done)


def _plane(plane: Tensor, threshold: float) -> Tensor:
    """``N×H×W`` values."""
    height, width = plane.shape[-2:]
    before = SIDE - 1
    after = [before + (SIDE - side - 2 * before) % STRIDE for side in (height, width)]
    mode = "reflect" if min(height, width) > max(after) else "replicate"
    wide = F.pad(plane[:, None], (before, after[1], before, after[0]), mode=mode)
    basis = _cosines().to(plane)
    coefficients = basis @ F.unfold(wide, SIDE, stride=STRIDE)
    kept = coefficients.abs() > threshold
    kept[:, 0] = True  # the mean
    weights = kept.sum(dim=1, keepdim=True, dtype=plane.dtype).reciprocal_()
    patches = basis.T @ coefficients.mul_(kept).mul_(weights)
    across = [(side - SIDE) // STRIDE + 1 for side in wide.shape[-2:]]
    total = F.fold(patches, wide.shape[-2:], SIDE, stride=STRIDE)
    share = F.conv_transpose2d(weights.view(-1, 1, *across), plane.new_ones(1, 1, SIDE, SIDE), stride=STRIDE)
    return (total / share)[:, 0, before:, before:][:, :height, :width]


@cache
def _cosines() -> Tensor:
    """Rows are the patches of the orthonormal two-dimensional cosine transform (DCT-II)."""
    at = torch.arange(SIDE, dtype=torch.float64)
    rows = torch.cos(math.pi * (2 * at + 1) * at[:, None] / (2 * SIDE)) * math.sqrt(2 / SIDE)
    rows[0] /= math.sqrt(2)
    return torch.kron(rows, rows)


@cache
def _opponent() -> Tensor:
    rows = torch.tensor(OPPONENT, dtype=torch.float64)
    mixing: Tensor = rows / rows.norm(dim=1, keepdim=True)
    return mixing
