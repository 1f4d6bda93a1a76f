"""Images drawn here are damaged and restored by real fits, small and short: gains are asked for, not figures."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import Done, run
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

import deep_protection as dp
from deep_protection import ImageError, OptionError
from deep_protection.fitting import Downsampling
from deep_protection.images import as_image, to_pillow
from deep_protection.restoration import (
    DEJPEG,
    INPAINT,
    UPSCALE,
    FitOptions,
    enlargeable,
    missing_pixels,
    planned_fits,
    purify_each,
    with_blocks,
    with_missing,
)
from deep_protection.restoration.jpeg import compression_of
from deep_protection.stopping import noise_deviation, parse_stop, psnr


@pytest.fixture(scope="module")
def clean() -> Tensor:
    """Discs and bars on a slope of grey, ``3×64×64``."""
    image = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 8, 36, 36), fill=(200, 60, 40))
    pen.rectangle((30, 30, 56, 50), fill=(40, 90, 200))
    pen.line((4, 60, 60, 8), fill=(240, 230, 90), width=3)
    return as_image(image).pixels


def with_noise(clean: Tensor, sigma: float) -> Tensor:
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    return (clean + sigma / 255 * noise).clamp(0, 1)


@pytest.mark.parametrize("sigma", [25.0, 50.0])
def test_noise_goes_and_the_image_stays(clean: Tensor, sigma: float) -> None:
    noisy = with_noise(clean, sigma)
    restored = dp.denoise(noisy)
    assert restored.shape == noisy.shape
    assert psnr(restored, clean) > psnr(noisy, clean) + 5


def test_filters_take_out_more_than_the_one_that_everybody_has(photograph: Image.Image) -> None:
    from skimage.restoration import denoise_nl_means

    clean = as_image(photograph.resize((96, 96))).pixels
    noisy, sigma = with_noise(clean, 25), 25 / 255
    plain = denoise_nl_means(noisy.numpy(), patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, channel_axis=0)
    assert psnr(dp.denoise(noisy), clean) > psnr(torch.from_numpy(plain).float(), clean) + 0.5


def test_the_prior_has_its_share_where_it_is_asked_for(clean: Tensor) -> None:
    noisy = with_noise(clean, 25)
    alone, none, joined = (dp.denoise(noisy, fits=fits, return_details=True) for fits in (None, 0, 2))
    assert torch.equal(alone.image, none.image)
    assert (alone.fits, alone.iterations_run, joined.fits, len(joined.trajectories)) == (0, 0, 2, 2)
    assert "filters alone" in alone.stop_reason
    prior = sum(joined.restored_by_fit) / 2
    assert torch.allclose(joined.image, 0.9 * alone.image + 0.1 * prior, atol=1e-5)


def test_black_stays_black_under_noise_that_was_clipped() -> None:
    dark = torch.full((3, 64, 64), 0.02)
    dark[:, :, 32:] = 0.5
    restored = dp.denoise(with_noise(dark, 40), sigma=40)
    assert with_noise(dark, 40)[..., :28].mean() > 0.06  # noise makes it grey
    assert restored[..., :28].mean() == pytest.approx(0.02, abs=0.015)
    assert restored[..., 36:].mean() == pytest.approx(0.5, abs=0.01)


def test_grey_noise_is_one_noise_in_three_colours(clean: Tensor) -> None:
    grey = clean.mean(dim=0, keepdim=True)
    noisy = with_noise(grey, 25)
    known, estimated = dp.denoise(noisy, sigma=25), dp.denoise(noisy)
    assert min(psnr(known, grey), psnr(estimated, grey)) > psnr(noisy, grey) + 5


def test_a_clean_image_stays_as_it_is(photograph: Image.Image) -> None:
    smooth = as_image(photograph.resize((32, 32)).resize((96, 96), Image.Resampling.BICUBIC)).pixels
    assert psnr(dp.denoise(smooth), smooth) > 40


def test_a_known_noise_is_taken_at_its_word(clean: Tensor) -> None:
    noisy = with_noise(clean, 25)
    smooth, close = (dp.denoise(noisy, sigma=sigma) for sigma in (50.0, 12.0))
    assert psnr(smooth, noisy) < psnr(close, noisy)


def test_the_least_sigma_that_a_number_can_hold(clean: Tensor) -> None:
    assert dp.denoise(clean[..., :8, :8], sigma=5e-324, fits=1, seconds=0.5).isfinite().all()


@pytest.mark.parametrize("sigma", [5, 15, 30])
def test_noise_is_estimated(sigma: int) -> None:
    noisy = 0.5 + sigma / 255 * torch.randn(3, 128, 128, generator=torch.Generator().manual_seed(1))
    assert noise_deviation(noisy) * 255 == pytest.approx(sigma, rel=0.05)


def test_an_image_without_noise_or_pixels_to_compare_has_a_level_too() -> None:
    assert noise_deviation(torch.zeros(3, 1, 9)) == 0
    flat = np.full((16, 16, 3), 128, np.uint8)
    assert np.abs(dp.denoise(flat, stop="noise", fits=1).astype(int) - 128).max() <= 2


def test_the_rule_says_what_it_waits_for() -> None:
    assert repr(parse_stop("noise")) == "noise:0.2"
    assert repr(parse_stop("noise:0.5")) == "noise:0.5"
    with pytest.raises(OptionError, match="not a number"):
        parse_stop("noise:much")
    with pytest.raises(OptionError, match="decibels"):
        parse_stop("noise:nan")


@pytest.mark.parametrize("sigma", [0, -1, 255, float("nan")])
def test_a_wrong_sigma_is_refused(sigma: float) -> None:
    with pytest.raises(OptionError, match="8-bit steps"):
        dp.denoise(np.zeros((8, 8, 3), np.uint8), sigma=sigma)


def test_a_batch_is_its_images(clean: Tensor) -> None:
    batch = torch.stack([with_noise(clean, 25), with_noise(clean.flip(-1), 25)])
    together = dp.denoise(batch, stop="fixed:10", fits=2)
    alone = [dp.denoise(image, stop="fixed:10", fits=2) for image in batch]
    assert torch.equal(together, torch.stack(alone))


def test_blocks_of_jpeg_go(clean: Tensor) -> None:
    buffer = BytesIO()
    image = Image.fromarray((clean * 255).round().byte().permute(1, 2, 0).numpy())
    image.save(buffer, format="JPEG", quality=10)
    compressed = as_image(buffer.getvalue()).pixels
    as_given = dp.dejpeg(buffer.getvalue(), fits=1, stop="fixed:2")
    assert isinstance(as_given, bytes)
    assert psnr(dp.dejpeg(compressed), clean) > psnr(compressed, clean) + 0.3


@pytest.mark.parametrize("quality", [10, 35, 75])
@pytest.mark.parametrize("cut", [(0, 0), (3, 5)])
def test_compression_is_known_from_the_pixels(photograph: Image.Image, quality: int, cut: tuple[int, int]) -> None:
    image = photograph.resize((160, 144))
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    top, left = cut
    seen = as_image(buffer.getvalue()).pixels[:, top:, left:]
    found = compression_of(seen)
    assert found is not None
    assert abs(found.quality - quality) <= 1
    assert ((found.top + top) % 8, (found.left + left) % 8) == (0, 0)
    truth = as_image(image).pixels[:, top:, left:]
    assert psnr(dp.dejpeg(seen), truth) > psnr(seen, truth) + 0.2


def test_what_was_never_compressed_says_so(photograph: Image.Image) -> None:
    result = dp.dejpeg(as_image(photograph.resize((96, 96))).pixels, return_details=True)
    assert any("no trace of JPEG" in note for note in result.notes)
    with pytest.warns(UserWarning, match="no trace of JPEG"):
        dp.dejpeg(photograph.resize((96, 96)))


def test_tiles_of_a_compressed_image_know_where_its_blocks_lie(photograph: Image.Image) -> None:
    buffer = BytesIO()
    photograph.resize((112, 96)).save(buffer, format="JPEG", quality=20)
    seen = with_blocks(as_image(as_image(buffer.getvalue()).pixels))
    whole, tiled = (
        next(purify_each([seen], 1, preset, preset.rule(), FitOptions())).image
        for preset in (replace(DEJPEG, fits=0), replace(DEJPEG, fits=0, tile=70, overlap=40))
    )
    assert psnr(whole, tiled) > 45


@pytest.mark.parametrize("of", ["array", "tensor", "image"])
def test_holes_are_filled_and_the_rest_is_left_alone(clean: Tensor, of: str) -> None:
    image = (clean * 255).round().byte().permute(1, 2, 0).numpy()
    missing = np.zeros((64, 64), bool)
    missing[20:24] = missing[:, 40:43] = True
    damaged = np.where(missing[..., None], 255, image).astype(np.uint8)
    mask: Any = {"array": missing, "tensor": torch.from_numpy(missing), "image": Image.fromarray(missing)}[of]
    filled = dp.inpaint(damaged, mask)
    assert filled.dtype == np.uint8
    assert np.array_equal(filled[~missing], image[~missing])
    error = np.abs(filled[missing].astype(int) - image[missing]).mean()
    mean_colour = image[~missing].mean(axis=0)
    assert error < 0.6 * np.abs(image[missing] - mean_colour).mean()


def test_what_was_in_a_hole_does_not_matter(clean: Tensor) -> None:
    missing = torch.zeros(64, 64, dtype=torch.bool)
    missing[10:20, 10:20] = True
    black, white = (torch.where(missing, torch.tensor(value), clean) for value in (0.0, 1.0))
    assert torch.equal(*(dp.inpaint(each, missing, stop="fixed:5", fits=1) for each in (black, white)))


def test_without_holes_nothing_happens(clean: Tensor) -> None:
    assert torch.equal(dp.inpaint(clean, torch.zeros(64, 64, dtype=torch.bool)), clean)


ONES = np.zeros((24, 24), np.uint8)
ONES[8:12, 8:12] = 1
OF_ONES: dict[str, object] = {
    "uint8": ONES,
    "uint16": ONES.astype(np.uint16),
    "int64": ONES.astype(np.int64),
    "uint8 tensor": torch.from_numpy(ONES),
    "int64 tensor": torch.from_numpy(ONES).long(),
    "H×W×3": np.repeat(ONES[..., None], 3, axis=-1),
    "image": Image.fromarray(ONES),
    "16-bit image": Image.fromarray(ONES.astype(np.uint16)),
    "RGB image": Image.fromarray(ONES).convert("RGB"),
}


@pytest.mark.parametrize("of", OF_ONES)
def test_masks_of_zeros_and_ones_are_masks_of_bools(of: str) -> None:
    assert torch.equal(missing_pixels(OF_ONES[of]), torch.from_numpy(ONES.astype(bool)))


def test_a_mask_that_marks_nothing_says_so() -> None:
    palette = Image.fromarray(ONES, "L").convert("P")
    palette.putdata(ONES.ravel().tolist())
    palette.putpalette([0, 0, 0, 128, 0, 0])
    for dim in (palette, 100 * ONES, 255 * ONES.astype(np.uint16), 0.4 * ONES.astype(np.float32)):
        with pytest.raises(ImageError, match="marks nothing; make what is missing white"):
            missing_pixels(dim)
    assert not missing_pixels(0 * ONES).any()


@pytest.mark.parametrize("under", [np.nan, -9999.0])
@pytest.mark.parametrize("of", ["array", "tensor", "grey"])
def test_what_lies_under_a_mask_need_not_be_pixels(of: str, under: float) -> None:
    missing = ONES.astype(bool)
    whole = np.random.default_rng(0).random((24, 24, 3)).astype(np.float32)
    holed = np.where(missing[..., None], np.float32(under), whole)

    def given(values: NDArray[np.float32]) -> Any:
        return {"array": values, "tensor": torch.from_numpy(values).permute(2, 0, 1), "grey": values[..., 0]}[of]

    expected, found = (dp.inpaint(given(each), missing, stop="fixed:2", fits=1) for each in (whole, holed))
    assert np.array_equal(np.asarray(expected), np.asarray(found))
    with pytest.raises(ImageError):  # elsewhere it matters
        dp.inpaint(given(holed), ~missing, stop="fixed:2", fits=1)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda image: dp.upscale(image, 2.0), "factor"),  # type: ignore[call-overload]
        (lambda image: dp.upscale(image, True), "factor"),
        (lambda image: dp.denoise(image, fits=1.5), "fits"),  # type: ignore[call-overload]
        (lambda image: dp.dejpeg(image, fits="2"), "fits"),  # type: ignore[call-overload]
        (lambda image: dp.denoise(image, sigma="25"), "sigma"),  # type: ignore[call-overload]
        (lambda image: dp.purify(image, workers=1.0), "workers"),  # type: ignore[call-overload]
        (lambda image: dp.purify(image, seconds="5"), "seconds"),  # type: ignore[call-overload]
        (lambda image: dp.purify(image, seed="0"), "seed"),  # type: ignore[call-overload]
        (lambda image: dp.detect(image, false_positive_rate="0.05"), "rate"),  # type: ignore[call-overload]
    ],
)
def test_arguments_of_a_near_type_are_refused(call: Callable[[object], object], name: str) -> None:
    with pytest.raises(OptionError, match=rf"{name} must be a (whole )?number"):
        call(np.zeros((24, 24), np.uint8))


def test_numbers_of_numpy_are_numbers() -> None:
    grey = np.zeros((8, 8), np.uint8)
    assert dp.upscale(grey, np.int64(2), stop="fixed:1", fits=np.int32(1)).shape == (16, 16)  # type: ignore[call-overload]


def test_bytes_that_would_be_too_long_for_their_format_are_refused_before_the_fit() -> None:
    buffer = BytesIO()
    Image.new("RGB", (9000, 2)).save(buffer, "WEBP", lossless=True)
    with pytest.raises(dp.OutputError, match="holds at most 16383 px"):
        dp.upscale([np.zeros((8, 8), np.uint8), buffer.getvalue()], 2, progress=lambda _: pytest.fail("it was fitted"))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((8, 9), bool), "one size"),
        (np.ones((8, 8), bool), "whole image"),
        (torch.zeros(1, 8, 8, dtype=torch.bool), "H×W"),
        ("nowhere.png", "nowhere.png"),
    ],
    ids=["size", "all", "axes", "file"],
)
def test_a_mask_that_cannot_be_used_is_refused(mask: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        dp.inpaint(np.zeros((8, 8, 3), np.uint8), mask)


def test_the_commands_do_what_the_functions_do(clean: Tensor, tmp_path: Path) -> None:
    source, target = tmp_path / "noisy.png", tmp_path / "clean.png"
    to_pillow(with_noise(clean, 25)).save(source)
    done = command("denoise", source, "-o", target, "--stop", "fixed:5", "--fits", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["summary"]["restored"] == 1
    expected = dp.denoise(str(source), stop="fixed:5", fits=2)
    assert np.array_equal(np.asarray(Image.open(target)), np.asarray(expected))


@pytest.mark.campaign
def test_a_folder_goes_through_dejpeg_and_is_skipped_the_next_time(clean: Tensor, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    to_pillow(clean).save(tmp_path / "in" / "a.jpg", quality=10)
    to_pillow(clean).save(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "c.png").write_bytes(b"not an image")
    arguments = ("dejpeg", tmp_path / "in", "-o", tmp_path / "out", "--stop", "fixed:2", "--fits", "1", "--json")
    first, second = command(*arguments), command(*arguments)
    assert first.returncode == second.returncode == 1
    assert "c.png" in first.stderr.decode()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.png"]
    assert json.loads(first.stdout)["summary"] == {"restored": 2, "left": 0, "skipped": 0, "failed": 1}
    assert json.loads(second.stdout)["summary"] == {"restored": 0, "left": 0, "skipped": 2, "failed": 1}


@pytest.mark.parametrize("factor", [2, 4])
def test_an_image_is_made_small_as_pillow_does_it(photograph: Image.Image, factor: int) -> None:
    image = photograph.resize((64, 48))
    small = as_image(image.resize((64 // factor, 48 // factor), Image.Resampling.LANCZOS)).pixels
    made = Downsampling(factor)(as_image(image).pixels[None])[0].clamp(0, 1)
    assert (made - small).abs().mean() * 255 < 0.5


def test_what_is_drawn_larger_is_what_was_given_when_made_small(clean: Tensor) -> None:
    small = Downsampling(4)(clean[None])[0].clamp(0, 1)
    drawn = dp.upscale(small, 4, fits=0)
    assert drawn.shape == clean.shape
    assert psnr(Downsampling(4)(drawn[None])[0], small) > 40
    bicubic = Downsampling(4).initial_estimate(small)
    assert psnr(drawn, clean) > psnr(bicubic, clean)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_images_of_every_kind_become_larger(small: Image.Image, mode: str) -> None:
    image = (
        small.convert("L").convert("I").point(lambda v: v * 257).convert("I;16")
        if mode == "I;16"
        else small.convert(mode)
    )
    drawn = dp.upscale(image, 2, stop="fixed:1", fits=1)
    assert (drawn.mode, drawn.size) == (mode, (80, 60))


def test_arrays_become_larger_with_their_alpha() -> None:
    batch = np.zeros((2, 5, 7, 4), np.uint8)
    batch[..., 3] = 200
    drawn = dp.upscale(batch, 2, stop="fixed:1", fits=2)
    assert drawn.shape == (2, 10, 14, 4)
    assert (drawn[..., 3] == 200).all()


@pytest.mark.campaign
def test_tiles_of_a_large_image_are_drawn_larger_without_seams() -> None:
    seen = enlargeable(as_image(Image.linear_gradient("L").resize((40, 24))), 2)
    preset = replace(UPSCALE, fits=1, tile=32, overlap=16)
    result = next(purify_each([seen], 1, preset, preset.rule("fixed:60"), FitOptions()))
    assert result.tiles > 1
    drawn = as_image(result.image).pixels
    assert drawn.shape == (3, 48, 80)
    smooth = as_image(Image.linear_gradient("L").resize((80, 48))).pixels
    assert psnr(drawn, smooth) > 25
    assert math.isfinite(result.psnr_input)


def test_time_is_planned_in_whole_fits() -> None:
    rule, cpu = UPSCALE.rule(), torch.device("cpu")
    by_size = [planned_fits(UPSCALE, rule, megapixels, device=cpu) for megapixels in (0.01, 0.06, 1.0)]
    assert by_size == [UPSCALE.fits, 1, 0]
    ample, scarce = (planned_fits(UPSCALE, rule, 0.3, device=cpu, seconds=each) for each in (1e6, 1e-3))
    assert (ample, scarce) == (UPSCALE.fits, 0)
    assert planned_fits(DEJPEG, DEJPEG.rule(), 0.01, device=cpu, seconds=1e6) == 0  # it would add nothing


def test_scarce_time_leaves_it_to_filters_and_says_so(clean: Tensor) -> None:
    small = Downsampling(2)(clean[None])[0].clamp(0, 1)
    result = dp.upscale(small, 2, seconds=1e-3, return_details=True)
    assert (result.fits, result.iterations_run) == (0, 0)
    assert "there is time for" in result.stop_reason


def test_wide_holes_say_that_they_become_a_blur(clean: Tensor) -> None:
    missing = torch.zeros(64, 64, dtype=torch.bool)
    missing[8:44, 8:44] = True
    assert "blur" in dp.inpaint(clean, missing, return_details=True).notes[0]
    missing[:], missing[8:12] = False, True
    assert not dp.inpaint(clean, missing, return_details=True).notes


def test_tiles_without_holes_are_left_and_those_without_pixels_are_filled_from_afar(clean: Tensor) -> None:
    missing = torch.zeros(64, 64, dtype=torch.bool)
    missing[:24, :24] = True
    seen = with_missing(as_image(clean), missing)
    assert seen is not None
    preset = replace(INPAINT, fits=1, megapixels=math.inf, tile=24, overlap=8)
    result = next(purify_each([seen], 1, preset, preset.rule("fixed:2"), FitOptions()))
    assert 0 < len(result.trajectories) < result.tiles
    filled = as_image(result.image).pixels
    assert torch.equal(filled[:, ~missing], clean[:, ~missing])
    assert filled[:, missing].std() > 0
    assert filled.isfinite().all()


def test_cancelling_comes_before_a_filter_has_its_turn(clean: Tensor) -> None:
    with pytest.raises(dp.CancelledError):
        dp.denoise(clean, is_cancelled=lambda: True)


def test_only_two_factors_are_offered_and_no_image_beyond_the_limit() -> None:
    with pytest.raises(OptionError, match="2 or 4"):
        dp.upscale(np.zeros((8, 8, 3), np.uint8), 3)
    with pytest.raises(ImageError, match="4 times as large"):
        dp.upscale(np.zeros((5000, 2000), np.uint8), 4)


@pytest.mark.campaign
def test_the_command_draws_a_folder_larger_and_goes_on(clean: Tensor, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    to_pillow(clean).resize((16, 16)).save(tmp_path / "in" / "a.png")
    to_pillow(clean).resize((16000, 1)).save(tmp_path / "in" / "long.webp")
    line = (
        "upscale",
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "--factor",
        2,
        "--stop",
        "fixed:1",
        "--fits",
        1,
        "--json",
    )
    first, second = command(*line), command(*line)
    assert "write a PNG" in first.stderr.decode()
    assert json.loads(first.stdout)["summary"] == {"restored": 1, "left": 0, "skipped": 0, "failed": 1}
    assert json.loads(second.stdout)["summary"]["skipped"] == 1
    assert as_image(tmp_path / "out" / "a.png").pixels.shape == (3, 32, 32)
    wrong = command("upscale", tmp_path / "in" / "a.png", "-o", tmp_path / "b.png", "--factor", 3)
    assert wrong.returncode != 0
    assert "2 or 4" in wrong.stderr.decode()


@pytest.fixture(scope="module")
def holes() -> NDArray[np.bool_]:
    """``64×64`` bool: a bar and a stripe are missing."""
    missing = np.zeros((64, 64), bool)
    missing[20:24] = missing[:, 40:43] = True
    return missing


def test_one_mask_is_for_every_image_of_a_folder(clean: Tensor, holes: NDArray[np.bool_], tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    to_pillow(clean).save(source / "a.png")
    to_pillow(clean.flip(-1)).save(source / "sub" / "b.png")
    Image.new("RGB", (9, 9)).save(source / "small.png")
    mask = tmp_path / "mask.png"
    Image.fromarray(holes).save(mask)
    line = ("inpaint", source, "--mask", mask, "-o", tmp_path / "out", "--stop", "fixed:3", "--fits", "2", "--json")
    first, second = command(*line), command(*line)
    assert first.returncode == second.returncode == 1
    assert "one size" in first.stderr.decode()
    assert json.loads(first.stdout)["summary"] == {"restored": 2, "left": 0, "skipped": 0, "failed": 1}
    assert json.loads(second.stdout)["summary"] == {"restored": 0, "left": 0, "skipped": 2, "failed": 1}
    assert not (tmp_path / "out" / "small.png").exists()
    for name in ("a.png", "sub/b.png"):
        expected = dp.inpaint(str(source / name), holes, stop="fixed:3", fits=2)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / name)), np.asarray(expected))


def test_every_image_has_its_own_mask(clean: Tensor, holes: NDArray[np.bool_], tmp_path: Path) -> None:
    images, masks, out = tmp_path / "in", tmp_path / "masks", tmp_path / "out"
    images.mkdir()
    masks.mkdir()
    for name in ("a.jpg", "b.png", "none.png", "two.png", "black.png"):
        to_pillow(clean).save(images / name)
    for name in ("a.png", "b.png", "two.bmp", "two.gif"):
        Image.fromarray(holes if name != "b.png" else holes.T).save(masks / name)
    Image.new("L", (64, 64)).save(masks / "black.png")
    done = command("inpaint", images, "--mask", masks, "-o", out, "--stop", "fixed:3", "--fits", "1", "--json")
    assert done.returncode == 1
    assert "has no mask for" in done.stderr.decode()
    assert "leave one of them" in done.stderr.decode()
    assert json.loads(done.stdout)["summary"] == {"restored": 2, "left": 1, "skipped": 0, "failed": 2}
    assert (out / "black.png").read_bytes() == (images / "black.png").read_bytes()
    filled, before = (np.asarray(Image.open(folder / "b.png")) for folder in (out, images))
    assert np.array_equal(filled[~holes.T], before[~holes.T])
    assert not np.array_equal(filled[holes.T], before[holes.T])


@pytest.mark.parametrize(
    ("mask", "message"),
    [("nowhere.png", "nowhere.png"), ("-", "standard input"), ("broken.png", "broken.png")],
    ids=["file", "stream", "broken"],
)
def test_without_a_mask_nothing_is_begun(tmp_path: Path, mask: str, message: str) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    Image.new("RGB", (8, 8)).save(source)
    (tmp_path / "broken.png").write_bytes(source.read_bytes()[:40])
    done = command("inpaint", source, "--mask", mask if mask == "-" else tmp_path / mask, "-o", target)
    assert done.returncode != 0
    assert message in done.stderr.decode()
    assert len(done.stderr.decode().splitlines()) == 1
    assert not target.exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--sigma", "300"], "8-bit steps"),
        (["--stop", "soon"], "unknown stop rule"),
        (["--fits", "-1"], "at least 0"),
        (["--seconds", "0"], "must be positive"),
    ],
    ids=["sigma", "stop", "fits", "seconds"],
)
def test_wrong_arguments_end_with_one_line(tmp_path: Path, wrong: list[str], message: str) -> None:
    source = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(source)
    done = command("denoise", source, "-o", tmp_path / "b.png", *wrong)
    assert done.returncode != 0
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert not (tmp_path / "b.png").exists()


def command(*arguments: object) -> Done:
    return run(*arguments, "--quiet")
