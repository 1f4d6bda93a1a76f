"""What is restored: known images, damaged in a way that anyone can repeat."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from deep_protection.images import as_image, to_pillow

SIGMA, QUALITY, FACTOR = 25, 10, 4
CROPPED = ("DIP/F16_GT.png", "Set14/monarch.png", "Set14/lenna.png", "Set14/zebra.png")
"""Images whose middles are restored by the slow peers too."""
MASKED = "DIP/kate.png"
"""The image with a text mask beside it, which is laid over the others too. The paper's other two masks cover a thing
that is to go: what would be right in its place, nobody knows."""
TASKS = ("denoise", "dejpeg", "upscale", "inpaint")


@dataclass(frozen=True, slots=True)
class Case:
    """One damaged image."""

    task: str
    name: str
    truth: Tensor
    """``3×H×W`` in ``[0, 1]``."""
    seen: Tensor
    """What is left of it, ``3×h×w``."""
    strength: float = 10
    """Standard deviation of what is taken for noise, in 8-bit steps."""
    mask: Tensor | None = None
    """``H×W`` bool: what is missing."""

    def see(self, image: Tensor) -> Tensor:
        """What would be seen of another image ``1×3×H×W``, as the published notebooks suppose."""
        if self.mask is not None:
            return image * ~self.mask
        return shrunk(image, FACTOR) if self.task == "upscale" else image


def cases(folder: Path, tasks: list[str], side: int | None, sigma: float = SIGMA) -> list[Case]:
    """Middles of ``side`` px of a few images, or all images whole for None; noise of ``sigma`` 8-bit steps."""
    found = []
    for task in tasks:
        names = CROPPED if side else whole_names(folder)
        if task == "inpaint":
            names = (MASKED, *CROPPED) if side else (MASKED,)
        found += [_case(folder, task, name, side, sigma) for name in names]
    return found


def whole_names(folder: Path) -> tuple[str, ...]:
    """Set14 and the paper's F16, by name."""
    return (*(f"Set14/{path.name}" for path in sorted((folder / "Set14").glob("*.png"))), "DIP/F16_GT.png")


def _case(folder: Path, task: str, name: str, side: int | None, sigma: float) -> Case:
    cut = _middle(side)
    truth = cut(as_image(folder / name).pixels)
    if task == "inpaint":
        path = folder / MASKED
        known = cut(as_image(path.with_name(f"{path.stem}_mask.png")).pixels)
        missing = known[0] < 0.5
        return Case(task, name, truth, truth * ~missing, mask=missing)
    damage: dict[str, Callable[[Tensor], Tensor]] = {
        "denoise": partial(noisy, sigma=sigma),
        "dejpeg": compressed,
        "upscale": made_small,
    }
    return Case(task, name, truth, damage[task](truth), sigma if task == "denoise" else 10)


def _middle(side: int | None) -> Callable[[Tensor], Tensor]:
    """Cuts out a square, or to sides that are multiples of 4, which every factor divides."""

    def cut(pixels: Tensor) -> Tensor:
        height, width = pixels.shape[-2:]
        rows, columns = (side, side) if side else (height - height % FACTOR, width - width % FACTOR)
        top, left = (height - rows) // 2, (width - columns) // 2
        return pixels[:, top : top + rows, left : left + columns].contiguous()

    return cut


def noisy(truth: Tensor, sigma: float = SIGMA) -> Tensor:
    """Gaussian noise, clipped, as the published notebook adds it."""
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    return (truth + sigma / 255 * noise).clamp(0, 1)


def compressed(truth: Tensor) -> Tensor:
    """Through JPEG of quality 10, colour at half resolution."""
    buffer = BytesIO()
    to_pillow(truth).save(buffer, format="JPEG", quality=QUALITY)
    return as_image(buffer.getvalue()).pixels


def made_small(truth: Tensor) -> Tensor:
    """A quarter of each side by Pillow's Lanczos filter, in 8 bits, as the published notebook makes it."""
    image = to_pillow(truth)
    size = (image.width // FACTOR, image.height // FACTOR)
    return as_image(image.resize(size, Image.Resampling.LANCZOS)).pixels


def shrunk(images: Tensor, factor: int) -> Tensor:
    """The published downsampler: a Lanczos window of two lobes, centred between pixels, mirrored at the border."""
    width = 4 * factor
    place = (torch.arange(width, dtype=torch.float32) + 0.5 - width / 2) / factor
    line = torch.sinc(place) * torch.sinc(place / 2)
    kernel = torch.outer(line, line)
    kernel = (kernel / kernel.sum()).expand(3, 1, -1, -1)
    margin = (width - factor) // 2
    return F.conv2d(F.pad(images, (margin,) * 4, mode="reflect"), kernel, stride=factor, groups=3)
