"""Noise of a known strength taken out by thresholding: quick, in batches, on any device, and no package is needed."""

import math
from functools import cache

import torch
from torch import Size, Tensor
from torch.nn import functional as F

SIDE, STRIDE = 8, 2
"""Of the patches, in pixels, and from one to the next. The first begin ``SIDE - 1`` before the image, so every pixel is
in as many. One pixel later all would be as good for the eye, but ``lite0``, whose first convolution takes every second
pixel, is right three times in a hundred less often.
"""
THRESHOLD = (2.3, 3.0, 3.0)
"""In standard deviations of the noise, for brightness and the two colours of :data:`OPPONENT`: chosen on
``imagenet-dev`` by how often ``lite0`` is right afterwards."""
FOR_THE_EYE = 2.7
"""The same, by what is nearest to the image."""
WIENER_SIDE, WIENER_STRIDE = 12, 3
"""Of the patches of the second step: larger ones are nearer, and take longer."""
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
    some = 1 if noisy.device.type == "cpu" else 16  # one image's patches stay in the processor's cache
    done = []
    with torch.autocast(noisy.device.type, enabled=False):  # a host's autocast is not ours
        mixing = _opponent().to(noisy)
        for images in noisy.split(some):
            planes = torch.einsum("ij,njhw->inhw", mixing, images)
            made = [_plane(plane, by * sigma) for plane, by in zip(planes, THRESHOLD, strict=True)]
            done.append(torch.einsum("ij,inhw->njhw", mixing, torch.stack(made)))
    return torch.cat(done)


def wiener_filtered(planes: Tensor, sigma: float) -> Tensor:
    """``N×H×W`` values without their white noise, for the eye: what thresholding leaves tells how much of each
    coefficient is image, and so how much of it to keep (empirical Wiener filter: Ghael, Sayeed and Baraniuk 1997,
    doi:10.1117/12.292799; as the second step in Dabov et al. 2007).
    """
    with torch.autocast(planes.device.type, enabled=False):
        first = _plane(planes, FOR_THE_EYE * sigma)
        coefficients, wide = _coefficients(planes, WIENER_SIDE, WIENER_STRIDE)
        power = _coefficients(first, WIENER_SIDE, WIENER_STRIDE)[0].square_()
        gains = power.div_(power + sigma**2)
        gains[:, 0] = 1  # the mean
        weights = gains.square().sum(dim=1, keepdim=True).reciprocal_()
        return _joined(coefficients.mul_(gains), weights, wide, WIENER_SIDE, WIENER_STRIDE, planes.shape[-2:])


def _plane(plane: Tensor, threshold: float) -> Tensor:
    """``N×H×W`` values."""
    coefficients, wide = _coefficients(plane, SIDE, STRIDE)
    kept = coefficients.abs() > threshold
    kept[:, 0] = True  # the mean
    weights = kept.sum(dim=1, keepdim=True, dtype=plane.dtype).reciprocal_()
    return _joined(coefficients.mul_(kept), weights, wide, SIDE, STRIDE, plane.shape[-2:])


def _coefficients(plane: Tensor, side: int, stride: int) -> tuple[Tensor, Size]:
    """``N×side²×P`` of ``P`` patches, and the size of the planes that these cover."""
    before = side - 1
    after = [before + (side - length - 2 * before) % stride for length in plane.shape[-2:]]
    mode = "reflect" if min(plane.shape[-2:]) > max(after) else "replicate"
    wide = F.pad(plane[:, None], (before, after[1], before, after[0]), mode=mode)
    return _cosines(side).to(plane) @ F.unfold(wide, side, stride=stride), wide.shape[-2:]


def _joined(coefficients: Tensor, weights: Tensor, wide: Size, side: int, stride: int, size: Size) -> Tensor:
    """``N×H×W`` planes of ``size``, every patch weighing as much as ``weights`` say."""
    patches = _cosines(side).to(coefficients).T @ coefficients.mul_(weights)
    across = [(length - side) // stride + 1 for length in wide]
    total = F.fold(patches, wide, side, stride=stride)
    ones = patches.new_ones(1, 1, side, side)
    share = F.conv_transpose2d(weights.view(-1, 1, *across), ones, stride=stride)
    return (total / share)[:, 0, side - 1 :, side - 1 :][:, : size[0], : size[1]]


@cache
def _cosines(side: int) -> Tensor:
    """Rows are the patches of the orthonormal two-dimensional cosine transform (DCT-II)."""
    with torch.inference_mode(False):  # what is kept must not be born in it
        at = torch.arange(side, dtype=torch.float64, device="cpu")
        rows = torch.cos(math.pi * (2 * at + 1) * at[:, None] / (2 * side)) * math.sqrt(2 / side)
        rows[0] /= math.sqrt(2)
        return torch.kron(rows, rows)


@cache
def _opponent() -> Tensor:
    with torch.inference_mode(False):
        rows = torch.tensor(OPPONENT, dtype=torch.float64, device="cpu")
        mixing: Tensor = rows / rows.norm(dim=1, keepdim=True)
        return mixing
