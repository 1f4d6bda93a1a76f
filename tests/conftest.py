"""Real parts for the tests: photographs, a classifier, adversarial images. All small, all deterministic."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from deep_protection import Classifier, attack, load_classifier
from deep_protection.evaluation import imagenet_samples

pytest.register_assert_rewrite("page")  # the fixtures of the page's tests, which two files ask for


LONGEST = (
    "test_experiment",
    "test_page",
    "test_service_faults",
    "test_maps",
    "test_examples",
    "test_restoration",
    "test_attacks",
    "test_service",
    "test_page_tabs",
    "test_remote",
    "test_snippets",
    "test_detection",
)
"""Files in the order in which they are begun, before all others: a long one begun last keeps the rest waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def lite0() -> Classifier:
    return load_classifier("lite0")


@pytest.fixture(scope="session")
def photograph() -> Image.Image:
    """A photograph, 512×512 RGB."""
    return imagenet_samples()[0][0]


@pytest.fixture(scope="session")
def small(photograph: Image.Image) -> Image.Image:
    """The photograph at 40×30: large enough to be an image, small enough to be fitted in a blink."""
    return photograph.resize((40, 30), Image.Resampling.LANCZOS)


@pytest.fixture(scope="session")
def recognised(lite0: Classifier) -> tuple[Tensor, Tensor]:
    """Photographs that lite0 gets right, as it sees them, and their labels."""
    samples = imagenet_samples()[:6]
    pixels = torch.stack([lite0.preprocess(image) for image, _ in samples])
    labels = torch.tensor([label for _, label in samples])
    with torch.no_grad():
        right = lite0(pixels).argmax(dim=-1) == labels
    return pixels[right], labels[right]


@pytest.fixture(scope="session")
def attacked(lite0: Classifier, recognised: tuple[Tensor, Tensor]) -> Tensor:
    """Two recognised photographs after PGD at 4/255, both of them taken for something else."""
    made = attack(lite0, recognised[0][:2], recognised[1][:2], "pgd")
    assert made.success.all(), "the attack no longer works, so nothing is shown"
    return made.adversarial


@pytest.fixture(scope="session")
def hub_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ResNet as transformers saves it, image processor and all."""
    from transformers import ResNetConfig, ResNetForImageClassification
    from transformers.utils import logging

    where = tmp_path_factory.mktemp("model")
    logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 16],
            depths=[1, 1],
            layer_type="basic",
            id2label={0: "cat", 1: "dog", 2: "gibbon", 3: "map", 4: "x-ray", 5: "other"},
            label2id={"cat": 0, "dog": 1, "gibbon": 2, "map": 3, "x-ray": 4, "other": 5},
        )
        ResNetForImageClassification(config).save_pretrained(where)
    (where / "preprocessor_config.json").write_text(
        """{"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.875, "do_normalize": true,
        "do_rescale": true, "do_resize": true, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 64}}"""
    )
    return where


@pytest.fixture
def image_file(small: Image.Image, tmp_path: Path) -> Path:
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
