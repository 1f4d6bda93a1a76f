"""Pictures drawn larger than they were seen: fitted so that what is drawn, made small again, is what was seen."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from deep_protection.arguments import whole
from deep_protection.errors import OptionError
from deep_protection.fitting import Downsampling, ProgressCallback
from deep_protection.images import Picture, check_side, check_size, take
from deep_protection.purification import Seen, joined, purify_each
from deep_protection.restoration.presets import UPSCALE, with_fits
from deep_protection.stopping import StopRule

FACTORS = (2, 4)
PROJECTIONS = 5


def upscale(
    image: Any,
    factor: int = 4,
    *,
    stop: str | StopRule | None = None,
    fits: int | None = None,
    seed: int | None = 0,
    device: str | torch.device = "auto",
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Any:
    """Draw a picture, a list of pictures or a batch ``factor`` times as long on each side; the same type comes back.

    What it draws is plausible, not known: made small again it is the picture that was given, and so are many others.

    Args:
        image: as for :func:`deep_protection.purify`.
        factor: 2 or 4.
        stop: when to end a fit; None takes a fixed count.
        fits: fits of different seeds that are averaged; more are better and slower.
        seed: as for :func:`deep_protection.purify`, and so are the others that follow.
        device: where the fit runs.
        workers: pictures fitted at once on the CPU.
        progress: called with a :class:`Progress`.
        is_cancelled: asked at every iteration.

    Raises:
        ImageError: a picture cannot be used, or would be too large. OutputError: it would be too long for the
        format of its bytes. OptionError: an argument cannot be used. Nothing is fitted then.
    """
    taken = take(image)
    seen = [enlargeable(picture, factor) for picture in taken.pictures]
    results = purify_each(
        seen,
        total=len(seen),
        preset=with_fits(UPSCALE, fits),
        stop=stop,
        seed=seed,
        device=device,
        workers=workers,
        progress=progress,
        is_cancelled=is_cancelled,
    )
    return joined(taken, results)


def check_factor(factor: int) -> None:
    """Raise :class:`OptionError` for a factor that is not offered."""
    if whole(factor, "factor") not in FACTORS:
        raise OptionError(f"factor must be 2 or 4, got {factor!r}")


def enlargeable(picture: Picture, factor: int) -> Seen:
    """The picture as what was seen of one ``factor`` times as long on each side.

    Raises :class:`ImageError` and :class:`OutputError` when the larger one would be too large.
    """
    check_factor(factor)
    height, width = picture.pixels.shape[-2:]
    check_size(factor * width, factor * height, f"the picture, {factor} times as large,")
    if picture.written_as is not None:
        check_side(picture.written_as, factor * width, factor * height)
    shrunk, shown = Downsampling(factor), picture.target

    def rebuild(pixels: Tensor) -> Any:
        return picture.rebuild(projected(pixels, shown, shrunk))

    return Seen(shown, rebuild, picture.notes, lost=partial(_same, shrunk), factor=factor)


def _same(shrunk: Downsampling, _: object) -> Downsampling:
    return shrunk


def projected(drawn: Tensor, seen: Tensor, shrunk: Downsampling) -> Tensor:
    """``drawn`` (``3×H×W``) with what it still lacks of ``seen`` spread over it: back-projection (Irani & Peleg 1991).

    A fit that is ended early, and a mean of fits, is a little off what was seen.
    """
    for _ in range(PROJECTIONS):
        drawn = drawn + shrunk.enlarged(seen - shrunk(drawn[None])[0])
    return drawn.clamp(0, 1)
