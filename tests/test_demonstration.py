"""What the demo shows of what it measured."""

from typing import Any

import numpy as np
import pytest
import torch

import deep_protection as dp
from deep_protection.evaluation import BASELINES, demonstration
from deep_protection.seeds import image_seed


def _column(attack: str, n: int = 10, **right: float) -> dict[str, Any]:
    return {"attack": attack, "n": n, "defences": {name: {"top1": right.get(name, 0.1)} for name in BASELINES}}


def test_the_other_filter_shown_is_the_best_on_attacked_images() -> None:
    columns = [
        _column("none", tv=1.0),
        _column("pgd", median3=0.5, jpeg25=0.9),
        _column("fgsm", median3=0.2, jpeg50=0.3),
    ]
    assert list(demonstration.shown(columns)) == ["none", "jpeg25", "median3", "protected"]
    empty = {"attack": "fgsm", "n": 0, "defences": {name: {"top1": None} for name in BASELINES}}
    assert "median3" in demonstration.shown([*columns[:2], empty])


def test_a_case_says_what_protect_and_a_filter_answer(
    recognised: tuple[torch.Tensor, torch.Tensor], lite0: dp.Classifier
) -> None:
    pixels, label = recognised[0][:1], int(recognised[1][0])
    demonstration._prepare(0, {})
    case = demonstration._work(0, pixels[0].numpy(), label, "fgsm")
    assert case is not None
    made = dp.attack(lite0, pixels, [label], "fgsm", seed=image_seed(0, pixels[0]))
    assert np.array_equal(case.given, made.adversarial[0].numpy())
    with torch.no_grad():
        [seen] = dp.protect(lite0, workers=1).explain(made.adversarial)
    expected = lite0.best(seen.logits[None], 1)[0][0]
    assert (case.kind, case.answers["protected"].best.label) == (seen.answer, expected.label)
    assert case.answers["protected"].best.probability == pytest.approx(expected.probability, abs=1e-5)
    filtered = lite0.top(BASELINES["jpeg25"](made.adversarial), 1)[0][0]
    assert case.answers["jpeg25"].best.label == filtered.label
    assert not case.answers["none"].is_right
