"""Fresh noise for every iteration, at the price of a copy."""

import torch
from torch import Tensor


class Jitter:
    """Gaussian noise for one picture's input, another one each time.

    It is cut out of one long row of numbers, at a place drawn anew, which costs a copy where drawing all numbers anew
    would cost ten to twenty times that. What is cut twice lies elsewhere on the input each time.
    """

    def __init__(self, like: Tensor, strength: float, seed: int) -> None:
        """For an input like ``like`` (``C×H×W``): its type and device. ``strength`` is the standard deviation."""
        channels, height, width = like.shape
        self._shape, self._size = (height, width, channels), like.numel()
        self._random = torch.Generator("cpu").manual_seed(seed + 1)  # the generator's weights have the seed itself
        # Drawn on the CPU, so that every device sees the same; at least two different places even for a tiny input.
        row = torch.randn(2 * self._size + 1, generator=self._random, dtype=torch.float32, device="cpu")
        self._row = row.mul_(strength).to(like.device, like.dtype)

    def next(self) -> Tensor:
        """``C×H×W``, a view in channels-last order, which is a single picture's own."""
        place = int(torch.randint(self._size + 2, (), generator=self._random, device="cpu"))
        return self._row[place : place + self._size].view(self._shape).permute(2, 0, 1)
