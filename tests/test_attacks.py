import sys
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import deep_protection as dp
from deep_protection.attacks import find_attack
from deep_protection.attacks.libraries import AutoAttack, foolbox
from deep_protection.attacks.patch import Patch
from deep_protection.attacks.universal import Universal

SHORTER: dict[str, dict[str, float]] = {
    "pgd": {"steps": 10, "rel_stepsize": 0.1},
    "pgd8": {"steps": 10, "rel_stepsize": 0.1},
    "pgd16": {"steps": 10, "rel_stepsize": 0.1},
    "pgd8-random": {"steps": 20, "rel_stepsize": 0.1},
    "pgd8-least": {"steps": 20, "rel_stepsize": 0.1},
    "l2pgd": {"steps": 15, "rel_stepsize": 0.1},
    "cw": {"binary_search_steps": 3, "steps": 40, "stepsize": 0.01},
    "ead": {"binary_search_steps": 3, "steps": 40},
    "hopskipjump": {"steps": 1},
    "saltpepper": {"steps": 100},
    "spatial": {"num_trans": 3, "num_rots": 3},
    "boundary": {"steps": 50},
    "ddn": {"steps": 20},
    "gaussianblur": {"steps": 20},
    "autoattack": {"steps": 10},
    "patch": {"steps": 12},
    "universal": {"steps": 15, "batch": 6},
}
"""Attacks of the table that take minutes, with less of everything."""


def shortened(attack: Any, **settings: float) -> Any:
    for setting, value in settings.items():
        assert hasattr(attack, setting)
        setattr(attack, setting, value)
    return attack


LONG = (
    "hopskipjump",
    "spatial",
    "saltpepper",
    "boundary",
    "cw",
    "ead",
    "pgd8-random",
    "pgd8-least",
    "pgd16",
    "l2pgd",
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.campaign if name in LONG else ()) for name in dp.ATTACKS]
)
def test_every_attack_fools_the_real_classifier_within_its_bounds(
    name: str, lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]
) -> None:
    spec = dp.ATTACKS[name]
    if name == "autoattack":
        pytest.importorskip("torchattacks")
    if name == "patch":
        pytest.importorskip("art")

    def shorter() -> Any:
        return shortened(spec.build(), **SHORTER.get(name, {}))

    count = 4 if spec.norm == "none" else 2
    pixels, labels = recognised[0][:count], recognised[1][:count]
    made = dp.attack(lite0, pixels, labels, replace(spec, build=shorter))
    assert made.adversarial.shape == pixels.shape
    assert made.adversarial.min() >= 0
    assert made.adversarial.max() <= 1
    if spec.epsilon is not None:
        size = made.linf if spec.norm == "Linf" else made.l2
        assert (size <= spec.epsilon + 1e-5).all()
    assert (made.l2[made.success] > 0).all()
    with torch.no_grad():
        answers = lite0(made.adversarial).argmax(dim=1)
    assert torch.equal(answers != labels if made.targets is None else answers == made.targets, made.success)
    assert made.success.float().mean() >= (0.25 if spec.norm == "none" else 0.5)
    assert spec.parameters()["epsilon"] == spec.epsilon


def aimed_at(*given: Any, **settings: Any) -> Tensor:
    targets = dp.attack(*given, **settings).targets
    assert targets is not None
    return targets


ONE_STEP = replace(dp.ATTACKS["pgd8-random"], build=lambda: foolbox().attacks.LinfPGD(steps=1))


def test_who_aims_says_at_what(lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]) -> None:
    pixels, labels = recognised[0][:2], recognised[1][:2]
    first, again, other = (aimed_at(lite0, pixels, labels, ONE_STEP, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    with torch.no_grad():
        worst = lite0(pixels).argmin(dim=1)
    least = replace(ONE_STEP, target="least")
    assert torch.equal(aimed_at(lite0, pixels, labels, least), worst)
    assert (aimed_at(lite0, pixels, worst, least) != worst).all()
    given = torch.tensor([3, 4])
    assert torch.equal(aimed_at(lite0, pixels, labels, ONE_STEP, targets=given), given)
    assert ONE_STEP.parameters()["target"] == "random"
    assert "target" not in dp.ATTACKS["pgd8"].parameters()  # images are kept under these


@pytest.mark.usefixtures("host_randomness")
def test_a_target_drawn_at_random_is_never_the_label() -> None:
    two = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    labels = torch.tensor([0, 1] * 8)
    assert torch.equal(aimed_at(two, torch.full((16, 3, 2, 2), 0.5), labels, ONE_STEP), 1 - labels)


@pytest.mark.usefixtures("host_randomness")
def test_all_four_parts_of_autoattack_meet_what_is_still_right(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("torchattacks")
    torch.manual_seed(0)
    last = nn.Linear(3 * 8 * 8, 1000)
    with torch.no_grad():
        last.bias[7] = 50  # no change of 4/255 makes up for that
    met: dict[str, int] = {}
    for name in ("APGD", "APGDT", "FAB", "Square"):
        part = getattr(library, name)

        def counted(self: Any, *given: Tensor, name: str = name, run: Any = part.forward) -> Any:
            met[name] = len(given[0])
            return run(self, *given)

        monkeypatch.setattr(part, "forward", counted)
    noise = torch.rand(3, 3, 8, 8)
    labels = torch.tensor([7, 7, 8])  # the last is wrong untouched, which the first part finds out
    spec = replace(dp.ATTACKS["autoattack"], build=lambda: shortened(AutoAttack(), steps=4, queries=20))
    made = dp.attack(nn.Sequential(nn.Flatten(), last), noise, labels, spec)
    assert met == {"APGD": 3, "APGDT": 2, "FAB": 2, "Square": 2}
    assert made.success.tolist() == [False, False, True]


def test_autoattack_starts_where_the_seed_says(lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]) -> None:
    pytest.importorskip("torchattacks")
    pixels, labels = recognised[0][:1], recognised[1][:1]
    spec = replace(dp.ATTACKS["autoattack"], build=lambda: shortened(AutoAttack(), steps=5))
    first, again, other = (dp.attack(lite0, pixels, labels, spec, seed=seed).adversarial for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.usefixtures("host_randomness")
def test_a_patch_covers_its_share_at_a_place_from_the_seed() -> None:
    pytest.importorskip("art")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 40, 5)).requires_grad_(False)
    pixels, labels = torch.full((2, 3, 20, 40), 0.5), torch.tensor([0, 1])
    spec = replace(dp.ATTACKS["patch"], build=lambda: shortened(Patch(), steps=30))
    first, again, other = (dp.attack(network, pixels, labels, spec, seed=seed).adversarial for seed in (1, 1, 2))
    assert torch.equal(first, again)
    places = [(made != 0.5).any(dim=1) for made in (first, other)]
    assert not torch.equal(*places)
    assert not torch.equal(*places[0])
    for place in [*places[0], *places[1]]:
        rows, columns = place.any(dim=1).sum(), place.any(dim=0).sum()
        assert place.sum() == rows * columns == 36  # 0.045 of 20 × 40
    aimed = dp.attack(network, pixels, labels, replace(spec, target="random"))
    assert aimed.targets is not None
    before, after = (network(each).gather(1, aimed.targets[:, None]) for each in (pixels, aimed.adversarial))
    assert (after > before).all()


@pytest.mark.usefixtures("host_randomness")
def test_a_universal_perturbation_is_the_same_for_all_images_of_a_model() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 24, 5)).requires_grad_(False)
    spec = replace(dp.ATTACKS["universal"], build=lambda: shortened(Universal(), steps=3))
    images = 0.3 + 0.4 * torch.rand(2, 3, 16, 24)
    alone, other = (dp.attack(network, each[None], [0], spec, seed=seed) for seed, each in enumerate(images))
    change = alone.adversarial - images[:1]
    assert 0 < change.abs().max() <= 10 / 255 + 1e-6
    assert torch.allclose(other.adversarial - images[1:], change, atol=1e-6)
    assert alone.queries == other.queries == 0  # none of its questions is about the attacked image


def test_weights_are_left_as_trainable_as_they_were(lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]) -> None:
    before = [weights.requires_grad for weights in lite0.parameters()]
    dp.attack(lite0, recognised[0][:1], recognised[1][:1], "fgsm")
    assert [weights.requires_grad for weights in lite0.parameters()] == before


def test_the_seed_decides_and_the_global_state_is_left_alone(
    lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]
) -> None:
    pixels, labels = recognised[0][:1], recognised[1][:1]
    first, again, other = (
        dp.attack(lite0, pixels, labels, replace(ONE_STEP, target="none"), seed=seed).adversarial for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_pixels_a_hair_out_of_bounds_are_clamped(lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]) -> None:
    pixels, labels = recognised[0][:1].clone(), recognised[1][:1]
    pixels[0, 0, 0, 0] = 1 + 1e-7
    assert dp.attack(lite0, pixels, labels, "fgsm").adversarial.max() <= 1


def test_labels_may_be_a_list_and_have_to_fit_the_images(
    lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]
) -> None:
    pixels, labels = recognised[0][:1], recognised[1][:1]
    listed, given = (dp.attack(lite0, pixels, each, "fgsm").adversarial for each in (labels.tolist(), labels))
    assert torch.equal(listed, given)
    for wrong in (recognised[1][:2], labels.float(), labels[0]):
        with pytest.raises(dp.OptionError, match="N whole-numbered labels"):
            dp.attack(lite0, pixels, wrong, "fgsm")
        with pytest.raises(dp.OptionError, match="N whole-numbered labels"):
            dp.attack(lite0, pixels, labels, "fgsm", targets=wrong)
    with pytest.raises(dp.OptionError, match="unsqueeze"):
        dp.attack(lite0, pixels[0], labels, "fgsm")


@pytest.fixture
def five() -> nn.Module:
    """A network of five classes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 5))


def test_what_is_not_pixels_is_refused_as_everywhere(five: nn.Module) -> None:
    pixels = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for wrong, what in (
        (pixels * 255, "divide by 255"),
        ((pixels - 0.45) / 0.22, "undo the normalisation"),
        (pixels.where(pixels < 0.9, torch.nan), "NaN or infinite"),
    ):
        with pytest.raises(dp.ImageError, match=what):
            dp.attack(five, wrong, [0, 1], "fgsm")
    for other, what in (
        (pixels.mul(255).byte(), "divide uint8 by 255"),
        (pixels.numpy(), "ndarray"),
        (pixels[:0], "N×3"),
    ):
        with pytest.raises(dp.OptionError, match=what):
            dp.attack(five, other, [0, 1], "fgsm")  # type: ignore[arg-type]
    double = dp.attack(five, pixels.double(), [0, 1], "fgsm").adversarial
    assert torch.equal(double, dp.attack(five, pixels, [0, 1], "fgsm").adversarial)


def test_labels_are_of_any_whole_type_and_classes_of_the_model(five: nn.Module) -> None:
    pixels = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    arrays = [np.array([1, 4], kind) for kind in (np.int32, np.uint16, np.int64)]
    given: list[Any] = [torch.tensor([1, 4], dtype=kind) for kind in whole] + [
        torch.from_numpy(each) for each in arrays
    ]
    for spec in ("fgsm", "pgd8-random"):
        made = [dp.attack(five, pixels, labels, spec, seed=3).adversarial for labels in ([1, 4], *given)]
        assert all(torch.equal(each, made[0]) for each in made)
    for wrong in ([0, 5], [-1, 0], torch.tensor([0, 250], dtype=torch.uint8)):
        with pytest.raises(dp.OptionError, match=r"classes are 0 to 4|classes from 0 on"):
            dp.attack(five, pixels, wrong, "fgsm")
        with pytest.raises(dp.OptionError, match=r"classes are 0 to 4|classes from 0 on"):
            dp.attack(five, pixels, [0, 1], "pgd", targets=wrong)
    for name in ("fgsm", "autoattack"):
        with pytest.raises(dp.OptionError, match="cannot aim"):
            dp.attack(five, pixels, [0, 1], name, targets=[2, 3])
    for odd in (["a", "b"], None, torch.tensor([True, False])):
        with pytest.raises(dp.OptionError, match="whole"):
            dp.attack(five, pixels, odd, "fgsm")  # type: ignore[arg-type]
    with pytest.raises(dp.OptionError, match="seed must be"):
        dp.attack(five, pixels, [0, 1], "fgsm", seed=0.5)  # type: ignore[arg-type]


def test_an_unknown_attack_says_what_there_is() -> None:
    with pytest.raises(dp.OptionError, match="unknown attack 'magic'; there are: autoattack, boundary, cw"):
        find_attack("magic")


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]
) -> None:
    monkeypatch.setitem(sys.modules, "foolbox", None)
    with pytest.raises(dp.MissingExtraError, match=r"pip install 'deep-protection\[attacks\]'"):
        dp.attack(lite0, *recognised, "pgd")


class Counting(nn.Module):
    """Two classes, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layer = nn.Linear(3 * 4 * 4, 2)
        self.asked = 0

    def forward(self, pixels: Tensor) -> Tensor:
        self.asked += 1
        return cast(Tensor, self.layer(pixels.flatten(1)))


ENDLESS = replace(dp.ATTACKS["pgd16"], epsilon=0.4, build=lambda: foolbox().attacks.LinfPGD(steps=10**9))
GREY = torch.full((2, 3, 4, 4), 0.5)


def test_an_attack_can_be_cancelled_at_every_question() -> None:
    model = Counting()
    with pytest.raises(dp.CancelledError):
        dp.attack(model, GREY, [0, 0], ENDLESS, is_cancelled=lambda: model.asked >= 7)
    assert model.asked == 7
    model(GREY)  # nothing is left behind that would end it


@pytest.mark.parametrize("spec", [ENDLESS, replace(ENDLESS, epsilon=1e-6)], ids=["in time", "too small to be found"])
def test_an_attack_whose_time_is_over_gives_what_it_has_found(
    spec: dp.AttackSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Counting()
    monkeypatch.setattr("deep_protection.attacks._attack.time.monotonic", lambda: float(model.asked))
    with torch.no_grad():
        labels = model(GREY).argmax(dim=1)
    made = dp.attack(model, GREY, labels, spec, seconds=200)
    assert made.is_out_of_time
    assert made.success.all() == (spec is ENDLESS)
    assert spec.within(made.adversarial - GREY).all()
    assert torch.equal(made.adversarial, GREY) == (spec is not ENDLESS)
    assert not dp.attack(model, GREY, labels, "fgsm", seconds=200).is_out_of_time
    with pytest.raises(dp.OptionError, match="seconds must be positive"):
        dp.attack(model, GREY, labels, spec, seconds=0)
