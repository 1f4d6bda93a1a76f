"""RobustBench's own measure over ``dp.protect``; ``make test-integrations`` has it."""

import sys
import warnings
from importlib.metadata import PackageNotFoundError, version

import pytest
import torch
from benchmarks.without_operators import import_torchvision
from torch import Tensor

import deep_protection as dp

try:
    version("robustbench")  # torchattacks brings a folder of that name, which is not it
except PackageNotFoundError:
    pytest.skip("robustbench is not installed: make test-integrations", allow_module_level=True)


def test_robustbenchs_clean_accuracy_is_the_defences(
    lite0: dp.Classifier, recognised: tuple[Tensor, Tensor], host_randomness: None
) -> None:
    del host_randomness
    import pyautoattack
    import pyautoattack.state

    import_torchvision()
    # The release on PyPI imports AutoAttack by the name that it has on GitHub.
    sys.modules.update({"autoattack": pyautoattack, "autoattack.state": pyautoattack.state})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from robustbench.utils import clean_accuracy
    pixels, labels = recognised[0][:4], recognised[1][:4]
    attacked = dp.attack(lite0, pixels, labels, "fgsm").adversarial
    protected = dp.protect(lite0)
    with torch.no_grad():
        right = (protected(attacked).argmax(dim=1) == labels).float().mean().item()
    assert clean_accuracy(protected, attacked, labels, batch_size=3) == pytest.approx(right)
    assert clean_accuracy(lite0, attacked, labels, batch_size=3) == 0
