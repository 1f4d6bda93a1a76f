import pytest
import torch
from torch import nn

from deep_protection.generators import GENERATORS, FastGenerator, ImageGenerator, PaperGenerator
from deep_protection.generators.fast import low_pass

CPU = torch.device("cpu")
SIZES = [(8, 8), (1, 1), (1, 70), (33, 47), (64, 64), (100, 75)]


def target(height: int, width: int) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", GENERATORS.values(), ids=GENERATORS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size_is_drawn_and_every_weight_learns(kind: type[ImageGenerator], size: tuple[int, int]) -> None:
    generator = kind.create(target(*size), seed=0, device=CPU)
    optimiser = torch.optim.Adam(generator.parameters(), 0.01)
    for _ in range(2):  # the last layer of `fast` starts at zero, so the layers before it get a gradient in step two
        output = generator()
        assert output.shape == (1, 3, *size)
        optimiser.zero_grad()
        (output - target(*size)).square().mean().backward()
        optimiser.step()
    assert all(weights.grad is not None and torch.isfinite(weights.grad).all() for weights in generator.parameters())


@pytest.mark.parametrize("kind", GENERATORS.values(), ids=GENERATORS)
def test_seed_decides_weights_and_noise(kind: type[ImageGenerator]) -> None:
    first, again, other = (kind.create(target(40, 40), seed=seed, device=CPU) for seed in (7, 7, 8))
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert torch.equal(first.noise, again.noise)
    assert not torch.equal(first.noise, other.noise)
    assert first.noise.min() >= 0
    assert first.noise.max() < 0.1


def test_the_paper_generator_is_the_published_one() -> None:
    generator = PaperGenerator.create(target(64, 64), seed=0, device=CPU)
    assert sum(weights.numel() for weights in generator.parameters()) == 2_217_831
    convolutions = [layer for layer in generator.modules() if isinstance(layer, nn.Conv2d)]
    # Per scale: skip 1×1, down 3×3 stride 2, 3×3, up 3×3, 1×1; and one 1×1 to RGB.
    assert len(convolutions) == 5 * 5 + 1
    strided = [layer for layer in convolutions if layer.stride == (2, 2)]
    assert [tuple(layer.weight.shape) for layer in strided] == [(128, 32, 3, 3)] + [(128, 128, 3, 3)] * 4
    skips = [layer for layer in convolutions if layer.out_channels == 4]
    assert [tuple(layer.weight.shape) for layer in skips] == [(4, 32, 1, 1)] + [(4, 128, 1, 1)] * 4
    assert {layer.padding_mode for layer in convolutions if layer.kernel_size == (3, 3)} == {"reflect"}
    assert generator.noise.shape == (1, 32, 64, 64)
    assert generator().min() > 0
    assert generator().max() < 1


def test_the_paper_generator_draws_the_published_picture_at_multiples_of_32() -> None:
    """Resizing to the skip branch's size is exactly the published upsampling by two there."""
    generator = PaperGenerator.create(target(64, 96), seed=0, device=CPU)
    sizes: list[tuple[torch.Size, torch.Size]] = []

    def note(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        del module
        sizes.append((inputs[0].shape[-2:], output.shape[-2:]))

    for layer in generator.modules():
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
            layer.register_forward_hook(note)
    generator()
    assert all(before == torch.Size(2 * side for side in after) for before, after in sizes)


def test_the_fast_generator_starts_from_the_low_pass_copy() -> None:
    picture = target(48, 56)
    generator = FastGenerator.create(picture, seed=0, device=CPU)
    assert torch.equal(generator(), low_pass(picture.unsqueeze(0), 8))
    assert sum(weights.numel() for weights in generator.parameters()) < 400_000


def test_low_pass_keeps_the_coarse_and_drops_the_fine() -> None:
    flat = torch.full((1, 3, 32, 32), 0.4)
    assert torch.allclose(low_pass(flat, 8), flat, atol=1e-6)
    checks = torch.arange(32).add(torch.arange(32)[:, None]).remainder(2).float().expand(1, 3, 32, 32)
    assert torch.allclose(low_pass(checks, 8), torch.full_like(checks, 0.5), atol=1e-6)
