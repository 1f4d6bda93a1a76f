import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import deep_protection as dp
from deep_protection.images import as_batch, as_image
from deep_protection.restoration.tiles import Patches, TileBlender, cut_tiles
from deep_protection.seeds import LARGEST_SEED, image_seed
from deep_protection.stopping import psnr

QUICK: dict[str, Any] = {"stop": "fixed:8"}


def crops(photograph: Image.Image, count: int) -> list[torch.Tensor]:
    """Different images of different sizes."""
    return [as_image(photograph.crop((9 * n, 5 * n, 9 * n + 40 + n, 5 * n + 30))).pixels for n in range(count)]


FORMS: dict[str, Any] = {
    "Pillow RGB": lambda image: image,
    "Pillow L": lambda image: image.convert("L"),
    "Pillow RGBA": lambda image: image.convert("RGBA"),
    "uint8 array": np.array,
    "float array": lambda image: np.array(image, np.float64) / 255,
    "uint8 tensor": lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1),
    "batch of tensors": lambda image: (torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255).expand(2, -1, -1, -1),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_same_type_and_size_comes_back_restored(form: Any, small: Image.Image) -> None:
    given = form(small)
    back = dp.purify(given, **QUICK)
    assert type(back) is type(given) or isinstance(given, Image.Image)
    if isinstance(given, Image.Image):
        assert (back.mode, back.size) == (given.mode, given.size)
    else:
        assert (back.dtype, back.shape) == (given.dtype, given.shape)
    assert not torch.equal(as_batch(back).records[0].pixels, as_batch(given).records[0].pixels), "nothing was restored"


def test_paths_give_pillow_images_bytes_give_bytes_and_lists_give_lists(image_file: Any) -> None:
    from_path = dp.purify(image_file, **QUICK)
    from_bytes = dp.purify(image_file.read_bytes(), **QUICK)
    both = dp.purify([str(image_file), image_file.read_bytes()], **QUICK)
    assert isinstance(from_path, Image.Image)
    assert Image.open(io.BytesIO(from_bytes)).format == "PNG"
    assert isinstance(both, list)
    assert np.array_equal(np.array(both[0]), np.array(from_path))
    assert both[1] == from_bytes
    assert np.array_equal(np.array(Image.open(io.BytesIO(from_bytes))), np.array(from_path))
    assert dp.purify([]) == []


def test_alpha_is_kept(small: Image.Image) -> None:
    small = small.convert("RGBA")
    small.putalpha(Image.linear_gradient("L").resize(small.size))
    assert np.array_equal(np.array(dp.purify(small, **QUICK))[..., 3], np.array(small)[..., 3])


@pytest.mark.parametrize("preset", ["fast", "thorough", "paper"])
def test_a_batch_equals_its_images_one_by_one_whatever_the_order(preset: str, photograph: Image.Image) -> None:
    images = crops(photograph, 3 if preset == "paper" else 5)
    settings: dict[str, Any] = {"preset": preset, "stop": "fixed:3", "seed": 11}
    together = dp.purify(images, **settings)
    singles = [dp.purify(image, **settings) for image in images]
    backwards = dp.purify(images[::-1], **settings)[::-1]
    one_worker = dp.purify(images, workers=1, **settings)
    for number, single in enumerate(singles):
        for other in (together, backwards, one_worker):
            assert torch.equal(single, other[number])


def test_a_thorough_image_is_the_mean_of_independent_fits(photograph: Image.Image) -> None:
    image = crops(photograph, 1)[0]
    result = dp.purify(image, preset="thorough", stop="fixed:5", return_details=True)
    assert (result.fits, result.tiles, len(result.trajectories)) == (4, 1, 4)
    fits = torch.stack([trajectory.restored for trajectory in result.trajectories])
    assert torch.allclose(result.image, fits.mean(dim=0), atol=1e-6)
    assert (fits[0] - fits[1]).abs().max() > 1e-3
    assert torch.equal(fits[0], dp.purify(image, preset="fast", stop="fixed:5"))
    with pytest.raises(dp.OptionError, match=r"tiles: 1, fits of each: 4"):
        _ = result.trajectory


def test_the_seed_decides(small: Image.Image) -> None:
    pixels = np.array(small)
    again = [dp.purify(pixels, seed=seed, **QUICK) for seed in (4, 4, 5)]
    assert np.array_equal(again[0], again[1])
    assert not np.array_equal(again[0], again[2])
    assert not np.array_equal(*(dp.purify(pixels, seed=None, **QUICK) for _ in range(2)))


def test_every_image_has_a_seed_of_its_own(photograph: Image.Image) -> None:
    first, second = crops(photograph, 2)
    seeds = {image_seed(0, first), image_seed(1, first), image_seed(0, second)}
    assert len(seeds) == 3
    assert all(0 <= seed <= LARGEST_SEED for seed in seeds)
    assert image_seed(0, first) == image_seed(0, first.clone())


def test_details_tell_how_it_came_about(small: Image.Image) -> None:
    result = dp.purify(small, stop="fixed:30", seed=9, return_details=True)
    assert isinstance(result, dp.Purified)
    assert (result.preset, result.generator, result.seed, result.stop_rule) == ("fast", "fast", 9, "fixed:30")
    assert (result.iteration_chosen, result.iterations_run) == (30, 30)
    assert result.stop_reason == "fixed count of 30 iterations reached"
    assert result.seconds > 0
    assert result.device == "cpu"
    assert [point.iteration for point in result.trajectory] == [10, 20, 30]
    restored, given = (as_image(image).pixels for image in (result.image, small))
    assert result.psnr_input == pytest.approx(psnr(restored, given), abs=0.1)
    assert result.summary()["tiles"] == 1
    several = dp.purify([small, small], return_details=True, **QUICK)
    assert [type(one) for one in several] == [dp.Purified, dp.Purified]


def test_the_oracle_stops_each_image_at_its_own_label(
    lite0: dp.Classifier, recognised: tuple[torch.Tensor, torch.Tensor]
) -> None:
    pixels, labels = recognised[0][:2], recognised[1][:2]
    rule = dp.Oracle(lite0, labels.tolist(), k=1000, max_iterations=100)
    results = dp.purify(pixels, stop=rule, return_details=True)
    assert [result.iteration_chosen for result in results] == [10, 10], "any class is among the top 1000"
    assert all("oracle" in result.stop_rule and "oracle" in result.stop_reason for result in results)


# Large images.


@pytest.mark.parametrize("height", [1, 40, 64, 65, 100, 128, 333])
@pytest.mark.parametrize("width", [30, 64, 200])
def test_tiles_cover_the_image_with_overlap(height: int, width: int) -> None:
    tiles = cut_tiles(height, width, tile=64, overlap=16)
    covered = torch.zeros(height, width)
    for tile in tiles:
        assert tile.bottom - tile.top == tiles[0].bottom - tiles[0].top <= min(height, 64)
        assert tile.right - tile.left == tiles[0].right - tiles[0].left <= min(width, 64)
        covered[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert covered.min() >= 1
    for first, second in pairwise(tiles):
        if first.top == second.top:
            assert first.right - second.left >= 16


def test_an_image_a_little_larger_than_a_tile_is_not_fitted_twice() -> None:
    tiles = cut_tiles(65, 65, tile=64, overlap=16)
    assert len(tiles) == 4
    assert sum((tile.bottom - tile.top) * (tile.right - tile.left) for tile in tiles) < 1.6 * 65 * 65


def test_a_mosaic_of_untouched_tiles_is_the_image() -> None:
    image = torch.rand(3, 150, 101, generator=torch.Generator().manual_seed(0))
    mosaic = TileBlender(150, 101, overlap=16)
    for tile in cut_tiles(150, 101, 64, 16):
        mosaic.add(tile, tile.of(image))
    assert torch.allclose(mosaic.finish(), image, atol=1e-6)


def test_patches_are_what_a_mosaic_has_there() -> None:
    random = torch.Generator().manual_seed(0)
    image, wanted = torch.rand(3, 150, 101, generator=random), torch.rand(150, 101, generator=random) < 0.1
    mosaic, patches = TileBlender(150, 101, overlap=16), Patches(wanted, overlap=16)
    for tile in cut_tiles(150, 101, 64, 16):
        drawn = tile.of(image) + torch.rand(1, generator=random)
        mosaic.add(tile, drawn)
        patches.add(tile, drawn)
    assert torch.equal(patches.finish(), mosaic.finish()[:, wanted])


SMALL_TILES = dp.Preset(name="tiled", recipe=dp.PRESETS["fast"].recipe, stop="fixed:10", tile=64, overlap=16)


def test_a_large_image_is_fitted_in_tiles(photograph: Image.Image) -> None:
    large = photograph.resize((150, 100))
    seen: list[dp.Progress] = []
    result = dp.purify(large, preset=SMALL_TILES, return_details=True, progress=seen.append)
    assert result.image.size == (150, 100)
    assert len(result.trajectories) == 6
    assert (seen[-1].images_done, seen[-1].images_total) == (1, 1)
    assert seen[-1].fraction == pytest.approx(1.0)
    assert np.array_equal(np.array(result.image), np.array(dp.purify(large, preset=SMALL_TILES, workers=1)))
    with pytest.raises(dp.OptionError, match=r"6 fits \(tiles: 6, fits of each: 1\), each with its own"):
        _ = result.trajectory


def test_no_seam_shows_between_tiles(photograph: Image.Image) -> None:
    """Steps across the joints are no larger than steps elsewhere."""
    large = np.array(photograph.resize((150, 150)).convert("L"), np.float32) / 255
    restored = dp.purify(large, preset=SMALL_TILES, stop="fixed:60")
    error = np.abs(np.diff(restored - large, axis=1))
    starts = {tile.left for tile in cut_tiles(150, 150, 64, 16)} - {0}
    at_joints = np.mean([error[:, start - 1].mean() for start in starts])
    assert at_joints < 1.5 * error.mean()


def test_an_oracle_without_enough_labels_is_refused_before_any_work(small: Image.Image, lite0: dp.Classifier) -> None:
    seen: list[dp.Progress] = []
    with pytest.raises(dp.OptionError, match="2 labels but asked for image 3"):
        dp.purify([small] * 3, stop=dp.Oracle(lite0, [0, 1]), progress=seen.append)
    assert not seen


def test_the_oracle_cannot_judge_tiles(photograph: Image.Image, lite0: dp.Classifier) -> None:
    with pytest.raises(dp.OptionError, match="classifies whole images"):
        dp.purify(photograph.resize((150, 100)), preset=SMALL_TILES, stop=dp.Oracle(lite0, [0]))
    with pytest.raises(dp.OptionError, match="keeps whole images"):
        dp.purify(photograph.resize((150, 100)), preset=SMALL_TILES, keep_outputs=True)


# Hosts.


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_works_in_every_gradient_mode_with_the_same_result(mode: Any, small: Image.Image) -> None:
    pixels = as_image(small).pixels
    expected = dp.purify(pixels, **QUICK)
    with mode():
        inside = dp.purify(pixels * 1.0, **QUICK)
        assert torch.equal(inside, expected)


def test_it_works_whatever_the_default_dtype(small: Image.Image) -> None:
    expected = dp.purify(np.array(small), **QUICK)
    torch.set_default_dtype(torch.float64)
    try:
        assert np.array_equal(dp.purify(np.array(small), **QUICK), expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_notes_become_warnings(small: Image.Image) -> None:
    buffer = io.BytesIO()
    small.save(buffer, format="PNG", save_all=True, append_images=[Image.new("RGB", small.size)])
    with pytest.warns(UserWarning, match="only the first is used"):
        dp.purify(buffer.getvalue(), **QUICK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "quick"}, "unknown preset 'quick'; there are: fast, paper, thorough"),
        ({"stop": "later"}, "unknown stop rule"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"device": "abacus"}, "device 'abacus' cannot be used here"),
        ({"seconds": 0}, "seconds must be positive"),
        ({"seconds": float("nan")}, "seconds must be positive"),
        ({"workers": 0}, "workers must be at least 1"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str, small: Image.Image) -> None:
    with pytest.raises(dp.OptionError, match=message):
        dp.purify(small, **options)
