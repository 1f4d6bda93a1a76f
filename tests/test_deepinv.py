"""Our reconstructor inside the real deepinv; ``make test-integrations`` has it."""

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from benchmarks.without_operators import import_torchvision
from PIL import Image
from torch import Tensor

import deep_protection as dp
from deep_protection.images import as_image

if find_spec("deepinv") is None:
    pytest.skip("deepinv is not installed: make test-integrations", allow_module_level=True)
import_torchvision()
pytestmark = pytest.mark.usefixtures("host_randomness")


@pytest.fixture(scope="module")
def deepinv() -> Any:
    import deepinv

    return deepinv


@pytest.fixture(scope="module")
def images(photograph: Image.Image) -> Tensor:
    """Two different images, 2×3×48×48."""
    first = photograph.resize((48, 48), Image.Resampling.LANCZOS)
    return torch.stack([as_image(each).pixels for each in (first, first.rotate(90))])


def test_it_is_a_reconstructor_whose_denoising_is_ours(deepinv: Any, images: Tensor) -> None:
    model = dp.deepinv.DeepPriorReconstructor(fits=1, seed=3)
    assert isinstance(model, deepinv.models.Reconstructor)
    torch.manual_seed(0)
    noise = deepinv.physics.GaussianNoise(0.15)
    seen = deepinv.physics.Denoising(noise)(images).clamp(0, 1)
    made = model(seen, deepinv.physics.Denoising(noise))
    assert torch.allclose(made, dp.denoise(seen, sigma=0.15 * 255, fits=1, seed=3), atol=1e-6)
    # Where the physics does not say how large the noise is, it is estimated.
    unknown = model(seen[:1], deepinv.physics.Denoising(deepinv.physics.PoissonNoise(0.1)))
    assert torch.allclose(unknown, dp.denoise(seen[:1], fits=1, seed=3), atol=1e-6)
    psnr = deepinv.metric.PSNR()
    assert (psnr(made, images) > psnr(seen, images) + 2).all()


def test_holes_are_filled_better_than_the_adjoint_does(deepinv: Any, images: Tensor) -> None:
    torch.manual_seed(0)
    physics = deepinv.physics.Inpainting(mask=0.6, img_size=(3, 48, 48))
    seen, psnr = physics(images), deepinv.metric.PSNR()
    made = dp.deepinv.DeepPriorReconstructor(stop="fixed:100", fits=1)(seen, physics)
    assert (psnr(made, images) > psnr(physics.A_dagger(seen), images) + 5).all()
    assert 0 <= made.min() <= made.max() <= 1


def test_every_image_of_a_batch_has_its_own_holes(deepinv: Any, images: Tensor) -> None:
    torch.manual_seed(0)
    mask = (torch.rand(2, 1, 48, 48) < 0.7).float()
    physics, model = (
        deepinv.physics.Inpainting(mask=mask, img_size=(3, 48, 48)),
        dp.deepinv.DeepPriorReconstructor(stop="fixed:5", fits=1),
    )
    together = model(physics(images), physics)
    for index in range(2):
        single = deepinv.physics.Inpainting(mask=mask[index : index + 1], img_size=(3, 48, 48))
        alone = images[index : index + 1]
        assert torch.equal(model(single(alone), single)[0], together[index])


def test_enlarged_images_are_better_than_the_pseudo_inverse_and_agree_with_what_was_measured(
    deepinv: Any, images: Tensor
) -> None:
    physics = deepinv.physics.Downsampling(img_size=(3, 48, 48), factor=2, filter="bicubic")
    truth, psnr = images[:1], deepinv.metric.PSNR()
    seen = physics(truth)
    made = dp.deepinv.DeepPriorReconstructor(stop="fixed:200", fits=1)(seen, physics)
    assert made.shape == truth.shape
    assert psnr(made, truth) > psnr(physics.A_dagger(seen), truth) + 0.3
    assert psnr(physics.A(made), seen) > 50  # all but what lies outside [0, 1]
    # With noise in what was measured, agreeing with it would draw the noise.
    for noise in (deepinv.physics.PoissonNoise(0.02), deepinv.physics.PoissonGaussianNoise(gain=0.02, sigma=0.0)):
        noisy = deepinv.physics.Downsampling(img_size=(3, 48, 48), factor=2, filter="bicubic", noise_model=noise)
        torch.manual_seed(0)
        seen = noisy(truth)
        made = dp.deepinv.DeepPriorReconstructor(stop="fixed:5", fits=1)(seen, noisy)
        assert psnr(noisy.A(made), seen) < 30


@pytest.mark.parametrize("problem", ["denoising", "inpainting", "downsampling", "blur"])
def test_grey_images_and_repeatable_results(problem: str, deepinv: Any, images: Tensor) -> None:
    grey = images.mean(dim=1, keepdim=True)
    size = (1, 48, 48)
    physics = {
        "denoising": lambda: deepinv.physics.Denoising(),
        "inpainting": lambda: deepinv.physics.Inpainting(mask=0.5, img_size=size),
        "downsampling": lambda: deepinv.physics.Downsampling(img_size=size, factor=2, filter="gaussian"),
        "blur": lambda: deepinv.physics.Blur(filter=torch.full((1, 1, 3, 3), 1 / 9), padding="circular"),
    }[problem]()
    torch.manual_seed(0)
    seen, model = physics(grey), dp.deepinv.DeepPriorReconstructor(stop="fixed:5", fits=2)
    with torch.no_grad():
        made = model(seen, physics)
    assert made.shape == grey.shape
    with torch.inference_mode():
        assert torch.equal(made, model(seen, physics))
    assert torch.equal(made[1:], model(seen[1:], physics))
    assert not torch.equal(made, dp.deepinv.DeepPriorReconstructor(stop="fixed:5", fits=2, seed=1)(seen, physics))


def test_it_ends_where_the_noise_begins(deepinv: Any, images: Tensor) -> None:
    torch.manual_seed(0)
    mask = (torch.rand(1, 48, 48) < 0.5).float()
    physics = deepinv.physics.Inpainting(
        mask=mask, img_size=(3, 48, 48), noise_model=deepinv.physics.GaussianNoise(0.2)
    )
    seen = physics(images[:1])
    made = dp.deepinv.DeepPriorReconstructor(fits=1)(seen, physics)
    left = (physics.A(made) - seen).square().mean().sqrt()
    assert left == pytest.approx(0.2 * mask.mean().sqrt(), rel=0.25)


@pytest.mark.filterwarnings("ignore:non_blocking_transfers")  # deepinv's default, of no use on a CPU
def test_it_runs_in_deepinvs_own_test_loop(deepinv: Any, images: Tensor) -> None:
    physics = deepinv.physics.Denoising(deepinv.physics.GaussianNoise(0.1))

    class Images(torch.utils.data.Dataset[dict[str, Tensor]]):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> dict[str, Tensor]:
            return {"x": images[index]}

    loader = torch.utils.data.DataLoader(Images(), batch_size=2)
    model = dp.deepinv.DeepPriorReconstructor(fits=1, stop="fixed:40")
    quiet = {"verbose": False, "show_progress_bar": False}
    found = deepinv.test(
        model, loader, physics=physics, online_measurements=True, metrics=deepinv.metric.PSNR(), **quiet
    )
    assert found["PSNR"] > found["PSNR no learning"]


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (torch.zeros(3, 8, 8), "B×C×h×w"),
        (torch.zeros(1, 2, 8, 8), "B×C×h×w"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "B×C×h×w"),
        (torch.full((1, 3, 8, 8), torch.nan), "NaN or infinite"),
        (torch.full((1, 3, 8, 8), 255.0), r"expected \[0, 1\]"),
    ],
)
def test_what_is_no_image_is_refused(seen: Tensor, message: str, deepinv: Any) -> None:
    with pytest.raises(dp.ImageError, match=message):
        dp.deepinv.DeepPriorReconstructor()(seen, deepinv.physics.Denoising())


def test_operators_that_are_none_of_images_are_refused(deepinv: Any, images: Tensor) -> None:
    physics = deepinv.physics.CompressedSensing(m=30, img_size=(3, 48, 48))
    with pytest.raises(dp.ImageError, match="B×C×h×w"):
        dp.deepinv.DeepPriorReconstructor()(physics(images), physics)
    filters = torch.full((2, 1, 3, 3), 1 / 9)
    physics = deepinv.physics.Blur(filter=filters, padding="circular")
    with pytest.raises(dp.OptionError, match="the same for the whole batch"):
        dp.deepinv.DeepPriorReconstructor()(physics(images), physics)
    with pytest.raises(dp.ImageError, match="covers the whole image"):
        dp.deepinv.DeepPriorReconstructor()(
            images, deepinv.physics.Inpainting(mask=torch.zeros(1, 48, 48), img_size=(3, 48, 48))
        )
    for wrong in ({"stop": "never"}, {"fits": 0}, {"seed": -1}):
        with pytest.raises(dp.OptionError):
            dp.deepinv.DeepPriorReconstructor(**wrong)
    assert dp.deepinv.DeepPriorReconstructor()(images[:0], deepinv.physics.Denoising()).shape == (0, 3, 48, 48)
