import pytest
import torch
from PIL import Image

import deep_protection as dp
from deep_protection.evaluation import BASELINES, find_baseline
from deep_protection.images import as_image
from deep_protection.stopping import psnr


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_keeps_size_and_range_and_treats_each_image_alone(name: str, photograph: Image.Image) -> None:
    pixels = as_image(photograph.resize((50, 34))).pixels
    images = torch.stack([pixels, pixels.flip(2)])
    filtered = BASELINES[name](images)
    assert (filtered.shape, filtered.dtype) == (images.shape, torch.float32)
    assert filtered.min() >= 0
    assert filtered.max() <= 1
    assert torch.equal(filtered[1], BASELINES[name](images[1:])[0])
    assert psnr(filtered, images) > 20
    assert BASELINES[name](images[:0]).shape == (0, 3, 34, 50)


def test_median_and_total_variation_take_single_wild_pixels_out(photograph: Image.Image) -> None:
    clean = as_image(photograph.resize((50, 34))).pixels
    wild = clean.clone()
    wild[:, ::7, ::7] = 1 - wild[:, ::7, ::7].round()
    for name in ("median3", "tv"):
        assert psnr(BASELINES[name].apply(wild), clean) > psnr(wild, clean) + 1


def test_an_unknown_baseline_says_what_there_is() -> None:
    with pytest.raises(dp.OptionError, match="unknown baseline 'blur'; there are: none, quantise, jpeg75"):
        find_baseline("blur")
