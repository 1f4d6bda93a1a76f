"""Tensors stay where they are: counted by looking at every call of a function that could move them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import deep_protection as dp
from deep_protection.restoration import purify_batch

N = 3


class Moves(TorchFunctionMode):
    """Every call that takes image-sized values off their device, or brings them to one."""

    def __init__(self) -> None:
        super().__init__()
        self.off: list[str] = []
        self.to: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given, name = kwargs or {}, getattr(func, "__name__", "")
        if args and isinstance(args[0], Tensor) and args[0].numel() >= 3 * 32 * 32:
            if name in ("cpu", "numpy", "tolist"):
                self.off.append(name)
            elif name == "cuda" or (name == "to" and _names_a_device(args[1:], given)):
                self.to.append(name)
        return func(*args, **given)


def _names_a_device(args: tuple[Any, ...], given: dict[str, Any]) -> bool:
    return "device" in given or any(isinstance(each, str | torch.device) for each in args)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(N, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_a_batch_leaves_its_device_only_to_be_hashed_for_its_seeds(images: Tensor) -> None:
    with Moves() as moves:
        restored = purify_batch(images, "fast", "fixed:2", dp.FitOptions(workers=1))
    assert restored.shape == (N, 1, 3, 32, 32)
    # ``cpu`` and ``numpy`` of each image, and its result to its own device. Fits run in threads of their own, which are
    # not seen here: they take each image to their device once.
    assert (sorted(moves.off), len(moves.to)) == (["cpu"] * N + ["numpy"] * N, N)


def test_a_protected_classifier_moves_images_for_jpeg_and_no_more(images: Tensor) -> None:
    with torch.random.fork_rng(devices=[]):
        network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    protected = dp.protect(network, workers=1)
    with Moves() as fitting:
        purify_batch(images, "fast", f"fixed:{protected.iterations}", dp.FitOptions(workers=1))
    with Moves() as moves, torch.no_grad():
        protected(images)
    # Each quality of JPEG takes an image to Pillow, which is no place for tensors, and brings it back.
    jpeg = [move for move in moves.off if move == "cpu"]
    assert len(jpeg) - fitting.off.count("cpu") == 2 * 2 * N
    assert len(moves.to) == len(fitting.to) + 1  # the network is tried out on one image first
