"""The transforms of ``torch.func``, by which newer attacks take gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import deep_protection as dp


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 3))


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # in forward mode, by PyTorch
@pytest.mark.parametrize("options", [{"quick": True}, {"answer": "restored", "stop": "fixed:1", "views": True}])
def test_gradients_are_those_of_autograd(options: dict[str, Any], network: nn.Module, pixels: Tensor) -> None:
    model = dp.protect(network, **options)
    expected = torch.autograd.functional.jacobian(model, pixels)
    close: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-4}
    assert torch.allclose(torch.func.jacrev(model)(pixels), expected, **close)
    assert torch.allclose(torch.func.jacfwd(model)(pixels), expected, **close)
    gradient = torch.func.grad(lambda given: model(given).sum())(pixels)
    assert torch.allclose(gradient, expected.sum(dim=(0, 1)), **close)
    answer, pulled = torch.func.vjp(model, pixels)[:2]
    assert torch.allclose(answer, model(pixels), **close)
    assert torch.allclose(pulled(torch.ones_like(answer))[0], gradient, **close)
    moved = torch.func.jvp(model, (pixels,), (torch.ones_like(pixels),))[1]
    assert torch.allclose(moved, expected.sum(dim=(2, 3, 4, 5)), **close)


def test_what_does_not_work_says_so(network: nn.Module, pixels: Tensor) -> None:
    model = dp.protect(network, quick=True)
    for do in (model, torch.func.grad(lambda given: model(given).sum())):
        with pytest.raises(dp.OptionError, match=r"torch\.func\.vmap cannot"):
            torch.func.vmap(do)(pixels[None])
    black_box = dp.load_classifier(lambda given: [[0.2, 0.8]] * len(given))
    with pytest.raises(dp.ClassifierError, match="is a black box"):
        torch.func.grad(lambda given: black_box(given).sum())(pixels)


def test_the_restoration_alone_goes_through_vmap_too(pixels: Tensor) -> None:
    step = dp.Purify(stop="fixed:1")
    together = torch.cat([pixels, pixels.flip(-1)])
    assert torch.equal(torch.func.vmap(step)(together), step(together))
    gradient = torch.func.grad(lambda given: step(given).sum())(pixels)
    assert torch.equal(gradient, torch.ones_like(pixels))
