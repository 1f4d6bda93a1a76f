"""Real parts for the tests: photographs, a classifier, adversarial pictures. All small, all deterministic."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from deep_protection import Classifier, load_classifier
from deep_protection.evaluation import imagenet_samples


@pytest.fixture(scope="session")
def lite0() -> Classifier:
    return load_classifier("lite0")


@pytest.fixture(scope="session")
def photograph() -> Image.Image:
    """A photograph, 512×512 RGB."""
    return imagenet_samples()[0][0]


@pytest.fixture(scope="session")
def small(photograph: Image.Image) -> Image.Image:
    """The photograph at 40×30: large enough to be a picture, small enough to be fitted in a blink."""
    return photograph.resize((40, 30), Image.Resampling.LANCZOS)


@pytest.fixture(scope="session")
def recognised(lite0: Classifier) -> tuple[Tensor, Tensor]:
    """Photographs that lite0 gets right, as it sees them, and their labels."""
    samples = imagenet_samples()[:6]
    pixels = torch.stack([lite0.preprocess(picture) for picture, _ in samples])
    labels = torch.tensor([label for _, label in samples])
    with torch.no_grad():
        right = lite0(pixels).argmax(dim=-1) == labels
    return pixels[right], labels[right]


@pytest.fixture
def picture_file(small: Image.Image, tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    small.save(path)
    return path


@pytest.fixture(autouse=True)
def host_state_untouched() -> Iterator[None]:
    """Every test of this package also proves that it leaves the host program's global state as it was."""
    before = (torch.get_rng_state().clone(), np.random.get_state()[1].copy(), torch.get_num_threads())  # type: ignore[index]  # noqa: NPY002
    kinds = (torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled())
    yield
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # type: ignore[index]  # noqa: NPY002
    assert before[2] == torch.get_num_threads()
    assert kinds == (torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled())


@pytest.fixture
def host_randomness(host_state_untouched: None) -> Iterator[None]:
    """For tests in which another library draws from the global state: what it drew is put back before the check."""
    del host_state_untouched
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        yield
    np.random.set_state(state)  # noqa: NPY002
