"""Every public call works whatever a host has set for its whole process, gives the same, and leaves it alone."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import deep_protection as dp

SHORT = replace(dp.PRESETS["fast"], max_iterations=20)


@contextmanager
def default_type(kind: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "float64 by default": lambda: default_type(torch.float64),
    "float16 by default": lambda: default_type(torch.float16),
    "another device by default": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic algorithms": deterministic,
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
}


class Given:
    """What the calls are given, made before the host sets anything."""

    def __init__(self, lite0: dp.Classifier) -> None:
        generator = torch.Generator().manual_seed(0)
        self.pixels = torch.rand(1, 3, 16, 16, generator=generator)
        self.image = Image.fromarray(self.pixels[0].mul(255).byte().permute(1, 2, 0).numpy())
        buffer = BytesIO()
        self.image.resize((48, 48)).save(buffer, "JPEG", quality=10)
        self.compressed = Image.open(buffer).convert("RGB")
        self.mask = np.zeros((16, 16), bool)
        self.mask[3:6, 3:6] = True
        self.lite0 = lite0
        self.network = _Mean()


class _Mean(nn.Module):
    """A network of few additions, which autocast leaves as they are."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean(dim=(2, 3)) * 20


CALLS: dict[str, Callable[[Given], Any]] = {
    "purify": lambda it: dp.purify(it.image, stop="fixed:2"),
    "purify thorough": lambda it: dp.purify(it.pixels, preset="thorough", stop="fixed:1"),
    "purify paper": lambda it: dp.purify(it.pixels, preset="paper", stop="fixed:1"),
    "purify, sub-images": lambda it: dp.purify(it.pixels, stop="ses:2", preset=SHORT),
    "denoise": lambda it: dp.denoise(it.image, fits=1, sigma=80),
    "denoise, estimated": lambda it: dp.denoise(it.image),
    "upscale, planned": lambda it: dp.upscale(it.pixels[0], 2, seconds=1e-6),
    "dejpeg": lambda it: dp.dejpeg(it.compressed, fits=1, stop="fixed:2"),
    "inpaint": lambda it: dp.inpaint(it.pixels[0], it.mask, fits=1, stop="fixed:2"),
    "upscale": lambda it: dp.upscale(it.pixels[0], 2, fits=1, stop="fixed:2"),
    "detect": lambda it: dp.detect(it.image, it.lite0, quick=True).agreement,
    "protect": lambda it: dp.protect(it.network, stop="fixed:1")(it.pixels),
    "protect, restored": lambda it: dp.protect(it.network, answer="restored", stop="stable:2", preset=SHORT)(it.pixels),
    "protect a function": lambda it: dp.protect(lambda given: [[0.2, 0.8]] * len(given), quick=True)(it.pixels),
    "explain": lambda it: dp.protect(it.network, quick=True).explain(it.pixels)[0].logits,
    "Purify": lambda it: dp.Purify(stop="fixed:1")(it.pixels),
    "attack": lambda it: dp.attack(it.network, it.pixels, [0], "pgd").adversarial,
    "attack, aimed": lambda it: dp.attack(it.network, it.pixels, [0], "pgd8-random").adversarial,
    "load_classifier": lambda _: dp.load_classifier("lite0").network._fc.weight.detach(),  # type: ignore[operator, union-attr]
    "extract_text": lambda it: dp.extract_text(it.image, ocr=False, stop="fixed:1").text_layer,
}


@pytest.fixture(scope="module")
def given(lite0: dp.Classifier) -> Given:
    return Given(lite0)


def numbers(result: Any) -> Tensor:
    if isinstance(result, Image.Image):
        return torch.from_numpy(np.array(result, dtype=np.float32))
    return result if isinstance(result, Tensor) else torch.tensor(result, dtype=torch.float32, device="cpu")


def state() -> tuple[Any, ...]:
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
    )


@pytest.mark.parametrize("call", CALLS)
def test_a_public_call_works_in_any_state_of_the_host_and_leaves_it(call: str, given: Given) -> None:
    expected = numbers(CALLS[call](given))
    for name, host in STATES.items():
        with host():
            before = state()
            made = CALLS[call](given)
            assert state() == before, name
        if name == "autocast" and call == "detect":
            continue  # the classifier computes as its host says
        found = numbers(made)
        assert found.dtype == expected.dtype, name
        assert torch.allclose(found, expected, atol=1e-5), name
        assert call != "load_classifier" or not found.is_inference(), "its weights could take part in no gradient"
