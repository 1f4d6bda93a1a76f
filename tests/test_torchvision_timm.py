"""The real torchvision and timm: ``make test-integrations`` has them, for transformers cannot live with the former
beside a CPU build of PyTorch.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.without_operators import import_torchvision
from PIL import Image

import deep_protection as dp

SMALL = "squeezenet1_1"


if find_spec("timm") is None:
    pytest.skip("timm and torchvision are not installed: make test-integrations", allow_module_level=True)
import_torchvision()


@pytest.fixture(scope="module")
def weights_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A torch hub directory that holds (random) weights where torchvision looks for those it has downloaded."""
    from torchvision.models import get_model, get_model_weights

    directory = tmp_path_factory.mktemp("hub")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = get_model(SMALL).state_dict()
    (directory / "checkpoints").mkdir()
    torch.save(state, directory / "checkpoints" / Path(get_model_weights(SMALL).DEFAULT.url).name)
    return directory


@pytest.fixture
def hub(weights_directory: Path) -> Any:
    before = torch.hub._hub_dir
    torch.hub.set_dir(weights_directory)
    yield weights_directory
    torch.hub._hub_dir = before


@pytest.mark.usefixtures("hub")
def test_torchvisions_models_answer_as_with_their_own_transforms(photograph: Image.Image) -> None:
    from torchvision.models import get_model, get_model_weights

    classifier = dp.load_classifier(f"torchvision:{SMALL}")
    weights = get_model_weights(SMALL).DEFAULT
    with torch.random.fork_rng():
        theirs = get_model(SMALL, weights=weights).eval()
    pixels = classifier.preprocess(photograph)
    assert pixels.shape == (3, 224, 224)
    assert 0 <= pixels.min() < pixels.max() <= 1
    with torch.no_grad():
        assert torch.allclose(classifier(pixels[None]), theirs(weights.transforms()(photograph)[None]), atol=1e-4)
    assert classifier.label(243) == "bull mastiff"
    assert torch.equal(classifier(pixels[None]), dp.load_classifier(f"torchvision:{SMALL}/IMAGENET1K_V1")(pixels[None]))
    assert dp.protect(classifier, stop="fixed:2")(pixels[None]).shape == (1, 1000)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", "no weights for 'resnet19'.*list_models"),
        ("resnet18/BEST", "no weights for"),
        ("raft_small", "no image classifier"),
        ("alexnet", "cannot be loaded.*put alexnet-owt-.*pth into"),
    ],
)
def test_what_torchvision_cannot_give_is_said(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no download, wherever this runs
    with pytest.raises(dp.ClassifierError, match=message):
        dp.load_classifier(f"torchvision:{name}")


def test_timms_models_answer_as_with_their_own_transforms(tmp_path: Path, photograph: Image.Image) -> None:
    import timm
    from timm.models import save_for_hf

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", pretrained=False, num_classes=3).eval()
    config = {"label_names": ["cat", "dog", "gibbon"], "mean": (0.1, 0.2, 0.3), "crop_pct": 0.9}
    network.pretrained_cfg.update(config)
    save_for_hf(network, str(tmp_path), model_config=config)
    classifier = dp.load_classifier(f"timm:local-dir:{tmp_path}")
    cfg = timm.data.resolve_model_data_config(network)
    expected = network(timm.data.create_transform(**cfg, is_training=False)(photograph)[None])
    pixels = classifier.preprocess(photograph)
    assert 0 <= pixels.min() < pixels.max() <= 1
    assert torch.allclose(classifier(pixels[None]), expected, atol=1e-4)
    assert classifier.mean.flatten().tolist() == pytest.approx(cfg["mean"])
    assert [classifier.label(index) for index in range(3)] == ["cat", "dog", "gibbon"]
    assert dp.protect(classifier, stop="fixed:2")(pixels[None]).shape == (1, 3)


def test_what_timm_does_not_have_is_said() -> None:
    with pytest.raises(dp.ClassifierError, match=r"timm:resnet19.a1 cannot be loaded \(.*list_pretrained"):
        dp.load_classifier("timm:resnet19.a1")


@pytest.mark.parametrize("kind", ["pillow", "image", "sample"])
def test_purify_in_torchvisions_own_transforms(kind: str, photograph: Image.Image) -> None:
    from torchvision import transforms as v1
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    mean, std = [0.4, 0.5, 0.6], [0.2, 0.2, 0.2]
    version = v1 if kind == "pillow" else v2
    first: list[Any] = [v1.CenterCrop(32), v1.ToTensor()]
    if kind != "pillow":
        first = [v2.CenterCrop(32), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    small = photograph.resize((40, 40))
    pixels = version.Compose(first)(small)
    compose = version.Compose([*first, dp.Purify(stop="fixed:3"), version.Normalize(mean, std)])
    made, label = compose(small, 7) if kind == "sample" else (compose(small), 7)
    assert label == 7
    assert (type(made) is tv_tensors.Image) == (kind != "pillow")
    expected = dp.purify(pixels.as_subclass(torch.Tensor), stop="fixed:3")
    assert torch.equal(made.as_subclass(torch.Tensor), v1.functional.normalize(expected, mean, std))


def test_where_torchvision_is_broken_the_error_says_why() -> None:
    """In a process of its own, without this test's way around the missing operators."""
    code = (
        "import deep_protection as dp\n"
        "for name in ('torchvision:resnet18', 'timm:resnet18.a1_in1k'):\n"
        "    try:\n"
        "        dp.load_classifier(name)\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, error)\n"
        "try:\n"
        "    import torchvision\n"
        "except RuntimeError:\n"
        "    print('broken')\n"
    )
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    if lines[-1:] != ["broken"]:
        pytest.skip("torchvision is whole here")
    assert [line.split()[0] for line in lines[:2]] == ["MissingExtraError", "MissingExtraError"]
    for line, host in zip(lines, ("torchvision", "timm"), strict=False):
        assert f"needs {host}, which needs torchvision, and torchvision" in line
        assert "operator torchvision::nms does not exist" in line
        assert "Install both of one build" in line
