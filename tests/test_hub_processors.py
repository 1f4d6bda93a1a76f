"""Image processors of the hub that do more to colours than one normalisation, and classes that are named oddly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import deep_protection as dp

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def image() -> Image.Image:
    """Red above, some of every colour below."""
    values = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    values[:16] = (255, 0, 0)
    return Image.fromarray(values)


def saved(where: Path, processor: Any, **settings: Any) -> Any:
    """A small network beside an image processor, as transformers saves them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **settings
        )
        network = transformers.ResNetForImageClassification(config).eval()
        with torch.no_grad():
            network.classifier[1].weight.mul_(20)  # answers that differ
    network.save_pretrained(where)
    processor.save_pretrained(where)
    return network


MEAN, STD = [0.485, 0.456, 0.406], [0.47853944, 0.4732864, 0.47434163]
SIZE = {"height": 32, "width": 32}
PROCESSORS: dict[str, tuple[str, dict[str, Any]]] = {
    "blue first": ("MobileViTImageProcessor", {"size": {"shortest_edge": 32}, "crop_size": SIZE}),
    "red first": (
        "MobileViTImageProcessor",
        {"size": {"shortest_edge": 32}, "crop_size": SIZE, "do_flip_channel_order": False},
    ),
    "divided twice": ("EfficientNetImageProcessor", {"size": SIZE, "image_mean": MEAN, "image_std": STD}),
    "divided once": (
        "EfficientNetImageProcessor",
        {"size": SIZE, "image_mean": MEAN, "image_std": STD, "include_top": False},
    ),
    "around 0, divided twice": (
        "EfficientNetImageProcessor",
        {"size": SIZE, "rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False},
    ),
    "to 127.5": ("ViTImageProcessor", {"size": SIZE, "rescale_factor": 0.5, "do_normalize": False}),
}


@pytest.mark.parametrize("which", PROCESSORS)
def test_pixels_are_rgb_and_the_network_sees_what_it_is_used_to(which: str, image: Image.Image, tmp_path: Path) -> None:
    kind, settings = PROCESSORS[which]
    processor = getattr(transformers, kind)(**settings)
    network = saved(tmp_path, processor, num_labels=3)
    model = dp.load_classifier(tmp_path)
    pixels = model.preprocess(image)
    assert pixels.shape == (3, 32, 32)
    assert torch.equal(pixels[:, 0, 0], torch.tensor([1.0, 0, 0]))
    with torch.no_grad():
        expected = network(**processor(images=image, return_tensors="pt")).logits
        assert torch.allclose(model(pixels[None]), expected, rtol=1e-3, atol=1e-3)
    pipe = transformers.pipeline("image-classification", str(tmp_path), device="cpu")
    own = {each["label"]: each["score"] for each in pipe(image)}
    protected = dp.hf.protect(pipe, stop="fixed:1", when="suspicious")
    assert torch.equal(protected.preprocess(image)["pixel_values"][0], pixels)
    answers = protected.model.protected.classifier(pixels[None]).softmax(dim=-1)[0]
    assert sorted(answers.tolist()) == pytest.approx(sorted(own.values()), abs=1e-3)


def test_a_processor_that_bends_colours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = transformers.ViTImageProcessor
    own = kind.normalize
    monkeypatch.setattr(kind, "normalize", lambda self, image, *given, **named: own(self, image**2, *given, **named))
    saved(tmp_path, kind(size=SIZE), num_labels=3)
    with pytest.raises(dp.ClassifierError, match="does more than scale and shift"):
        dp.load_classifier(tmp_path)


def test_classes_that_a_configuration_does_not_name_are_called_by_their_number(
    image: Image.Image, tmp_path: Path
) -> None:
    names = {1: "cat", 3: "dog", 7: "fox"}
    saved(
        tmp_path, transformers.ViTImageProcessor(size=SIZE), id2label=names, label2id={n: i for i, n in names.items()}
    )
    model = dp.load_classifier(tmp_path)
    assert model.labels == ["0", "cat", "2"]
    assert len(model.top(model.preprocess(image)[None])[0]) == 3
