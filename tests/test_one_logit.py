"""Networks with one output, and networks whose every output is a label of its own: sigmoids, and no softmax."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import deep_protection as dp
from deep_protection.classifiers import mean_logits
from deep_protection.detection import Calibration, classifier_responses, compute_evidence
from deep_protection.evaluation import accuracy
from deep_protection.evaluation.experiment import Experiment
from deep_protection.evaluation.views import probabilities
from deep_protection.logits import as_classes
from deep_protection.stopping import Stability


class Bright(nn.Module):
    """Is the image bright? One logit, or one by one the two logits that mean the same."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, pixels: Tensor) -> Tensor:
        logits = 20 * (pixels.mean(dim=(1, 2, 3)) - 0.5)[:, None]
        return logits if self.outputs == 1 else as_classes(logits)


class Labels(nn.Module):
    """Three labels of which any may be right: bright, red, blue."""

    def forward(self, pixels: Tensor) -> Tensor:
        red, _, blue = pixels.mean(dim=(2, 3)).unbind(dim=1)
        return 20 * (torch.stack([pixels.mean(dim=(1, 2, 3)), red, blue], dim=1) - 0.5)


@pytest.fixture(scope="module")
def both() -> Tensor:
    """A dark and a bright image, with a little noise."""
    noise = 0.1 * torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return torch.tensor([0.25, 0.65]).view(2, 1, 1, 1) + noise


OPTIONS: list[dict[str, Any]] = [
    {"quick": True},
    {"quick": True, "when": "always"},
    {"answer": "restored", "stop": "fixed:2", "views": True},
    {"answer": "restored", "stop": "fixed:2", "preset": "thorough"},
    {"answer": "restored", "stop": "stable:2"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_one_logit_is_answered_as_the_two_that_mean_the_same(options: dict[str, Any], both: Tensor) -> None:
    one, two = (dp.protect(Bright(outputs), **options)(both) for outputs in (1, 2))
    assert one.shape == (2, 1)
    assert torch.allclose(one[:, 0], two[:, 1] - two[:, 0], atol=1e-4)
    assert (one[:, 0] > 0).tolist() == [False, True]


def test_one_logit_has_two_predictions(both: Tensor) -> None:
    model = dp.load_classifier(Bright())
    expected = model(both)[:, 0].sigmoid()
    for row, yes in zip(model.top(both), expected.tolist(), strict=True):
        assert {each.label: pytest.approx(each.probability) for each in row} == {"0": 1 - yes, "1": yes}
    named = dp.load_classifier(Bright(), labels=["bright"])
    assert [row[0].label for row in named.top(both)] == ["not bright", "bright"]
    assert torch.allclose(mean_logits(model, both), mean_logits(Bright(), both))
    for views in (False, True):
        assert probabilities(model, both, views=views).argmax(dim=1).tolist() == [0, 1]
    assert accuracy(model, both, torch.tensor([0, 1])).top1 == 2


def test_attacks_on_one_logit_know_two_labels(both: Tensor) -> None:
    labels = [0, 1]
    near = both * 0.05 + 0.475
    for name in ("fgsm", "pgd16", "deepfool", "pgd8-random"):
        one, two = (dp.attack(Bright(outputs), near, labels, name) for outputs in (1, 2))
        assert one.success.all()
        assert torch.allclose(one.adversarial, two.adversarial, atol=1e-5)
        assert (Bright()(one.adversarial)[:, 0] > 0).tolist() == [True, False]
    assert not dp.attack(Bright(), both, labels, "fgsm").success.any()


def test_the_detector_and_stop_rules_hear_one_logit(both: Tensor) -> None:
    model = dp.load_classifier(Bright())
    clean = [torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(seed)) for seed in range(20)]
    seen = classifier_responses(clean, model, iterations=0)
    assert len({found.agreement for found in seen}) > 1
    evidence = [compute_evidence(*each) for each in zip(clean, seen, strict=True)]
    calibration = Calibration.from_evidence(evidence, classifier="Bright", iterations=0, description="noise")
    found = [dp.detect(each, model, calibration=calibration) for each in both]
    assert [each.label_before.label for each in found] == ["0", "1"]
    assert all(0.9 < each.label_before.probability < 1 for each in found)
    rule = Stability(max_iterations=4, classifier=Bright(), consecutive=2)
    probabilities = dp.purify(both[0], stop=rule, return_details=True)
    assert "same answer" in probabilities.stop_reason or "surest" in probabilities.stop_reason
    oracle = dp.Oracle(Bright(), [1], k=1, max_iterations=2)
    assert "not in the top" in dp.purify(both[0], stop=oracle, return_details=True).stop_reason


def test_labels_of_their_own_have_sigmoids_and_no_contrast(both: Tensor) -> None:
    model = dp.load_classifier(Labels(), multi_label=True, labels=["bright", "red", "blue"])
    assert [each.probability for each in model.best(torch.tensor([[0.0, 2.0, -2.0]]))[0]] == pytest.approx(
        torch.tensor([2.0, 0.0, -2.0]).sigmoid().tolist()
    )
    protected = dp.protect(model, stop="fixed:2", views=True)
    assert protected.answer == "restored"
    assert torch.allclose(protected(both), model(both), atol=2)
    assert (protected(both) > 0).tolist() == (model(both) > 0).tolist() == [[False] * 3, [True] * 3]
    fits = dp.protect(model, stop="fixed:2", preset="thorough")
    assert (fits(both) > 0).tolist() == [[False] * 3, [True] * 3]
    assert "auto" in repr(dp.protect(model).stop)
    again = mean_logits(lambda pixels: model(pixels), both)  # a plain function tells nothing of its labels
    assert not torch.allclose(again, mean_logits(model, both))
    for do in (
        lambda: dp.protect(model, answer="contrast"),
        lambda: dp.protect(model, quick=True),
        lambda: dp.protect(model, when="suspicious"),
        lambda: dp.attack(model, both, [0, 1], "fgsm"),
        lambda: classifier_responses(list(both), model, iterations=0),
        lambda: dp.attack(protected, both, [0, 1], "fgsm"),
        lambda: dp.detect(both[0], model),
    ):
        with pytest.raises(dp.OptionError, match="each label by itself"):
            do()


@pytest.mark.parametrize(
    "settings", [{"num_labels": 4, "problem_type": "multi_label_classification"}, {"num_labels": 1}]
)
def test_models_of_the_hub_answer_as_their_own_pipeline_does(settings: dict[str, Any], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **settings
        )
        network = transformers.ResNetForImageClassification(config).eval()
    with torch.no_grad():
        network.classifier[1].bias.fill_(1.5)  # every label is probable
    network.save_pretrained(tmp_path)
    processor = transformers.ConvNextImageProcessor(
        size={"shortest_edge": 32}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    processor.save_pretrained(tmp_path)
    image = Image.fromarray(np.full((32, 32, 3), 128, np.uint8))
    pipe = transformers.pipeline("image-classification", str(tmp_path), device="cpu")
    own = {each["label"]: each["score"] for each in pipe(image)}
    model = dp.load_classifier(tmp_path)
    told = {each.label: each.probability for each in model.top(model.preprocess(image)[None])[0]}
    assert {label: told[label] for label in own} == pytest.approx(own, abs=1e-4)
    for options in ({"views": True, "answer": "restored"}, {"preset": "thorough", "answer": "restored"}, {}):
        answers = dp.hf.protect(pipe, stop="fixed:2", **options)(image)
        assert {each["label"]: each["score"] for each in answers} == pytest.approx(own, abs=0.05)
    bare = dp.protect(network, stop="fixed:2")
    assert bare.is_multi_label is (config.num_labels > 1)
    if config.num_labels > 1:  # an experiment, which asks for one right class, refuses it before anything is made
        (tmp_path / "images/0").mkdir(parents=True)
        image.save(tmp_path / "images/0/a.png")
        experiment = Experiment(images=str(tmp_path / "images"), classifier=str(tmp_path), attacks="fgsm")
        with pytest.raises(dp.OptionError, match="each label by itself"):
            experiment.run(tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_regression_is_no_classifier(hub_directory: Path, tmp_path: Path) -> None:
    for file in hub_directory.iterdir():
        text = file.read_bytes()
        if file.name == "config.json":
            text = text.replace(b'"depths"', b'"problem_type": "regression",\n  "depths"')
        (tmp_path / file.name).write_bytes(text)
    with pytest.raises(dp.ClassifierError, match="is a regression"):
        dp.load_classifier(tmp_path)


def test_a_function_that_gives_one_probability_is_told_to_give_both(both: Tensor) -> None:
    with pytest.raises(dp.ClassifierError, match=r"give both, \[1 - p, p\]"):
        dp.protect(lambda pixels: [[0.7]] * len(pixels), quick=True)(both)
