import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

import deep_protection as dp
from deep_protection.classifiers import class_names, wordnet_ids
from deep_protection.evaluation import imagenet_samples


def test_lite0_recognises_photographs_offline(lite0: dp.Classifier) -> None:
    samples = imagenet_samples()
    pixels = torch.stack([lite0.preprocess(image) for image, _ in samples])
    assert pixels.shape == (20, 3, 224, 224)
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    with torch.no_grad():
        right = lite0(pixels).argmax(dim=1) == torch.tensor([label for _, label in samples])
    assert right.sum() >= 17


def test_the_same_class_is_the_most_probable_by_name(lite0: dp.Classifier, photograph: Image.Image) -> None:
    first, *others = lite0.top(lite0.preprocess(photograph).unsqueeze(0))[0]
    assert (first.index, first.label) == (243, "bull mastiff")
    assert len(others) == 4
    assert first.probability > others[0].probability > 0


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_photograph_is_one_whoever_opened_it(
    lite0: dp.Classifier, photograph: Image.Image, tmp_path: Path, orientation: int
) -> None:
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    photograph.transpose(turn).save(tmp_path / "turned.png", exif=exif)  # as a camera held otherwise writes it
    with Image.open(tmp_path / "turned.png") as opened:
        assert torch.equal(lite0.preprocess(opened), lite0.preprocess(photograph))
        by_image = dp.detect(opened, lite0, quick=True)
    assert by_image.evidence == dp.detect(tmp_path / "turned.png", lite0, quick=True).evidence


def test_a_preparation_of_ones_own_sees_upright_rgb() -> None:
    seen: list[Image.Image] = []

    def prepare(image: Image.Image) -> torch.Tensor:
        seen.append(image)
        return torch.zeros(3, 8, 8)

    exif = Image.Exif()
    exif[0x0112] = 6
    given = Image.new("CMYK", (8, 4))
    given.info["exif"] = exif.tobytes()
    dp.Classifier(nn.Flatten(), name="own", preprocess=prepare).preprocess(given)
    assert (seen[0].mode, seen[0].size) == ("RGB", (4, 8))


def test_the_class_list_is_complete() -> None:
    assert len(class_names()) == len(set(wordnet_ids())) == 1000
    assert (wordnet_ids()[0], class_names()[0]) == ("n01440764", "tench")
    assert (wordnet_ids()[999], class_names()[999]) == ("n15075141", "toilet tissue")


def test_any_module_becomes_a_classifier(photograph: Image.Image) -> None:
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier = dp.load_classifier(module, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), labels=["red", "green", "blue"])
    pixels = classifier.preprocess(photograph).unsqueeze(0)
    assert torch.allclose(classifier(pixels), module((pixels - 0.5) / 0.5))
    assert classifier.top(pixels)[0][0].label in ("red", "green", "blue")
    assert len(classifier.top(pixels)[0]) == 3
    assert dp.load_classifier(classifier) is classifier


def test_a_classifier_stays_in_evaluation_mode() -> None:
    classifier = dp.load_classifier(nn.Sequential(nn.Dropout(0.5), nn.Flatten()))
    assert not classifier.train().network.training


def test_a_hub_model_from_a_directory_answers_as_in_its_own_pipeline(
    hub_directory: Path, photograph: Image.Image, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import pipeline
    from transformers.utils import logging

    classifier = dp.load_classifier(hub_directory)
    assert capfd.readouterr() == ("", ""), "the library prints nothing"
    pixels = classifier.preprocess(photograph)
    assert pixels.shape == (3, 64, 64)
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    ours = {prediction.label: prediction.probability for prediction in classifier.top(pixels.unsqueeze(0), 6)[0]}
    logging.set_verbosity_error()
    with torch.random.fork_rng():
        theirs = pipeline("image-classification", model=str(hub_directory), top_k=6)(photograph)
    assert ours == pytest.approx({answer["label"]: answer["score"] for answer in theirs}, abs=1e-4)
    assert classifier.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406], abs=1e-4)
    assert classifier.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225], abs=1e-4)


def test_a_backbone_without_a_trained_head_is_refused(hub_directory: Path, tmp_path: Path) -> None:
    from transformers import ResNetConfig, ResNetModel

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    with torch.random.fork_rng():
        ResNetModel(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_bytes((hub_directory / "preprocessor_config.json").read_bytes())
    with pytest.raises(dp.ClassifierError, match="no trained weights for"):
        dp.load_classifier(tmp_path)


def test_a_hub_model_can_be_protected(hub_directory: Path, photograph: Image.Image) -> None:
    classifier = dp.load_classifier(str(hub_directory))
    logits = dp.protect(classifier, stop="fixed:2")(classifier.preprocess(photograph).unsqueeze(0))
    assert logits.shape == (1, 6)


@pytest.mark.parametrize("name", ["resnet18", "microsoft/resnet-50"])
def test_offline_it_says_at_once_what_to_do(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(dp.ClassifierError, match=r"not in the local cache and the hub cannot be reached.*use lite0"):
        dp.load_classifier(name)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("lite9", "unknown classifier 'lite9'; give one of lite0, lite1, lite2, resnet18"),
        ("a//b", "no hub model id"),
        (".", "cannot be loaded as an image classifier"),
    ],
)
def test_unknown_classifiers_say_what_there_is(source: str, message: str) -> None:
    with pytest.raises(dp.ClassifierError, match=message):
        dp.load_classifier(source)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, hub_directory: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(dp.MissingExtraError, match=r"pip install 'deep-protection\[hub\]'"):
        dp.load_classifier(hub_directory)


@pytest.mark.parametrize("wrong", [{"mean": (0.0, 0.0)}, {"std": (1.0, 0.0, 1.0)}], ids=str)
def test_normalisation_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(dp.ClassifierError, match="three numbers each"):
        dp.load_classifier(nn.Flatten(), **wrong)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file in the present folder, as a user of the commands has one."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        "import torch\nimport deep_protection as dp\n"
        "network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())\n"
        "def normalised():\n"
        "    return dp.load_classifier(network, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1), labels=['a', 'b', 'c'])\n"
        "def nothing():\n    return 7\n"
        "def broken():\n    raise OSError('no weights')\n"
    )
    monkeypatch.chdir(tmp_path)
    return name


def test_a_classifier_of_your_own_has_a_name_for_commands(own_module: str) -> None:
    pixels = torch.linspace(0, 1, 2 * 3 * 24 * 24).view(2, 3, 24, 24)
    means = pixels.mean(dim=(2, 3))
    normalised = dp.load_classifier(f"{own_module}:normalised")
    assert torch.allclose(
        normalised(pixels), (means - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.2, 0.2, 0.1]), atol=1e-5
    )
    assert normalised.labels == ["a", "b", "c"]
    assert torch.allclose(dp.load_classifier(f"{own_module}:network")(pixels), means, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("missing", "cannot be imported"),
        ("nothing", "a function without arguments that gives a network"),
        ("broken", r"cannot be made \(OSError: no weights\)"),
    ],
)
def test_what_is_no_classifier_of_your_own_is_said(own_module: str, function: str, message: str) -> None:
    with pytest.raises(dp.ClassifierError, match=message):
        dp.load_classifier(f"{own_module}:{function}")
