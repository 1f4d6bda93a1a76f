"""``deep-protection denoise``, ``dejpeg``, ``inpaint`` and ``upscale``: what `purify` does, for other damage."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from deep_protection.cli import options
from deep_protection.cli.batch import Missing, Prepare, restore_all, whole
from deep_protection.cli.masks import Masks
from deep_protection.cli.plan import plan
from deep_protection.restoration import (
    DEJPEG,
    DENOISE,
    INPAINT,
    UPSCALE,
    Preset,
    check_factor,
    check_sigma,
    enlargeable,
    find_device,
    with_blocks,
    with_fits,
    with_noise,
)


def denoise_command(
    inputs: options.Images,
    output: options.Output,
    sigma: Annotated[
        float | None,
        typer.Option(help="Standard deviation of the noise in 8-bit steps. Default: estimated from each image."),
    ] = None,
    stop: options.Stop = None,
    fits: options.Fits = None,
    seconds: options.Seconds = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Take noise out of images. Files, folders and results are treated as `purify` treats them."""
    check_sigma(sigma)
    noisy = partial(with_noise, sigma=sigma)
    return _restored(
        DENOISE, inputs, output, stop, fits, seconds, seed, device, workers, overwrite, as_json, quiet, noisy
    )


def dejpeg_command(
    inputs: options.Images,
    output: options.Output,
    stop: options.Stop = None,
    fits: options.Fits = None,
    seconds: options.Seconds = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Take the blocks of strong JPEG compression out of images. Write PNG, or new blocks come with the result."""
    return _restored(
        DEJPEG, inputs, output, stop, fits, seconds, seed, device, workers, overwrite, as_json, quiet, with_blocks
    )


def inpaint_command(
    inputs: options.Images,
    output: options.Output,
    mask: Annotated[
        Path,
        typer.Option(
            help="An image, white where something is missing; or a folder with one for every image, of its name.",
            show_default=False,
        ),
    ],
    stop: options.Stop = None,
    fits: options.Fits = None,
    seconds: options.Seconds = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Fill holes in images; what the mask leaves black comes back as it was.

    In a folder of masks, photo.jpg may have photo.jpg or photo.png. An image whose mask is all black is written as it
    is.
    """
    missing = Masks(mask).of
    return _restored(
        INPAINT, inputs, output, stop, fits, seconds, seed, device, workers, overwrite, as_json, quiet, missing=missing
    )


def upscale_command(
    inputs: options.Images,
    output: options.Output,
    factor: Annotated[int, typer.Option(help="2 or 4: how many times as long the sides become.")] = 4,
    stop: options.Stop = None,
    fits: options.Fits = None,
    seconds: options.Seconds = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Draw images larger. What is drawn is plausible, not known: made small again it is the image given."""
    check_factor(factor)
    small = partial(enlargeable, factor=factor)
    return _restored(
        UPSCALE, inputs, output, stop, fits, seconds, seed, device, workers, overwrite, as_json, quiet, small
    )


def _restored(
    preset: Preset,
    inputs: list[str],
    output: str,
    stop: str | None,
    fits: int | None,
    seconds: float | None,
    seed: int,
    device: str,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    prepare: Prepare = whole,
    missing: Missing | None = None,
) -> int:
    settings = with_fits(preset, fits, stop)
    return restore_all(
        plan(inputs, output, as_json=as_json),
        settings,
        settings.rule(stop),
        seed=seed,
        device=find_device(device),
        workers=workers,
        overwrite=overwrite,
        as_json=as_json,
        quiet=quiet,
        seconds=seconds,
        prepare=prepare,
        missing=missing,
    )
