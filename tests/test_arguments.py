"""Arguments of a wrong type or value are one error of ours, before anything is computed; unusual arrays work."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import deep_protection as dp

NETWORK = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 3)).requires_grad_(False)
PIXELS = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
ARRAY: Any = np.ascontiguousarray(PIXELS[0].permute(1, 2, 0).numpy())
WRONG: dict[str, Callable[[], Any]] = {
    "protect None": lambda: dp.protect(None),  # type: ignore[arg-type]
    "protect a list": lambda: dp.ProtectedClassifier([NETWORK]),  # type: ignore[arg-type]
    "a rate in words": lambda: dp.protect(NETWORK, false_positive_rate="0.05"),  # type: ignore[arg-type]
    "a rate of NaN": lambda: dp.protect(NETWORK, false_positive_rate=float("nan")),
    "a rate of 7": lambda: dp.protect(NETWORK, false_positive_rate=7),
    "a calibration of 3": lambda: dp.protect(NETWORK, calibration=3),  # type: ignore[arg-type]
    "a calibration's file that is not there": lambda: dp.protect(NETWORK, calibration="none.json"),
    "views in words": lambda: dp.protect(NETWORK, views="no"),  # type: ignore[arg-type]
    "quick in words": lambda: dp.protect(NETWORK, quick="no"),  # type: ignore[arg-type]
    "protect's pixels in an array": lambda: dp.protect(NETWORK)(PIXELS.numpy()),
    "restored of another shape": lambda: dp.protect(NETWORK).explain(PIXELS, PIXELS),
    "load 3": lambda: dp.load_classifier(3),  # type: ignore[arg-type]
    "a mean of one number": lambda: dp.load_classifier(NETWORK, mean=0.5),  # type: ignore[arg-type]
    "a std in words": lambda: dp.load_classifier(NETWORK, std="abc"),  # type: ignore[arg-type]
    "a mean of NaN": lambda: dp.load_classifier(NETWORK, mean=(float("nan"), 0, 0)),
    "labels in one text": lambda: dp.load_classifier(NETWORK, labels="cat"),
    "top of an array": lambda: dp.load_classifier(NETWORK).top(PIXELS.numpy()),  # type: ignore[arg-type]
    "top of one image": lambda: dp.load_classifier(NETWORK).top(PIXELS[0]),
    "top 0": lambda: dp.load_classifier(NETWORK).top(PIXELS, k=0),
    "top in words": lambda: dp.load_classifier(NETWORK).top(PIXELS, k="5"),  # type: ignore[arg-type]
    "detect with None": lambda: dp.detect(ARRAY, None),  # type: ignore[call-overload]
    "detect's rate in words": lambda: dp.detect(ARRAY, false_positive_rate="x"),  # type: ignore[call-overload]
    "attack a name": lambda: dp.attack("lite0", PIXELS, [0], "fgsm"),  # type: ignore[arg-type]
    "attack by a list": lambda: dp.attack(NETWORK, PIXELS, [0], []),  # type: ignore[arg-type]
    "an oracle of one label": lambda: dp.Oracle(NETWORK, 0),  # type: ignore[arg-type]
    "values that are masked": lambda: dp.purify(np.ma.masked_greater(ARRAY, 0.5)),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_used_is_one_error_of_ours(what: str) -> None:
    with pytest.raises((dp.OptionError, dp.ImageError, dp.ClassifierError)) as caught:
        WRONG[what]()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["read-only", "nothing masked", "turned", "big-endian", "strided"])
def test_arrays_of_every_kind_give_what_plain_ones_give(how: str) -> None:
    plain = dp.purify(ARRAY, stop="fixed:1")
    array = ARRAY.copy()
    if how == "read-only":
        array.setflags(write=False)
    array = {
        "read-only": array,
        "nothing masked": np.ma.masked_array(array),
        "turned": ARRAY[::-1].copy()[::-1],
        "big-endian": array.astype(">f4"),
        "strided": np.repeat(array, 2, axis=1)[:, ::2],
    }[how]
    assert np.array_equal(np.asarray(dp.purify(array, stop="fixed:1"), np.float32), plain)
    assert np.array_equal(array, ARRAY)


def test_a_calibration_is_taken_from_its_file(tmp_path: Any) -> None:
    file = tmp_path / "calibration.json"
    dp.Calibration.shipped("lite0").save(file)
    assert dp.protect("lite0", calibration=file).calibration == dp.Calibration.load(file)
