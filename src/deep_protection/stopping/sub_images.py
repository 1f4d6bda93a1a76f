"""Two halves of the output's pixels: alike while the image is drawn, unlike when noise is."""

from typing import ClassVar

import torch
from torch.nn import functional as F

from deep_protection.stopping.early_stopping import EarlyStopping
from deep_protection.stopping.trajectory import Trajectory

DIAGONALS = torch.tensor([[[[0.5, 0.0], [0.0, 0.5]]], [[[0.0, 0.5], [0.5, 0.0]]]], dtype=torch.float32, device="cpu")


class SubImages(EarlyStopping):
    """``esm``: mean squared distance of the means along both diagonals of every 2×2 pixels of the output.

    After Cheng, Xu & Tao, IEEE Signal Processing Letters 32:1925, 2025, of which only the abstract was at hand: split
    the output into two sub-images, stop when their distance stops falling. The split is Noise2Fast's and Zero-Shot
    Noise2Noise's (Mansour & Heckel 2023, arXiv:2303.11253).
    """

    name: ClassVar[str] = "esm"
    minimum_of: ClassVar[str] = "distance of two sub-images"

    def measure(self, trajectory: Trajectory) -> float | None:
        output = trajectory.latest_output
        if min(output.shape[-2:]) < 2:
            return None
        halves = F.conv2d(output[:, None], DIAGONALS.to(output), stride=2)
        return (halves[:, 0] - halves[:, 1]).square().mean().item()
