"""A protected network is asked in evaluation mode, and its own mode stays what it is."""

import pytest
import torch
from torch import Tensor, nn

import deep_protection as dp
from deep_protection.detection import classifier_responses


@pytest.fixture
def network() -> nn.Module:
    """With statistics that move and values that are dropped in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2),
            nn.BatchNorm2d(8),
            nn.Dropout(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, 3),
        )


@pytest.fixture
def pixels() -> Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("training", ["protected", "around", "network"])
@pytest.mark.parametrize("options", [{"quick": True}, {"answer": "restored", "stop": "fixed:1"}])
def test_training_mode_changes_neither_answers_nor_the_network(
    training: str, options: dict[str, object], network: nn.Module, pixels: Tensor
) -> None:
    protected = dp.protect(network, **options)  # type: ignore[arg-type]
    assert not network.training
    expected = protected(pixels)
    {"protected": protected, "around": nn.Sequential(protected), "network": network}[training].train()
    modes = [each.training for each in network.modules()]
    assert modes == [training == "network"] * len(modes)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    assert torch.equal(protected(pixels), expected)
    protected.purify(pixels)
    if "quick" in options:
        protected.explain(pixels)
        protected.respond(pixels)
    protected.eval()
    assert [each.training for each in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_attacks_and_the_detector_ask_in_evaluation_mode_too(network: nn.Module, pixels: Tensor) -> None:
    network.eval()
    labels = network(pixels).argmax(dim=1)
    expected = dp.attack(network, pixels, labels, "fgsm").adversarial
    seen = classifier_responses(list(pixels), network, iterations=0)
    network.train()
    assert torch.equal(dp.attack(network, pixels, labels, "fgsm").adversarial, expected)
    for first, again in zip(seen, classifier_responses(list(pixels), network, iterations=0), strict=True):
        assert torch.equal(first.mean, again.mean)
    assert network.training
    assert network[1].training  # type: ignore[index]
    assert int(network[1].num_batches_tracked) == 0  # type: ignore[index]
