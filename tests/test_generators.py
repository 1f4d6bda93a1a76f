import pytest
import torch

from deep_protection.fitting.networks import Networks
from deep_protection.generators import GENERATORS, FastGenerator, ImageGenerator, PaperGenerator
from deep_protection.generators.fast import low_pass
from deep_protection.generators.layers import Conv

SIZES = [(8, 8), (1, 1), (1, 70), (33, 47), (64, 64), (100, 75)]


def target(height: int, width: int) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))


def networks(kind: type[ImageGenerator], *images: torch.Tensor, dtype: torch.dtype = torch.float32) -> Networks:
    """Networks for the images, with seeds 0, 1, …"""
    made = Networks(kind(*images[0].shape[-2:]), len(images), dtype, torch.device("cpu"))
    for row, image in enumerate(images):
        made.init_row(row, image, seed=row)
    return made


def step(made: Networks, images: torch.Tensor) -> torch.Tensor:
    """A plain gradient step; the gradient."""
    gradient = made.gradient((made() - images).square().mean(dim=(1, 2, 3)).sum())
    with torch.no_grad():
        made.matrix.sub_(gradient)
    return gradient


@pytest.mark.parametrize("kind", GENERATORS.values(), ids=GENERATORS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size_is_drawn_and_every_layer_learns(kind: type[ImageGenerator], size: tuple[int, int]) -> None:
    image = target(*size)
    made = networks(kind, image)
    assert made().shape == (1, 3, *size)
    step(made, image)  # the last layer of `fast` starts at zero, so the layers before it get a gradient in step two
    gradient = step(made, image)
    assert torch.isfinite(gradient).all()
    if min(size) >= 8:
        assert (gradient != 0).float().mean() > 0.9


@pytest.mark.parametrize("kind", GENERATORS.values(), ids=GENERATORS)
@pytest.mark.parametrize("count", [1, 2])
def test_the_gradient_is_right(kind: type[ImageGenerator], count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Along its own direction, against differences: some memory layouts make PyTorch's silently wrong."""
    monkeypatch.setattr(kind, "reg_noise_std", 0.0)  # differences are taken of one image
    images = torch.stack([target(64, 72).roll(shift, dims=2) for shift in range(count)])
    made = networks(kind, *images)
    for _ in range(3):
        step(made, images)
    gradient, start = step(made, images), made.matrix.clone()

    def loss_at(distance: float) -> float:
        with torch.no_grad():
            made.matrix.copy_(start + distance * gradient / gradient.norm())
            return (made() - images).double().square().mean(dim=(1, 2, 3)).sum().item()

    made.matrix.copy_(start)
    gradient = made.gradient((made() - images).square().mean(dim=(1, 2, 3)).sum())
    slope = (loss_at(1e-3) - loss_at(-1e-3)) / 2e-3
    assert slope == pytest.approx(gradient.norm().item(), rel=0.02)


@pytest.mark.parametrize("kind", GENERATORS.values(), ids=GENERATORS)
def test_networks_side_by_side_are_the_networks_alone(
    kind: type[ImageGenerator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "reg_noise_std", 0.0)  # which is an image's own, but they are not asked equally often
    images = [target(40, 48), target(40, 48).flip(2), target(40, 48).flip(1)]
    together = networks(kind, *images)
    step(together, torch.stack(images))  # the last layer of `fast` starts at zero; from step two all layers count
    start = together.matrix.clone()
    gradient, drawn = step(together, torch.stack(images)), together().detach()
    for row, image in enumerate(images):
        alone = Networks(kind(40, 48), 1, torch.float32, torch.device("cpu"))
        alone.init_row(0, image, seed=row)
        alone.matrix[0] = start[row]
        own = step(alone, image)[0]
        assert (own - gradient[row]).norm() < 1e-3 * own.norm()
        assert torch.allclose(alone()[0], drawn[row], atol=1e-3)
    together.select_rows([0, 2])
    assert torch.allclose(together()[1], drawn[2], atol=1e-3)


@pytest.mark.parametrize("kind", GENERATORS.values(), ids=GENERATORS)
def test_seed_decides_weights_and_noise(kind: type[ImageGenerator]) -> None:
    generator = kind(40, 40)
    (first, noise), (again, noise_again), (other, other_noise) = (generator.init_parameters(seed) for seed in (7, 7, 8))
    assert all(torch.equal(first[place], again[place]) for place in first)
    assert any(not torch.equal(first[place], other[place]) for place in first)
    assert torch.equal(noise, noise_again)
    assert not torch.equal(noise, other_noise)
    assert noise.min() >= 0
    assert noise.max() < 0.1


def test_the_paper_generator_is_the_published_one() -> None:
    generator = PaperGenerator(64, 64)
    assert networks(PaperGenerator, target(64, 64)).matrix.shape == (1, 2_217_831)
    convolutions = [layer for layer in generator.modules() if isinstance(layer, Conv)]
    # Per scale: skip 1×1, down 3×3 stride 2, 3×3, up 3×3, 1×1; and one 1×1 to RGB. Outputs, kernel, kernel, inputs.
    assert len(convolutions) == 5 * 5 + 1
    strided = [layer.shapes["weight"] for layer in convolutions if layer.stride == 2]
    assert strided == [(128, 3, 3, 32)] + [(128, 3, 3, 128)] * 4
    skips = [layer.shapes["weight"] for layer in convolutions if layer.shapes["bias"] == (4,)]
    assert skips == [(4, 1, 1, 32)] + [(4, 1, 1, 128)] * 4
    assert {layer.border for layer in convolutions if layer.margin == 1} == {"reflect"}
    assert generator.noise_shape() == (32, 64, 64)
    drawn = networks(PaperGenerator, target(64, 64))()
    assert drawn.min() > 0
    assert drawn.max() < 1


def test_the_fast_generator_starts_from_the_low_pass_copy() -> None:
    image = target(48, 56)
    made = networks(FastGenerator, image)
    assert torch.equal(made(), low_pass(image.unsqueeze(0), 8))
    assert made.matrix.shape[1] < 400_000


def test_low_pass_keeps_the_coarse_and_drops_the_fine() -> None:
    flat = torch.full((1, 3, 32, 32), 0.4)
    assert torch.allclose(low_pass(flat, 8), flat, atol=1e-6)
    checks = torch.arange(32).add(torch.arange(32)[:, None]).remainder(2).float().expand(1, 3, 32, 32)
    assert torch.allclose(low_pass(checks, 8), torch.full_like(checks, 0.5), atol=1e-6)
