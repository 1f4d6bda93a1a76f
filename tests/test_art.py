"""Our parts inside the real Adversarial Robustness Toolbox."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import deep_protection as dp
from deep_protection.integrations.art import DeepPriorDetector, DeepPriorPreprocessor

pytestmark = pytest.mark.usefixtures("host_randomness")  # ART's predict draws a seed for its loader


def art_classifier(model: nn.Module, shape: tuple[int, ...], classes: int, **options: Any) -> Any:
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        model=model,
        loss=nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=classes,
        device_type="cpu",
        **{"clip_values": (0, 1), **options},
    )


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    """A classifier of five classes for images of any size, weights from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 5)
        ).eval()


@pytest.fixture
def images(recognised: tuple[Tensor, Tensor]) -> np.ndarray[Any, np.dtype[np.float32]]:
    made: np.ndarray[Any, np.dtype[np.float32]] = nn.functional.interpolate(
        recognised[0][:4], size=(32, 32), mode="area"
    ).numpy()
    return made


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_arts_answers_are_those_for_purified_images(batch_size: int, tiny: nn.Module, images: Any) -> None:
    defence = DeepPriorPreprocessor(stop="fixed:4", seed=3, batch_size=batch_size)
    defended = art_classifier(tiny, (3, 32, 32), 5, preprocessing_defences=defence, preprocessing=(0.4, 0.2))
    restored = dp.purify(torch.from_numpy(images), stop="fixed:4", seed=3)
    with torch.no_grad():
        expected = tiny((restored - 0.4) / 0.2).numpy()
    assert np.allclose(defended.predict(images), expected, atol=1e-6)
    assert np.array_equal(defence(images)[0], restored.numpy())


def test_gradients_are_those_of_the_classifier_at_the_restored_images(tiny: nn.Module, images: Any) -> None:
    labels = np.eye(5, dtype=np.float32)[[0, 1, 2, 3]]
    defence = DeepPriorPreprocessor(stop="fixed:4")
    defended = art_classifier(tiny, (3, 32, 32), 5, preprocessing_defences=[defence])
    bare = art_classifier(tiny, (3, 32, 32), 5)
    restored, _ = defence(images)
    assert np.allclose(defended.loss_gradient(images, labels), bare.loss_gradient(restored, labels), atol=1e-7)
    assert np.allclose(defended.class_gradient(images, 2), bare.class_gradient(restored, 2), atol=1e-7)
    gradient = np.random.default_rng(0).normal(size=images.shape).astype(np.float32)
    assert np.array_equal(defence.estimate_gradient(images, gradient), gradient)


def test_it_is_chained_with_arts_own_defences_and_attacked_through(tiny: nn.Module, images: Any) -> None:
    from art.attacks.evasion import ProjectedGradientDescent
    from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
    from art.preprocessing.standardisation_mean_std import StandardisationMeanStdPyTorch

    chain: list[PreprocessorPyTorch] = [
        DeepPriorPreprocessor(stop="fixed:2", seed=None),
        StandardisationMeanStdPyTorch(mean=0.4, std=0.2, device_type="cpu"),
    ]
    defended = art_classifier(tiny, (3, 32, 32), 5, preprocessing_defences=chain)
    assert defended.all_framework_preprocessing
    attack = ProjectedGradientDescent(defended, eps=8 / 255, eps_step=2 / 255, max_iter=3, verbose=False)
    made = attack.generate(images, y=defended.predict(images).argmax(axis=1))
    assert (np.abs(made - images).reshape(4, -1).max(axis=1) > 1 / 255).all(), "no gradient came through"
    assert np.abs(made - images).max() <= 8 / 255 + 1e-6


def test_arts_attack_on_a_real_classifier_is_undone_in_arts_own_metric(
    lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]
) -> None:
    from art.attacks.evasion import FastGradientMethod
    from art.utils import compute_accuracy, to_categorical

    pixels, labels = recognised[0][:4].numpy(), to_categorical(recognised[1][:4].numpy(), 1000)
    bare = art_classifier(lite0, (3, 224, 224), 1000)
    defended = art_classifier(lite0, (3, 224, 224), 1000, preprocessing_defences=DeepPriorPreprocessor())
    adversarial = FastGradientMethod(bare, eps=2 / 255).generate(pixels, y=labels)

    def accuracy(classifier: Any) -> float:
        return float(compute_accuracy(classifier.predict(adversarial), labels)[0])

    assert accuracy(bare) <= 0.25
    assert accuracy(defended) >= accuracy(bare) + 0.4


def test_a_protected_classifier_is_a_model_of_arts(
    lite0: dp.Classifier, recognised: tuple[Tensor, Tensor], attacked: Tensor
) -> None:
    from art.utils import compute_accuracy, to_categorical

    pixels, labels = recognised[0][:2].numpy(), to_categorical(recognised[1][:2].numpy(), 1000)
    protected = dp.protect(lite0, quick=True)
    bare, defended = (art_classifier(model, (3, 224, 224), 1000) for model in (lite0, protected))
    adversarial = attacked.numpy()
    assert compute_accuracy(bare.predict(adversarial), labels)[0] == 0
    answers = defended.predict(adversarial)
    assert compute_accuracy(answers, labels)[0] >= 0.5
    with torch.no_grad():
        explained = protected.explain(torch.from_numpy(adversarial))
    assert "contrast" in [each.answer for each in explained]
    assert np.allclose(answers, torch.stack([each.logits for each in explained]).numpy(), atol=1e-4)
    assert np.allclose(defended.predict(pixels), bare.predict(pixels), atol=1e-4), "its own answers, untouched"
    assert np.abs(defended.loss_gradient(adversarial[:1], labels[:1])).max() > 0


def test_channels_last_and_other_ranges(tiny: nn.Module, images: Any) -> None:
    del tiny
    last = np.moveaxis(images, 1, -1) * 255
    defence = DeepPriorPreprocessor(stop="fixed:3", channels_first=False, clip_values=(0.0, 255.0))
    restored, labels = defence(last, np.arange(4))
    expected = dp.purify(torch.from_numpy(last).permute(0, 3, 1, 2) / 255, stop="fixed:3")
    assert np.allclose(restored, expected.permute(0, 2, 3, 1).numpy() * 255, atol=1e-3)
    assert restored.dtype == np.float32
    assert labels is not None
    assert labels.tolist() == [0, 1, 2, 3]


def test_nothing_is_done_while_training_unless_asked(tiny: nn.Module) -> None:
    assert (DeepPriorPreprocessor().apply_fit, DeepPriorPreprocessor().apply_predict) == (False, True)
    assert DeepPriorPreprocessor(apply_fit=True).apply_fit
    assert "DeepPriorPreprocessor" in repr(
        art_classifier(tiny, (3, 32, 32), 5, preprocessing_defences=DeepPriorPreprocessor())
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": "best"}, {"stop": "never"}, {"seed": -1}, {"batch_size": 0}, {"batch_size": 1.5}, {"workers": 0},
        {"channels_first": 1}, {"verbose": "yes"}, {"clip_values": None}, {"clip_values": (1, 0)},
        {"clip_values": (0, 1, 2)},
    ],
    ids=str,
)  # fmt: skip
def test_parameters_are_checked_as_art_checks_its_own(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        DeepPriorPreprocessor(**wrong)
    defence = DeepPriorPreprocessor()
    with pytest.raises(ValueError, match=r"."):
        defence.set_params(**wrong)


def test_parameters_can_be_set_afterwards() -> None:
    defence = DeepPriorPreprocessor()
    defence.set_params(stop="fixed:3", batch_size=2)
    assert (defence.stop, defence.batch_size) == ("fixed:3", 2)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 8, 8), np.float32), "input dimension"),
        (np.zeros((1, 3, 8, 8), np.uint8), "floats within clip_values"),
        (np.full((1, 3, 8, 8), 2.0, np.float32), r"expected \[0, 1\]"),
        (np.full((1, 3, 8, 8), np.nan, np.float32), "NaN"),
    ],
)
def test_what_is_not_images_is_refused(x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeepPriorPreprocessor()(x)


def test_the_detector_says_what_ours_says(lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]) -> None:
    pixels, labels = recognised[0][:2], recognised[1][:2]
    both = np.concatenate([pixels.numpy(), dp.attack(lite0, pixels, labels, "mifgsm").adversarial.numpy()])
    detector = DeepPriorDetector(art_classifier(lite0, (3, 224, 224), 1000), quick=True)
    report, flags = detector.detect(both, batch_size=3)
    ours = dp.detect(list(torch.from_numpy(both)), lite0, quick=True)
    assert flags.dtype == np.bool_
    assert flags.tolist() == [each.is_suspicious for each in ours]
    assert flags.tolist() == [False, False, True, True]
    assert report["score"] == pytest.approx([each.score for each in ours])
    assert report["agreement"] == pytest.approx([each.agreement for each in ours])
    assert (report["agreement"][flags] > report["agreement"][~flags].max()).all()
    assert report["label_before"].tolist() == [each.label_before.index for each in ours]
    assert report["label_after"].tolist() == [each.label_after.index for each in ours]
    assert set(report["evidence"]) == set(ours[0].evidence)


@pytest.mark.parametrize("wrap", [nn.Identity, lambda: nn.Softmax(dim=-1)], ids=["logits", "probabilities"])
def test_fit_calibrates_on_clean_images_of_any_art_classifier(wrap: Callable[[], nn.Module], tiny: nn.Module) -> None:
    random = np.random.default_rng(0)
    clean = (random.random((24, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2) * 255).astype(np.float32)

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.wrap = tiny, wrap()

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = self.wrap(self.network(x.permute(0, 3, 1, 2) / 255) * 10)
            return made

    classifier = art_classifier(Last(), (32, 32, 3), 5, channels_first=False, clip_values=(0, 255))
    detector = DeepPriorDetector(classifier, quick=True, false_positive_rate=0.2)
    with pytest.raises(ValueError, match="call fit on at least 20 clean images"):
        detector.detect(clean)
    with pytest.raises(ValueError, match="at least 20 clean images, got 5"):
        detector.fit(clean[:5])
    detector.fit(clean, batch_size=10)
    assert detector.calibration is not None
    assert len(detector.calibration.scores) == 24
    report, flags = detector.detect(clean)
    assert flags.mean() <= 0.3
    assert report["label_before"].tolist() == classifier.predict(clean).argmax(axis=1).tolist()
    specks = np.where(random.random((24, 32, 32, 1)) < 0.05, 255 - clean, clean).astype(np.float32)
    assert detector.detect(specks)[0]["score"].mean() > report["score"].mean()
    report, flags = detector.detect(clean[:0])
    assert len(flags) == 0 == len(report["score"])


@pytest.mark.parametrize(
    "wrong", [{"false_positive_rate": 0}, {"quick": 1}, {"seed": -1}, {"workers": 0}, {"seed": 1.5}], ids=str
)
def test_the_detectors_parameters_are_checked(wrong: dict[str, Any], tiny: nn.Module) -> None:
    classifier = art_classifier(tiny, (3, 32, 32), 5)
    with pytest.raises(ValueError, match=r"."):
        DeepPriorDetector(classifier, **wrong)
    detector = DeepPriorDetector(classifier)
    with pytest.raises(ValueError, match=r"."):
        detector.set_params(**wrong)
    assert set(detector.get_params()) == {"false_positive_rate", "quick", "seed", "workers"}
    with pytest.raises(ValueError, match="clip_values"):
        DeepPriorDetector(art_classifier(tiny, (3, 32, 32), 5, clip_values=None))


def test_both_say_in_arts_words_what_they_do_not_do() -> None:
    for part in (DeepPriorPreprocessor, DeepPriorDetector):
        assert part.__doc__ is not None
        assert "Please keep in mind the limitations of" in part.__doc__
        assert "1902.06705" in part.__doc__
