"""``dp.Purify`` wherever transforms go; with torchvision itself in test_torchvision.py."""

import copy
import pickle
import sys
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader

import deep_protection as dp


@pytest.mark.parametrize("kind", ["pillow", "grey", "float", "bytes", "batch"])
def test_it_gives_what_purify_gives_in_the_same_type(kind: str, small: Image.Image) -> None:
    tensor = torch.from_numpy(np.array(small)).permute(2, 0, 1)
    image: Any = {
        "pillow": small,
        "grey": small.convert("L"),
        "float": tensor / 255,
        "bytes": tensor,
        "batch": torch.stack([tensor, tensor.flip(-1)]),
    }[kind]
    made, expected = dp.Purify(stop="fixed:4", seed=1)(image), dp.purify(image, stop="fixed:4", seed=1)
    assert type(made) is type(expected)
    if isinstance(made, Tensor):
        assert made.dtype == image.dtype
        assert torch.equal(made, expected)
        assert not torch.equal(made, image)
    else:
        assert (made.mode, made.size) == (image.mode, image.size)
        assert np.array_equal(np.array(made), np.array(expected))


def test_what_comes_after_the_image_is_passed_on(small: Image.Image) -> None:
    made, label = dp.Purify(stop="fixed:2")(small, 7)
    assert isinstance(made, Image.Image)
    assert label == 7


def test_subclasses_of_tensors_come_back_as_such() -> None:
    class Marked(Tensor):
        pass

    made = dp.Purify(stop="fixed:2")(torch.full((3, 16, 16), 0.5).as_subclass(Marked))
    assert type(made) is Marked


def test_gradients_pass_and_batches_pass_through_a_sequence() -> None:
    images = torch.linspace(0, 1, 2 * 3 * 16 * 16).reshape(2, 3, 16, 16).requires_grad_()
    nn.Sequential(dp.Purify(stop="fixed:2"), nn.Flatten())(images).sum().backward()
    assert images.grad is not None
    assert torch.equal(images.grad, torch.ones_like(images))


class Data(torch.utils.data.Dataset[Tensor]):
    def __init__(self, image: Image.Image, transform: nn.Module) -> None:
        self.image, self.transform = image, transform

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Tensor:
        made: Image.Image = self.transform(self.image.rotate(90 * index).resize((24, 24)))
        return torch.from_numpy(np.array(made))


def test_in_the_workers_of_a_loader(small: Image.Image, host_randomness: None) -> None:
    del host_randomness
    data = Data(small, dp.Purify(stop="fixed:2", workers=1))
    [batch] = DataLoader(data, batch_size=2, num_workers=1)
    assert torch.equal(batch, torch.stack([data[0], data[1]]))


def test_it_can_be_copied_pickled_and_read(small: Image.Image) -> None:
    transform = dp.Purify(stop="fixed:2", seed=5)
    for other in (copy.deepcopy(transform), pickle.loads(pickle.dumps(transform))):  # noqa: S301
        assert np.array_equal(np.array(other(small)), np.array(transform(small)))
    assert repr(transform) == "Purify(preset='fast', stop=fixed:2, seed=5)"


def test_normalised_images_and_bad_settings_are_refused() -> None:
    with pytest.raises(dp.ImageError, match="undo the normalisation first"):
        dp.Purify(stop="fixed:2")(torch.linspace(-2, 2, 768).reshape(3, 16, 16))
    wrong: dict[str, Any]
    for wrong in ({"preset": "x"}, {"stop": "x"}, {"seed": -1}, {"stop": "stable"}):
        with pytest.raises(dp.OptionError):
            dp.Purify(**wrong)


@pytest.mark.parametrize(
    ("name", "host", "extra"), [("art", "art", "art"), ("hf", "transformers", "hub"), ("deepinv", "deepinv", "deepinv")]
)
def test_a_missing_host_is_named_with_its_extra(
    name: str, host: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [each for each in sys.modules if each.split(".")[0] == host]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.delitem(sys.modules, f"deep_protection.integrations.{name}", raising=False)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if "site-packages" not in each and "hosts" not in each])
    with pytest.raises(dp.MissingExtraError, match=rf"not installed.*pip install 'deep-protection\[{extra}\]'"):
        getattr(dp, name)


def test_there_is_no_other_lazy_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'keras'"):
        dp.keras  # noqa: B018
