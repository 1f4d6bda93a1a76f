"""Large images in overlapping tiles, joined so that no seam shows.

Memory of a fit grows with the pixels fitted at once, so an image of any size is cut into tiles of bounded size, each
fitted on its own with a seed of its own. Where tiles overlap, their pixels are averaged with weights that fall
linearly towards each tile's edge.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of an image, in pixels; ``bottom`` and ``right`` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, pixels: Tensor) -> Tensor:
        """A view of this rectangle of ``C×H×W`` pixels."""
        return pixels[..., self.top : self.bottom, self.left : self.right]

    def enlarged(self, factor: int) -> "Tile":
        """The same rectangle of an image ``factor`` times as long on each side."""
        return Tile(*(factor * edge for edge in (self.top, self.bottom, self.left, self.right)))


def cut_tiles(height: int, width: int, tile: int, overlap: int) -> list[Tile]:
    """Tiles no larger than ``tile`` on a side that cover the image, neighbours sharing at least ``overlap`` px."""
    return [
        Tile(top, bottom, left, right)
        for top, bottom in _spans(height, tile, overlap)
        for left, right in _spans(width, tile, overlap)
    ]


def _spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    if length <= tile:
        return [(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    # No longer than so many tiles need to be, or most pixels of an image just over a tile would be fitted twice.
    tile = -(-(length + (count - 1) * overlap) // count)
    starts = [round(index * (length - tile) / (count - 1)) for index in range(count)]
    return [(start, start + tile) for start in starts]


class TileBlender:
    """Blends restored tiles into one image."""

    def __init__(self, height: int, width: int, overlap: int, device: torch.device | str = "cpu") -> None:
        self._sum = torch.zeros(3, height, width, dtype=torch.float32, device=device)
        self._weight = torch.zeros(1, height, width, dtype=torch.float32, device=device)
        self._overlap = overlap

    def add(self, tile: Tile, pixels: Tensor, share: float = 1.0) -> None:
        """Lay ``3×h×w`` restored pixels where ``tile`` was cut; they weigh ``share`` of what is laid there."""
        weight = share * _weight(tile, self._overlap).to(self._sum.device)
        tile.of(self._sum).add_(pixels * weight)
        tile.of(self._weight).add_(weight)

    def finish(self) -> Tensor:
        """The image, ``3×H×W``, made of the sums themselves: nothing can be added any more."""
        self._sum.div_(self._weight)
        del self._weight
        return self._sum


class Patches:
    """The same where only some pixels are wanted: memory is that of these."""

    def __init__(self, wanted: Tensor, overlap: int) -> None:
        self._wanted, self._overlap = wanted, overlap
        count = int(wanted.sum())
        self._place = torch.full(wanted.shape, -1, dtype=torch.int32, device="cpu")
        self._place[wanted] = torch.arange(count, dtype=torch.int32, device="cpu")
        self._sum = torch.zeros(3, count, dtype=torch.float32, device="cpu")
        self._weight = torch.zeros(1, count, dtype=torch.float32, device="cpu")

    def add(self, tile: Tile, pixels: Tensor) -> None:
        """Lay ``3×h×w`` pixels where ``tile`` was cut."""
        inside = tile.of(self._wanted)
        places = tile.of(self._place)[inside].long()
        weight = _weight(tile, self._overlap)[inside]
        self._sum[:, places] += pixels[:, inside] * weight
        self._weight[:, places] += weight

    def finish(self) -> Tensor:
        """``3×N``, in the order of a mask's pixels."""
        return self._sum.div_(self._weight)


def _weight(tile: Tile, overlap: int) -> Tensor:
    return _ramp(tile.bottom - tile.top, overlap)[:, None] * _ramp(tile.right - tile.left, overlap)


def _ramp(length: int, overlap: int) -> Tensor:
    """Weights that rise from the edge to one over ``overlap`` px; never zero, so that the image's border counts."""
    distance = torch.arange(1, length + 1, dtype=torch.float32, device="cpu")
    return torch.minimum(distance, distance.flip(0)).clamp(max=overlap) / overlap
