"""Networks that wrap their logits in something, or work in half precision, are classifiers like others."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import deep_protection as dp
from deep_protection.detection import classifier_responses
from deep_protection.logits import read_logits
from deep_protection.stopping import Stability


class Pair(NamedTuple):
    aux: Tensor
    logits: Tensor


class Answering(nn.Module):
    """A small network that gives its logits in a form."""

    def __init__(self, form: Callable[[Tensor], Any], classes: int = 5) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.linear = nn.Linear(48, classes)
        self.form, self.images = form, 0

    def forward(self, pixels: Tensor) -> Any:
        self.images += len(pixels)
        return self.form(self.linear(nn.functional.adaptive_avg_pool2d(pixels, 4).flatten(1)))


FORMS: dict[str, Callable[[Tensor], Any]] = {
    "logits": lambda logits: logits,
    "dict": lambda logits: {"loss": None, "logits": logits},
    "tuple": lambda logits: (logits, logits.sum()),
    "list": lambda logits: [logits],
    "named tuple": lambda logits: Pair(logits.neg(), logits),
    "attribute": lambda logits: SimpleNamespace(logits=logits),
}
WRONG: dict[str, Callable[[Tensor], Any]] = {
    "a ndarray": lambda logits: logits.detach().numpy(),
    "a dict with 'scores'": lambda logits: {"scores": logits},
    "a tuple of nothing": lambda _: (),
    "a tuple of NoneType, Tensor": lambda logits: (None, logits),
    "a tensor of torch.int64": lambda logits: logits.argmax(dim=-1),
    r"values of shape \(1, 5, 1, 1\)": lambda logits: logits[..., None, None],
    r"values of shape \(2, 5\)": lambda logits: logits.repeat(2, 1),
    "a NoneType": lambda _: None,
}


SHORT = replace(dp.PRESETS["fast"], max_iterations=2)


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("form", FORMS)
def test_logits_are_found_wherever_networks_put_them(form: str, pixels: Tensor) -> None:
    plain, wrapped = Answering(FORMS["logits"]), Answering(FORMS[form])
    expected = plain(pixels)
    assert torch.equal(read_logits(wrapped(pixels), 2, "it"), expected)
    assert torch.equal(dp.load_classifier(wrapped)(pixels), expected)
    labels = expected.argmax(dim=1)
    options: dict[str, Any]
    for options in ({"quick": True}, {"answer": "restored", "stop": "stable:2", "preset": SHORT, "views": True}):
        answers = [dp.protect(each, **options)(pixels[:1]) for each in (plain, wrapped)]
        assert torch.equal(*answers)
    assert torch.equal(*(dp.attack(each, pixels, labels, "fgsm").adversarial for each in (plain, wrapped)))
    assert torch.equal(
        *(classifier_responses(list(pixels[:1]), each, iterations=0)[0].mean for each in (plain, wrapped))
    )
    for rule in (dp.Oracle(wrapped, [0], k=1, max_iterations=2), Stability(max_iterations=2, classifier=wrapped)):
        assert dp.purify(pixels[0], stop=rule, return_details=True).iterations_run <= 2


@pytest.mark.parametrize("said", WRONG)
def test_what_holds_no_logits_is_said_before_anything_is_fitted(said: str, pixels: Tensor) -> None:
    network = Answering(WRONG[said])

    def fitted(_: dp.Progress) -> None:
        raise AssertionError("something was fitted")

    for do in (
        lambda: dp.protect(network, progress=fitted)(pixels[:1]),
        lambda: dp.protect(network, progress=fitted).explain(pixels[:1]),
        lambda: dp.protect(network, answer="restored", stop="fixed:9", progress=fitted)(pixels[:1]),
        lambda: classifier_responses(list(pixels[:1]), network, options=dp.FitOptions(progress=fitted)),
        lambda: dp.load_classifier(network).top(pixels[:1]),
        lambda: dp.attack(network, pixels[:1], [0], "fgsm"),
    ):
        with pytest.raises(dp.ClassifierError, match=f"Answering answers .*{said}.* N×classes logits"):
            do()


def test_trying_a_network_out_is_one_question_in_its_life(pixels: Tensor) -> None:
    network = Answering(FORMS["logits"])
    protected = dp.protect(network, quick=True)
    counts = []
    for _ in range(3):
        before = network.images
        protected(pixels[:1])
        counts.append(network.images - before)
    assert counts == [17, 16, 16]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_a_network_of_another_type_is_asked_in_it_and_pixels_are_not_rounded_before(
    kind: torch.dtype, pixels: Tensor
) -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    network = Answering(FORMS["logits"]).to(kind)
    model = dp.load_classifier(network, mean=mean, std=std)
    normalised = (pixels - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    wider = torch.promote_types(kind, torch.float32)
    assert torch.equal(model(pixels), network(normalised.to(kind)).to(wider))
    labels = network(pixels.to(kind)).argmax(dim=1)
    for protected in (dp.protect(network, quick=True), dp.protect(model, quick=True)):
        assert protected(pixels).dtype == wider
        made = dp.attack(protected, pixels, labels, "fgsm")
        assert made.adversarial.dtype == torch.float32
    assert dp.attack(network, pixels, labels, "pgd").linf.max() <= 4 / 255 + 1e-6
    assert classifier_responses(list(pixels[:1]), network, iterations=0)[0].mean.dtype == torch.float32
