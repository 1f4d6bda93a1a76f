"""Other people's warnings are silenced in one thread only, and nothing waits for anything meanwhile."""

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import deep_protection as dp
from deep_protection.attacks.libraries import foolbox
from deep_protection.images import read_image
from deep_protection.quiet import importing_quietly, warnings_silenced

PATIENCE = 120
"""Seconds after which something that takes a few is taken to wait for ever."""


def ended(work: Callable[[], object]) -> bool:
    """Whether ``work`` comes to an end, in a thread that may be left behind."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return not thread.is_alive()


@pytest.mark.usefixtures("host_randomness")
def test_a_noisy_attack_goes_through_a_protection_that_decodes_images() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 3))
    protected = dp.protect(network, quick=True, when="suspicious")
    pixels = torch.rand(2, 3, 16, 16)
    labels = protected(pixels).argmax(dim=1)
    fewer = {"num_rotations": 2, "num_translations": 2}
    spec = replace(dp.ATTACKS["spatial"], build=lambda: foolbox().attacks.SpatialAttack(**fewer))
    made: list[torch.Tensor] = []
    assert ended(lambda: made.append(dp.attack(protected, pixels, labels, spec).adversarial))
    assert made[0].shape == pixels.shape


def test_images_are_decoded_while_another_thread_is_silenced() -> None:
    buffer = BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(buffer, "PNG")
    with warnings_silenced(), importing_quietly():
        assert ended(lambda: [read_image(buffer.getvalue()) for _ in range(3)])


def test_only_the_thread_that_asked_for_it_is_silenced() -> None:
    def warn() -> None:
        warnings.warn("heard", UserWarning, stacklevel=1)

    before = list(warnings.filters)
    with warnings_silenced(), ThreadPoolExecutor(1) as other:
        warn()
        with pytest.raises(UserWarning, match="heard"):
            other.submit(warn).result()
        with warnings_silenced():
            warn()
        warn()
    with pytest.raises(UserWarning, match="heard"):
        warn()
    assert warnings.filters == before


def test_silences_that_overlap_leave_the_filters_as_they_were() -> None:
    before = list(warnings.filters)
    first, second = warnings_silenced(), warnings_silenced()

    def crosswise(own: threading.Event, others: threading.Event, silence: object) -> None:
        with silence:  # type: ignore[attr-defined]
            own.set()
            others.wait(PATIENCE)

    one, two = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        work = [pool.submit(crosswise, one, two, first), pool.submit(crosswise, two, one, second)]
        for each in work:
            each.result()
    assert warnings.filters == before


def test_filters_that_an_import_sets_are_taken_away_again() -> None:
    before = list(warnings.filters)
    with importing_quietly():
        warnings.filterwarnings("ignore", message="of a package", category=ResourceWarning)
    assert warnings.filters == before
