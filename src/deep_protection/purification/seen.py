"""Pictures of which something was lost before they were seen."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from deep_protection.fitting import ForwardOperator, Masking
from deep_protection.images import Picture
from deep_protection.purification.tiles import Tile
from deep_protection.stopping import psnr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen(Picture):
    """``pixels`` are what was seen; ``rebuild`` takes the whole picture."""

    lost: Callable[[Tile], ForwardOperator]
    """What lies between the whole picture and what was seen of it, for a tile of what was seen."""
    factor: int = 1
    """How many times as long the whole picture's sides are as those of what was seen."""


def lost_of(picture: Picture, tile: Tile) -> ForwardOperator | None:
    """What was lost of a tile of a picture; None where nothing was."""
    return picture.lost(tile) if isinstance(picture, Seen) else None


def factor_of(picture: Picture) -> int:
    """How many times as long the restored picture's sides will be."""
    return picture.factor if isinstance(picture, Seen) else 1


def psnr_to_seen(restored: Tensor, picture: Picture) -> float:
    """How close what would be seen of ``restored`` is to what was seen, in dB."""
    height, width = picture.pixels.shape[-2:]
    lost = lost_of(picture, Tile(0, height, 0, width))
    return psnr(restored if lost is None else lost(restored[None])[0], picture.target)


def with_holes(picture: Picture, known: Tensor) -> Seen:
    """The picture seen only where ``known`` (``H×W`` bool); there it comes back as it was."""
    shown = picture.target

    def rebuild(pixels: Tensor) -> object:
        return picture.rebuild(torch.where(known, shown, pixels))

    return Seen(shown * known, rebuild, picture.notes, lost=lambda tile: Masking(tile.of(known)))
