"""The answer by contrast: its formulas on made-up answers, and the whole on a real classifier under real attacks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import deep_protection as dp
from deep_protection.detection import (
    Responses,
    agreement,
    centred,
    compress,
    compress_range,
    margin,
    repair_specks,
    respond,
)
from deep_protection.evaluation import imagenet_samples
from deep_protection.protection import decide
from deep_protection.protection.contrast import AGREED, STRENGTH, by_chance, is_agreement
from deep_protection.stopping import psnr


def answers(*rows: Sequence[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32).log_softmax(dim=-1)


def responses(original: Sequence[float], reference: Sequence[float], mild: Sequence[float] | None = None) -> Responses:
    """Every reference says the same; mild changes too, unless they say fallback."""
    rows = answers(*[reference] * 4)
    first = answers(original)
    weak = rows if mild is None else answers(*[mild] * 4)
    return Responses(
        original=first[0],
        image=torch.cat([first, rows[1:] if mild is None else weak[1:]]),
        restored=rows,
        compressed=rows,
        mild=weak,
    )


def test_shifts_in_one_direction_agree_and_scattered_ones_do_not() -> None:
    draw = torch.Generator().manual_seed(0)
    direction = torch.randn(50, generator=draw)
    together = direction + 0.1 * torch.randn(12, 50, generator=draw)
    apart = torch.randn(12, 50, generator=draw)
    assert agreement(together) > 0.98
    assert agreement(apart) < 0.5
    assert agreement(together + torch.randn(12, 1, generator=draw)) == pytest.approx(agreement(together), abs=1e-5)
    assert agreement(-together) == pytest.approx(agreement(together), abs=1e-6)
    assert centred(together).mean(dim=-1).abs().max() < 1e-6


@pytest.mark.parametrize("classes", [2, 3, 5, 10, 50, 200])
def test_unrelated_answers_seldom_agree_by_chance_however_few_the_classes(classes: int) -> None:
    drawn = torch.randn(1000, 12, classes, generator=torch.Generator().manual_seed(classes)).log_softmax(dim=-1)
    flagged = [is_agreement(Responses(each[0], each[:4], each[4:8], each[8:], each[:4])) for each in drawn]
    assert sum(flagged) <= 0.06 * len(flagged)
    assert classes > 2 or not any(flagged), "two classes have one direction only: everything agrees"


def test_the_answer_goes_on_in_the_direction_in_which_references_move_it() -> None:
    """The attacked class leads still after every restoration; the one that was pushed down has risen most."""
    others = [1.0] * 40
    found = responses([8, 0, *others], [4, 3, *others], [7, 1, *others])
    decision = decide(found, is_suspicious=True)
    assert found.mean.argmax() == 0
    assert found.agreement > AGREED + by_chance(42)
    assert decision.kind == "contrast"
    assert decision.strength == STRENGTH
    assert decision.log_probabilities.argmax() == 1
    expected = found.mean + STRENGTH * centred(found.mean - found.original)
    assert torch.allclose(decision.log_probabilities, expected)


def test_what_is_not_suspicious_keeps_its_own_answer() -> None:
    found = responses(original=[8, 0, 1, 1, 1], reference=[4, 3, 1, 1, 1])
    decision = decide(found, is_suspicious=False)
    assert decision.kind == "own"
    assert torch.equal(decision.log_probabilities, found.original)


def close_call(original: Sequence[float], reference: Sequence[float]) -> Responses:
    """Forty classes; restorations that say the same as mild changes but for noise of their own."""
    first, weak = (answers([*each, *[-2.0] * 35]) for each in (original, reference))
    noise = 3 * torch.randn(2, 4, 40, generator=torch.Generator().manual_seed(0))
    restored, compressed = (weak + noise).log_softmax(dim=-1)
    mild = weak.expand(4, -1)
    return Responses(first[0], torch.cat([first, mild[1:]]), restored, compressed, mild)


def test_a_tie_is_decided_by_mild_changes_whoever_made_it() -> None:
    found = close_call([3.01, 3, 0, 0, 0], [1.0, 4, 0, 5, 0])
    assert margin(found.original) < 0.05
    assert found.agreement < 0.9
    assert found.mild.mean(dim=0).argmax() == 3, "a third class, which the tie rules out"
    for is_suspicious in (True, False):
        decision = decide(found, is_suspicious=is_suspicious)
        assert decision.kind == "mild"
        assert decision.log_probabilities.argmax() == 1


def test_the_image_itself_counts_as_a_mild_change_only_where_specks_were_repaired_in_it() -> None:
    """The same answers but for the word that specks were repaired: the first row of ``image`` is then no attack's."""
    found = close_call([3.01, 3, 0, 0, 0], [1.0, 4, 0, 5, 0])
    plain, repaired = (decide(replace(found, is_repaired=each), is_suspicious=True) for each in (False, True))
    assert not torch.allclose(plain.log_probabilities, repaired.log_probabilities)
    weak = [found.image[1:].mean(dim=0), found.mild.mean(dim=0)]
    assert torch.allclose(plain.log_probabilities, torch.stack(weak).mean(dim=0) + found.original)


def test_a_close_call_is_the_images_own_unless_mild_changes_say_otherwise() -> None:
    for reference, kind, label in (([1.0, 4, 0, 0, 0], "mild", 1), ([4.0, 3, 0, 0, 0], "own", 0)):
        decision = decide(close_call([3.3, 3, 0, 0, 0], reference), is_suspicious=False)
        assert decision.kind == kind
        assert decision.log_probabilities.argmax() == label
    assert decide(close_call([6, 3, 0, 0, 0], [1.0, 4, 0, 0, 0]), is_suspicious=False).kind == "own"


def test_a_fragile_perturbation_gets_the_mild_answer_and_not_one_carried_too_far() -> None:
    """As after a targeted attack: gone by mild changes already; class 2 has risen more than the true class 1."""
    found = responses(original=[9, 0, -6, 0, 0], reference=[0, 5, 4, 0, 0], mild=[0, 6, 0, 0, 0])
    assert (found.mean + STRENGTH * found.shift).argmax() == 2
    decision = decide(found, is_suspicious=True)
    assert decision.kind == "mild"
    assert decision.log_probabilities.argmax() == 1


def test_scattered_shifts_are_not_followed() -> None:
    scattered = 2 * torch.randn(11, 40, generator=torch.Generator().manual_seed(0))
    first = nn.functional.one_hot(torch.tensor([3]), 40).float()
    rows = (scattered + first).log_softmax(dim=-1)
    own = first.log_softmax(dim=-1)
    found = Responses(own[0], torch.cat([own, rows[:3]]), rows[3:7], rows[7:], own.expand(4, -1))
    decision = decide(found, is_suspicious=True)
    assert decision.kind == "contrast"
    assert decision.strength == 0
    assert torch.allclose(decision.log_probabilities, found.mean)


def test_labels_alone_fall_back_to_the_restored_image() -> None:
    one_hot = torch.full((4, 3), 1e-9).log()
    first, second = one_hot.clone(), one_hot.clone()
    first[:, 0], second[:, 1] = 0, 0
    found = Responses(first[0], first, second, first, first)
    assert decide(found, is_suspicious=True, labels_only=True).kind == "restored"
    assert decide(found, is_suspicious=True, labels_only=True).log_probabilities.argmax() == 1
    assert decide(found, is_suspicious=False, labels_only=True).log_probabilities.argmax() == 0


def test_each_view_of_each_kind_is_asked_about_once_and_the_original_again_only_where_it_had_specks() -> None:
    shown: list[Tensor] = []

    def ask(pixels: Tensor) -> Tensor:
        shown.append(pixels)
        return pixels.mean(dim=(2, 3)).log_softmax(dim=-1)

    kinds = [torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    found = respond(ask, kinds[0][0], kinds)
    assert sum(len(each) for each in shown) == 16
    assert torch.equal(found.original, found.image[0])
    assert torch.equal(found.restored[0], kinds[1].mean(dim=(2, 3)).log_softmax(dim=-1)[0])
    shown.clear()
    specked = kinds[0][0].clone()
    specked[:, 3, 3] = 1
    found = respond(ask, specked, kinds)
    assert sum(len(each) for each in shown) == 17
    assert torch.equal(found.original, specked.mean(dim=(1, 2)).log_softmax(dim=-1))
    assert not torch.equal(found.original, found.image[0])


def test_specks_are_repaired_and_nothing_else_is_touched(recognised: tuple[Tensor, Tensor]) -> None:
    clean = recognised[0][0]
    assert repair_specks(clean) is clean
    specked = clean.clone()
    places = torch.randperm(222 * 222, generator=torch.Generator().manual_seed(0))[:150]
    rows, columns = 1 + places // 222, 1 + places % 222
    specked[:, rows, columns] = (torch.arange(150) % 2).float()
    repaired = repair_specks(specked)
    damaged = torch.zeros(224, 224, dtype=torch.bool)
    damaged[rows, columns] = True
    assert torch.equal(repaired[:, ~damaged], clean[:, ~damaged])
    touched = (repaired != specked).any(dim=0)
    assert touched.sum() > 50
    assert (repaired - clean).abs()[:, touched].mean() < 0.1 * (specked - clean).abs()[:, touched].mean()


def test_compression_takes_as_much_from_a_hazy_image_as_from_a_clear_one(photographs: tuple[Tensor, Tensor]) -> None:
    clear = photographs[0][0]
    clear = (clear - clear.amin()) / (clear.amax() - clear.amin())
    assert torch.equal(compress_range(clear, 25), compress(clear, 25))
    hazy = 0.6 + 0.25 * clear
    cleared = (compress_range(hazy, 25) - 0.6) / 0.25
    assert psnr(cleared, compress(clear, 25)) > 40
    assert psnr((compress(hazy, 25) - 0.6) / 0.25, clear) < psnr(cleared, clear) - 3
    for flat in (torch.zeros(3, 16, 16), torch.full((3, 16, 16), 0.3), torch.ones(3, 16, 16)):
        assert torch.allclose(compress_range(flat, 25), flat, atol=1e-6)


@pytest.fixture(scope="module")
def photographs(lite0: dp.Classifier) -> tuple[Tensor, Tensor]:
    """Four photographs that lite0 gets right."""
    samples = imagenet_samples()[:6]
    pixels = torch.stack([lite0.preprocess(image).clamp(0, 1) for image, _ in samples])
    labels = torch.tensor([label for _, label in samples])
    with torch.no_grad():
        seen = lite0(pixels).argmax(dim=1) == labels
    return pixels[seen][:4], labels[seen][:4]


def test_clean_photographs_keep_the_classifiers_own_answer(
    lite0: dp.Classifier, photographs: tuple[Tensor, Tensor]
) -> None:
    with torch.no_grad():
        found = dp.protect(lite0).explain(photographs[0])
        own = lite0(photographs[0])
    unsuspected = [number for number, each in enumerate(found) if not each.is_suspicious]
    assert len(unsuspected) >= len(found) - 1
    for number in unsuspected:
        assert found[number].answer == "own"
        assert torch.allclose(found[number].logits, own[number], atol=1e-4)


@pytest.mark.parametrize(("attack", "least"), [("pgd", 0.75), ("fgsm", 0.5)])
def test_a_real_classifier_is_right_again_under_real_attacks(
    attack: str, least: float, lite0: dp.Classifier, photographs: tuple[Tensor, Tensor]
) -> None:
    """The main job on real parts, beside the answer to the restored image alone."""
    pixels, labels = photographs
    made = dp.attack(lite0, pixels, labels, attack)
    attacked, truth = made.adversarial[made.success], labels[made.success]
    assert len(truth) >= len(labels) - 2, "the attack no longer works, so nothing is shown"
    with torch.no_grad():
        found = dp.protect(lite0).explain(attacked)
        restored = dp.protect(lite0, answer="restored")(attacked[:3]).argmax(dim=1)
    right = torch.stack([each.logits for each in found]).argmax(dim=1) == truth
    assert right.float().mean() >= least
    by_itself = restored == truth[:3]
    assert right[:3].sum() >= by_itself.sum()
    assert attack != "pgd" or by_itself.any(), "a part is right again by itself"
    for each in found:
        assert each.answer != "own" or not each.is_suspicious
        assert each.restored.shape == pixels[0].shape


def test_quick_fits_nothing(lite0: dp.Classifier, attacked: Tensor, recognised: tuple[Tensor, Tensor]) -> None:
    def fitted(*_: Any) -> None:
        raise AssertionError("something was fitted")

    model = dp.protect(lite0, quick=True, progress=fitted)
    with torch.no_grad():
        assert (model(attacked).argmax(dim=1) == recognised[1][:2]).any()
    with pytest.raises(dp.OptionError, match="quick fits nothing"):
        dp.protect(lite0, quick=True, answer="restored")


def test_what_is_clearly_clean_is_not_fitted_and_all_else_is_answered_as_without_the_first_look(
    lite0: dp.Classifier, photographs: tuple[Tensor, Tensor], attacked: Tensor
) -> None:
    given = torch.cat([photographs[0][:3], attacked[:1]])
    calibration = replace(dp.Calibration.shipped("lite0"), first_look=None)
    with torch.no_grad():
        found = dp.protect(lite0).explain(given)
        fitted = dp.protect(lite0, calibration=calibration).explain(given)
        own = lite0(given)
    spared = [n for n, each in enumerate(found) if "at a first look" in each.reason]
    assert 0 < len(spared) < len(given), "nothing is compared with anything"
    assert not any("at a first look" in each.reason for each in fitted)
    for n, (one, other) in enumerate(zip(found, fitted, strict=True)):
        assert one.answer == other.answer
        assert one.is_suspicious == other.is_suspicious
        assert torch.allclose(one.logits, other.logits, atol=1e-3)
        if n in spared:
            assert torch.allclose(one.logits, own[n], atol=1e-4)
        else:
            assert one.p_value == other.p_value
            assert torch.equal(one.restored, other.restored)


def test_a_first_look_spares_nothing_that_is_to_be_flagged(
    lite0: dp.Classifier, photographs: tuple[Tensor, Tensor]
) -> None:
    heard: list[dp.Progress] = []
    with torch.no_grad():
        found = dp.protect(lite0, false_positive_rate=0.95, progress=heard.append).explain(photographs[0][:1])[0]
    assert heard, "at this rate nearly every image is flagged, and so fitted"
    assert found.is_suspicious


@pytest.mark.parametrize(("value", "message"), [(2.0, r"expected \[0, 1\]"), (torch.nan, "NaN or infinite")])
@pytest.mark.parametrize("quick", [True, False])
def test_what_is_not_pixels_is_refused_whether_or_not_anything_is_fitted(
    quick: bool, value: float, message: str
) -> None:
    wrong = torch.full((1, 3, 16, 16), 0.5)
    wrong[0, 0, 3, 4] = value
    with pytest.raises(dp.ImageError, match=message):
        dp.protect(Tiny(), quick=quick).explain(wrong)


def test_the_same_image_and_seed_give_the_same_answer_in_any_company(
    lite0: dp.Classifier, photographs: tuple[Tensor, Tensor]
) -> None:
    model = dp.protect(lite0, stop="fixed:3")
    with torch.no_grad():
        together = model.explain(photographs[0][:2])
        alone = model.explain(photographs[0][1:2])[0]
    assert alone.agreement == pytest.approx(together[1].agreement, abs=1e-4)
    assert alone.answer == together[1].answer
    assert torch.equal(alone.restored, together[1].restored)


class Tiny(nn.Sequential):
    """Five classes for images of any size, weights from a seed."""

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            super().__init__(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 5))


@pytest.fixture
def small_images(recognised: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.interpolate(recognised[0][:2], size=(32, 32), mode="area")


def test_without_a_calibration_a_fixed_threshold_decides_and_says_so(small_images: Tensor) -> None:
    model = dp.protect(Tiny(), stop="fixed:2")
    assert model.calibration is None
    for each in model.explain(small_images):
        assert "no calibration" in each.reason
        assert each.p_value is None
        assert each.is_suspicious == is_agreement(each.responses)


def test_gradients_reach_the_image_through_every_kind_of_answer(small_images: Tensor) -> None:
    """The attacker of tier 4 attacks the answer that is really given: all references count, not the image alone."""
    tiny = Tiny()
    model = dp.protect(tiny, stop="fixed:2", when="always")
    given = small_images[:1].clone().requires_grad_()
    found = model.explain(given)[0]
    assert found.answer in {"mild", "contrast"}
    found.logits[0].backward()
    assert given.grad is not None
    bare = small_images[:1].clone().requires_grad_()
    tiny(bare)[0, 0].backward()
    assert bare.grad is not None
    assert given.grad.abs().sum() > 0
    assert not torch.allclose(given.grad, bare.grad)


def test_no_graph_is_kept_for_pixels_that_want_no_gradient(small_images: Tensor) -> None:
    """Sixteen answers an image would otherwise hold sixteen times a classifier's activations."""
    model = dp.protect(Tiny(), stop="fixed:2", when="always")
    assert not model(small_images).requires_grad
    assert model(small_images.clone().requires_grad_()).requires_grad


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_foolbox_attacks_run_against_the_answer_by_contrast(name: str, small_images: Tensor) -> None:
    model = dp.protect(Tiny(), stop="fixed:2", seed=None)
    labels = model(small_images).argmax(dim=1)
    made = dp.attack(model, small_images, labels, replace(dp.ATTACKS[name], epsilon=4 / 255))
    assert (made.linf > 0).all(), "no gradient came through"


def test_of_several_fits_each_is_asked_about(small_images: Tensor) -> None:
    model = dp.protect(Tiny(), preset="thorough", stop="fixed:2")
    found = model.explain(small_images[:1])[0]
    assert found.responses.restored.shape == (4 * 4, 5)
    assert found.responses.compressed.shape == (4, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answer": "loud"}, "answer must be one of contrast, restored"),
        ({"when": "sometimes"}, "when must be one of always, suspicious"),
        ({"views": False}, "needs the views"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(dp.OptionError, match=message):
        dp.protect(Tiny(), **options)


def test_only_answers_by_contrast_are_explained(small_images: Tensor) -> None:
    with pytest.raises(dp.OptionError, match="only answers by contrast"):
        dp.protect(Tiny(), answer="restored").explain(small_images)
