"""The answer to the restored image alone; the answer by contrast has a file of its own."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import deep_protection as dp
from deep_protection.attacks.libraries import foolbox
from deep_protection.classifiers import views
from deep_protection.protection import straight_through


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    """A classifier of five classes for images of any size, weights from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 5)
        ).eval()


@pytest.fixture
def images(recognised: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.interpolate(recognised[0][:3], size=(32, 32), mode="area")


def test_it_restores_then_classifies(tiny: nn.Module, images: Tensor) -> None:
    protected = dp.protect(tiny, answer="restored", stop="fixed:6", seed=2)
    expected = tiny(dp.purify(images, stop="fixed:6", seed=2))
    assert torch.equal(protected(images), expected)
    assert not torch.equal(protected(images), tiny(images))
    assert protected(images[:0]).shape == (0, 5)


def test_the_gradient_is_that_of_the_classifier_at_the_restored_image(tiny: nn.Module, images: Tensor) -> None:
    protected = dp.protect(tiny, answer="restored", stop="fixed:6")
    given = images.clone().requires_grad_()
    protected(given).sum().backward()
    restored = protected.purify(images).detach().requires_grad_()
    tiny(restored).sum().backward()
    assert given.grad is not None
    assert restored.grad is not None
    assert torch.equal(given.grad, restored.grad)
    assert given.grad.abs().sum() > 0


def test_straight_through_is_the_identity_backwards() -> None:
    given = torch.linspace(0, 1, 6).reshape(2, 3).requires_grad_()
    (straight_through(given, lambda values: values.round() * 7) * torch.arange(3)).sum().backward()
    assert given.grad is not None
    assert torch.equal(given.grad, torch.arange(3.0).expand(2, -1))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_works_in_every_gradient_mode(mode: Any, tiny: nn.Module, images: Tensor) -> None:
    protected = dp.protect(tiny, answer="restored", stop="fixed:4")
    expected = protected(images).detach()
    with mode():
        assert torch.equal(protected(images * 1), expected)


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_foolbox_attacks_run_against_the_defence(name: str, tiny: nn.Module, images: Tensor) -> None:
    """White box, through the restoration: the adaptive attacker's own path."""
    protected = dp.protect(tiny, answer="restored", stop="fixed:2", seed=None)
    labels = tiny(images).argmax(dim=1)
    made = dp.attack(protected, images[:2], labels[:2], name)
    assert made.adversarial.shape == images[:2].shape
    assert (made.linf > 0).all(), "no gradient came through"
    assert (made.linf <= (8.1 if name == "fgsm" else 4.1) / 255).all()


def test_a_white_box_attack_lowers_the_defended_real_classifiers_confidence(
    lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]
) -> None:
    pixels, labels = recognised[0][:1], recognised[1][:1]
    protected = dp.protect(lite0, answer="restored", stop="fixed:3")
    made = dp.attack(
        protected,
        pixels,
        labels,
        replace(dp.ATTACKS["pgd"], build=lambda: foolbox().attacks.LinfPGD(steps=8, rel_stepsize=0.125)),
    )
    before, after = (protected(given).softmax(-1)[0, labels[0]].item() for given in (pixels, made.adversarial))
    assert after < before


def test_a_fresh_seed_at_every_call_only_when_asked(tiny: nn.Module, images: Tensor) -> None:
    fixed, fresh = (dp.protect(tiny, answer="restored", stop="fixed:3", seed=seed) for seed in (0, None))
    assert torch.equal(fixed(images), fixed(images))
    assert not torch.equal(fresh(images), fresh(images))


def test_it_is_a_module_like_any_other(tiny: nn.Module, images: Tensor) -> None:
    protected = nn.Sequential(dp.protect(tiny, answer="restored", stop="fixed:2"), nn.Softmax(dim=-1)).eval()
    assert torch.allclose(protected(images).sum(dim=1), torch.ones(3))
    assert len(list(protected.parameters())) == len(list(tiny.parameters()))


def test_normalisation_stays_behind_the_restoration(tiny: nn.Module, images: Tensor) -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    protected = dp.protect(tiny, answer="restored", stop="fixed:2", mean=mean, std=std)
    restored = dp.purify(images, stop="fixed:2")
    expected = tiny((restored - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1))
    assert torch.allclose(protected(images), expected)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(3, 8, 8), "N×3×H×W"),
        (torch.zeros(1, 1, 8, 8), "N×3×H×W"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "N×3×H×W"),
        (torch.full((1, 3, 8, 8), 2.0), r"expected \[0, 1\]"),
    ],
)
def test_what_is_not_pixels_is_refused(bad: Tensor, message: str, tiny: nn.Module) -> None:
    with pytest.raises(dp.ImageError, match=message):
        dp.protect(tiny, answer="restored", stop="fixed:2")(bad)


def test_bad_settings_are_refused_when_it_is_made(tiny: nn.Module) -> None:
    wrong: dict[str, Any]
    for wrong in ({"preset": "x"}, {"stop": "x"}, {"seed": -1}):
        with pytest.raises(dp.OptionError):
            dp.protect(tiny, answer="restored", **wrong)


def test_views_are_averaged_and_let_gradients_through(tiny: nn.Module, images: Tensor) -> None:
    protected = dp.protect(tiny, answer="restored", stop="fixed:4", views=True)
    restored = protected.purify(images).detach()
    seen = views(restored)
    assert all(view.shape == restored.shape for view in seen)
    assert torch.equal(seen[1], restored.flip(-1))
    assert len({view.sum().item() for view in seen[1:]}) == 3
    expected = torch.stack([tiny(view).softmax(dim=-1) for view in seen]).mean(dim=0)
    assert torch.allclose(protected(images).softmax(dim=-1), expected, atol=1e-6)
    given = images.clone().requires_grad_()
    protected(given)[:, 0].sum().backward()
    assert given.grad is not None
    assert given.grad.abs().sum() > 0


def test_a_fit_ends_when_the_classifiers_answer_has_settled(
    lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]
) -> None:
    protected = dp.protect(lite0, answer="restored")
    image = recognised[0][:1]
    details = dp.purify(
        image, stop=protected.preset.rule_asking(lite0, 224), return_details=True, keep_outputs=True, workers=1
    )[0]
    answers = [int(lite0(output[None]).argmax()) for output in details.trajectory.outputs.values()]
    assert details.stop_rule == "auto"
    assert len(set(answers[-4:])) == 1 or details.iterations_run == protected.preset.max_iterations
    assert not any(len(set(answers[end - 4 : end])) == 1 for end in range(4, len(answers)))
    assert torch.equal(protected.purify(image)[0], details.image)


def test_images_in_tiles_are_stopped_without_the_classifier(tiny: nn.Module) -> None:
    preset = dp.Preset(
        name="tiled", recipe=dp.PRESETS["fast"].recipe, stop="auto", max_iterations=20, tile=64, overlap=16
    )
    large = torch.rand(1, 3, 70, 66, generator=torch.Generator().manual_seed(0))
    assert dp.protect(tiny, answer="restored", preset=preset)(large).shape == (1, 5)
    with pytest.raises(dp.OptionError, match="classifies whole images"):
        dp.protect(tiny, answer="restored", preset=preset, stop="stable:3")(large)


def test_several_fits_are_asked_one_by_one_and_their_answers_averaged(tiny: nn.Module, images: Tensor) -> None:
    protected = dp.protect(tiny, answer="restored", preset="thorough", stop="fixed:3", seed=2)
    details = dp.purify(images, preset="thorough", stop="fixed:3", seed=2, return_details=True)
    fits = [torch.stack([trajectory.restored for trajectory in result.trajectories]) for result in details]
    answers = torch.stack([tiny(each).softmax(dim=-1).mean(dim=0) for each in fits])
    assert torch.allclose(protected(images).softmax(dim=-1), answers, atol=1e-6)
    assert torch.allclose(protected.purify(images), torch.stack([result.image for result in details]), atol=1e-6)
    assert protected(images[:0]).shape == (0, 5)
    given = images.clone().requires_grad_()
    protected(given)[:, 0].sum().backward()
    assert given.grad is not None
    assert (given.grad.abs().amax(dim=(1, 2, 3)) > 0).all()


def test_several_fits_of_an_image_in_tiles_are_averaged_as_images(tiny: nn.Module) -> None:
    recipe = dp.PRESETS["fast"].recipe
    preset = dp.Preset(name="tiled", recipe=recipe, stop="fixed:2", fits=2, tile=64, overlap=16)
    large = torch.rand(1, 3, 70, 66, generator=torch.Generator().manual_seed(0))
    expected = tiny(dp.purify(large, preset=preset)).softmax(dim=-1)
    assert torch.allclose(
        dp.protect(tiny, answer="restored", preset=preset)(large).softmax(dim=-1), expected, atol=1e-6
    )
