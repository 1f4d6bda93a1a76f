"""Restoring what is not an attack: each is :func:`deep_protection.purify` with settings of its own."""

from collections.abc import Sequence
from typing import Any, Literal, Unpack, overload

from PIL import Image

from deep_protection.images import ImageBatch, ImageRecord, as_batch, as_image
from deep_protection.restoration._purify import (
    Details,
    ImageFile,
    ImageLike,
    InMemory,
    finished,
    purify_each,
)
from deep_protection.restoration.mask import missing_pixels
from deep_protection.restoration.observation import enlargeable, with_blocks, with_holes, with_missing, with_noise
from deep_protection.restoration.options import FitKeywords, FitOptions
from deep_protection.restoration.presets import DEJPEG, DENOISE, INPAINT, UPSCALE, Preset, with_fits
from deep_protection.restoration.result import Purified
from deep_protection.stopping import StopRule


class TaskKeywords(FitKeywords, total=False):
    """What every task takes."""

    stop: str | StopRule | None
    fits: int | None


class DenoiseKeywords(TaskKeywords, total=False):
    """What :func:`denoise` takes."""

    sigma: float | None


@overload
def denoise(  # type: ignore[overload-overlap]  # a str is a sequence too
    image: ImageFile, *, return_details: Literal[False] = ..., **options: Unpack[DenoiseKeywords]
) -> Image.Image: ...
@overload
def denoise(
    image: InMemory, *, return_details: Literal[False] = ..., **options: Unpack[DenoiseKeywords]
) -> InMemory: ...
@overload
def denoise(
    image: Sequence[ImageLike], *, return_details: Literal[False] = ..., **options: Unpack[DenoiseKeywords]
) -> list[ImageLike]: ...
@overload
def denoise(
    image: ImageLike | Sequence[ImageLike], *, return_details: Literal[True], **options: Unpack[DenoiseKeywords]
) -> Details: ...
def denoise(
    image: ImageLike | Sequence[ImageLike],
    *,
    sigma: float | None = None,
    stop: str | StopRule | None = None,
    fits: int | None = None,
    return_details: bool = False,
    **options: Unpack[FitKeywords],
) -> object:
    """Take noise out of an image, a list of images or a batch; the same type and size come back.

    Classical filters do it: cosines of patches and non-local means, of brightness and colours apart. The prior adds
    next to nothing to them, so its image is averaged with theirs only where ``fits`` says so.

    Args:
        image: as for :func:`deep_protection.purify`.
        sigma: standard deviation of the noise in 8-bit steps (25 is strong); None estimates it from each image.
        stop: when to end a fit; None takes a fixed count. Who gives one wants fits.
        fits: fits of different seeds that are averaged with the filters' image; 0 leaves it to these. None plans: as
            many as help and are done in a minute, or in ``seconds``.
        return_details: give a :class:`deep_protection.Purified` (or a list of them) instead of the bare image.
        options: ``seed``, ``device``, ``seconds``, ``workers``, ``progress``, ``is_cancelled``: :class:`FitOptions`.

    Raises:
        ImageError: an image cannot be used. OptionError: an argument cannot. Nothing is fitted then.
    """
    batch = as_batch(image)
    noisy: list[ImageRecord] = [with_noise(each, sigma) for each in batch.records]
    seen = ImageBatch(noisy, batch.single, batch.collate)
    return _restore(seen, with_fits(DENOISE, fits, stop), stop, return_details, options)


@overload
def dejpeg(  # type: ignore[overload-overlap]  # a str is a sequence too
    image: ImageFile, *, return_details: Literal[False] = ..., **options: Unpack[TaskKeywords]
) -> Image.Image: ...
@overload
def dejpeg(image: InMemory, *, return_details: Literal[False] = ..., **options: Unpack[TaskKeywords]) -> InMemory: ...
@overload
def dejpeg(
    image: Sequence[ImageLike], *, return_details: Literal[False] = ..., **options: Unpack[TaskKeywords]
) -> list[ImageLike]: ...
@overload
def dejpeg(
    image: ImageLike | Sequence[ImageLike], *, return_details: Literal[True], **options: Unpack[TaskKeywords]
) -> Details: ...
def dejpeg(
    image: ImageLike | Sequence[ImageLike],
    *,
    stop: str | StopRule | None = None,
    fits: int | None = None,
    return_details: bool = False,
    **options: Unpack[FitKeywords],
) -> object:
    """Take the blocks and rings of strong JPEG compression out; arguments and result are those of :func:`denoise`.

    Where blocks lie and how coarsely they count is read from the image itself; filters that know it do better than the
    prior, which only takes part where ``fits`` says so.
    """
    batch = as_batch(image)
    blocky: list[ImageRecord] = [with_blocks(each) for each in batch.records]
    seen = ImageBatch(blocky, batch.single, batch.collate)
    return _restore(seen, with_fits(DEJPEG, fits, stop), stop, return_details, options)


@overload
def inpaint(
    image: ImageFile, mask: ImageLike, *, return_details: Literal[False] = ..., **options: Unpack[TaskKeywords]
) -> Image.Image: ...
@overload
def inpaint(
    image: InMemory, mask: ImageLike, *, return_details: Literal[False] = ..., **options: Unpack[TaskKeywords]
) -> InMemory: ...
@overload
def inpaint(
    image: ImageLike, mask: ImageLike, *, return_details: Literal[True], **options: Unpack[TaskKeywords]
) -> Purified: ...
def inpaint(
    image: ImageLike,
    mask: ImageLike,
    *,
    stop: str | StopRule | None = None,
    fits: int | None = None,
    return_details: bool = False,
    **options: Unpack[FitKeywords],
) -> object:
    """Fill the holes of one image; what is not masked comes back as it was.

    Args:
        image: one image, as for :func:`deep_protection.purify`.
        mask: what is missing: an ``H×W`` bool array or tensor, true where it is, or an image of the same size (a path,
            Pillow image, …), white where it is.
        stop: as for :func:`denoise`.
        fits: as for :func:`denoise`, and so are the others.
        return_details: as for :func:`denoise`.
        options: as for :func:`denoise`.

    Raises:
        ImageError: image or mask cannot be used, or do not fit together. OptionError: an argument cannot.
    """
    missing = missing_pixels(mask)
    record = as_image(image, missing)
    seen = with_missing(record, missing)
    if seen is None and not return_details:
        return record.to_original(record.pixels)
    holed = ImageBatch([seen or with_holes(record, ~missing)], single=True, collate=lambda parts: parts[0])
    return _restore(holed, with_fits(INPAINT, fits, stop), stop, return_details, options)


@overload
def upscale(  # type: ignore[overload-overlap]  # a str is a sequence too
    image: ImageFile, factor: int = ..., *, return_details: Literal[False] = ..., **options: Unpack[TaskKeywords]
) -> Image.Image: ...
@overload
def upscale(
    image: InMemory, factor: int = ..., *, return_details: Literal[False] = ..., **options: Unpack[TaskKeywords]
) -> InMemory: ...
@overload
def upscale(
    image: Sequence[ImageLike],
    factor: int = ...,
    *,
    return_details: Literal[False] = ...,
    **options: Unpack[TaskKeywords],
) -> list[ImageLike]: ...
@overload
def upscale(
    image: ImageLike | Sequence[ImageLike],
    factor: int = ...,
    *,
    return_details: Literal[True],
    **options: Unpack[TaskKeywords],
) -> Details: ...
def upscale(
    image: ImageLike | Sequence[ImageLike],
    factor: int = 4,
    *,
    stop: str | StopRule | None = None,
    fits: int | None = None,
    return_details: bool = False,
    **options: Unpack[FitKeywords],
) -> object:
    """Draw an image, a list of images or a batch ``factor`` times as long on each side; the same type comes back.

    What it draws is plausible, not known: made small again it is the image that was given, and so are many others.

    Args:
        image: as for :func:`deep_protection.purify`.
        factor: 2 or 4.
        stop: as for :func:`denoise`.
        fits: as for :func:`denoise`, and so are the others.
        return_details: as for :func:`denoise`.
        options: as for :func:`denoise`.

    Raises:
        ImageError: an image cannot be used, or would be too large. OutputError: it would be too long for the
        format of its bytes. OptionError: an argument cannot be used. Nothing is fitted then.
    """
    batch = as_batch(image)
    seen: list[ImageRecord] = [enlargeable(each, factor) for each in batch.records]
    larger = ImageBatch(seen, batch.single, batch.collate)
    return _restore(larger, with_fits(UPSCALE, fits, stop), stop, return_details, options)


def _restore(
    batch: ImageBatch, preset: Preset, stop: str | StopRule | None, return_details: bool, options: Any
) -> object:
    results = purify_each(batch.records, len(batch.records), preset, preset.rule(stop), FitOptions(**options))
    return finished(batch, results, return_details=return_details, stacklevel=4)
