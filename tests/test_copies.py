"""What is made here can be copied and pickled, as processes and checkpoints want it, and compared and put into sets."""

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import deep_protection as dp
from deep_protection.attacks import AttackSpec
from deep_protection.classifiers import BlackBox
from deep_protection.detection import classifier_responses


def ask(pixels: Tensor) -> list[list[float]]:
    return [[0.2, 0.8] for _ in pixels]


def name(image: Image.Image) -> str:
    return "dark" if sum(image.resize((1, 1)).tobytes()) < 384 else "bright"


class Asking:
    """An object that is called, with a state."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, pixels: Tensor) -> list[list[float]]:
        return [[self.share, 1 - self.share] for _ in pixels]


def saved(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),  # noqa: S301
    "torch.save": saved,
}


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("asked", [(ask, "pixels"), (name, "images"), (Asking(0.3), "pixels")])
def test_a_protected_function_is_copied_where_the_function_can_be(how: str, asked: Any, pixels: Tensor) -> None:
    function, takes = asked
    model = dp.load_classifier(function, takes=takes)
    expected = model(pixels)
    again = COPIES[how](model)
    assert torch.equal(again(pixels), expected)
    assert again.labels == model.labels
    protected = COPIES[how](dp.protect(again, quick=True))
    assert torch.equal(protected(pixels), dp.protect(model, quick=True)(pixels))


def test_a_copy_learns_labels_by_itself(pixels: Tensor) -> None:
    model = dp.load_classifier(name, takes="images")
    for do in (copy.copy, copy.deepcopy):
        again = do(model)
        again(pixels)
        assert isinstance(again, BlackBox)
        assert model.labels == []
        assert set(again.labels) == {"dark", "bright"}


@pytest.mark.parametrize("how", COPIES)
def test_networks_attacks_and_transforms_are_copied_too(how: str, pixels: Tensor) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    for made in (dp.protect(network, quick=True), dp.protect(network, mean=(0.5,) * 3, std=(0.5,) * 3, quick=True)):
        assert torch.equal(COPIES[how](made)(pixels), made(pixels))
    step = dp.Purify(stop="fixed:1")
    assert torch.equal(COPIES[how](step)(pixels), step(pixels))
    spec = COPIES[how](dp.ATTACKS["fgsm"])
    assert isinstance(spec, AttackSpec)
    assert spec.parameters() == dp.ATTACKS["fgsm"].parameters()


def test_results_are_compared_and_put_into_sets(pixels: Tensor, lite0: dp.Classifier, photograph: Image.Image) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))

    def results() -> list[Any]:
        details = dp.purify(pixels[0], stop="fixed:1", return_details=True)
        explained = dp.protect(network, quick=True).explain(pixels[:1])[0]
        return [
            details,
            details.trajectory,
            details.trajectory.checkpoints[0],
            explained,
            explained.responses,
            classifier_responses(list(pixels[:1]), network, iterations=0)[0],
            dp.attack(network, pixels, [0, 1], "fgsm"),
            dp.detect(photograph.resize((64, 64)), lite0, quick=True),
            dp.Calibration.shipped("lite0"),
            dp.PRESETS["fast"],
        ]

    for one, other in zip(results(), results(), strict=True):
        assert one == one
        assert len({one, other}) in (1, 2)
        assert (one == other) in (True, False)
        assert one != "something else"
    assert dp.Calibration.shipped("lite0") == dp.Calibration.shipped("lite0")


def test_an_explanation_and_its_parts_are_pickled(pixels: Tensor, tmp_path: Path) -> None:
    explained = dp.protect(ask, quick=True).explain(pixels[:1])[0]
    again = pickle.loads(pickle.dumps(explained))  # noqa: S301
    assert torch.equal(again.logits, explained.logits)
    details = dp.purify(pixels[0], stop="fixed:1", return_details=True)
    torch.save(details, tmp_path / "details.pt")
    assert torch.equal(torch.load(tmp_path / "details.pt", weights_only=False).image, details.image)
