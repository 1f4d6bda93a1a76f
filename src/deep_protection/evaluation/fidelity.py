"""What is left of an image's small structure, which PSNR and SSIM hardly see."""

from torch import Tensor
from torch.nn import functional as F

SIDE = 5
"""Small is what a mean over so many pixels a side takes away."""


def detail_kept(output: Tensor, clean: Tensor) -> float:
    """The share of ``clean``'s small structure that is in ``output`` too, both ``3×H×W`` in ``[0, 1]``.

    Small structure is the grey image less its local mean; what is counted is its projection on that of ``clean``:
    1 where all is there, 0 where none is. Noise, which resembles nothing in ``clean``, adds nothing.
    """
    kept, whole = _detail(output), _detail(clean)
    energy = (whole * whole).sum().item()
    return (kept * whole).sum().item() / energy if energy > 0 else 1.0


def _detail(image: Tensor) -> Tensor:
    grey = image.mean(dim=0)[None]
    margin = SIDE // 2
    around = F.avg_pool2d(F.pad(grey, (margin,) * 4, mode="replicate"), SIDE, stride=1)
    return grey - around
