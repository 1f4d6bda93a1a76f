"""``dp.protect`` under the checks and attacks of foolbox, torchattacks and AutoAttack themselves."""

import logging
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import deep_protection as dp
from deep_protection.attacks.libraries import foolbox, torchattacks
from deep_protection.fitting import FitTask, fit
from deep_protection.protection import straight_through

pytestmark = pytest.mark.usefixtures("host_randomness")
SIZE = 8 / 255


@pytest.fixture(scope="module")
def tiny() -> nn.Module:
    """A classifier of twelve classes, as many as AutoAttack's targeted attacks want, weights from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 12)
        ).eval()


@pytest.fixture
def images(recognised: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.interpolate(recognised[0][:2], size=(32, 32), mode="area")


def test_foolbox_takes_it_without_a_word(tiny: nn.Module, images: Tensor) -> None:
    library = foolbox()
    protected = dp.protect(tiny, stop="fixed:3")
    host = library.PyTorchModel(protected, bounds=(0, 1), device="cpu")  # it warns of models in training mode
    labels = protected(images).argmax(dim=1)
    assert library.accuracy(host, images, labels) == 1
    attack = library.attacks.LinfProjectedGradientDescentAttack(steps=2)
    _, [small, large], success = attack(host, images, labels, epsilons=[1 / 255, SIZE])
    assert success.shape == (2, 2)
    assert 0 < (small - images).abs().max() <= 1 / 255 + 1e-6
    assert 1 / 255 < (large - images).abs().max() <= SIZE + 1e-6


@pytest.mark.parametrize("answer", ["contrast", "restored"])
def test_torchattacks_takes_it_and_moves_the_image(answer: Any, tiny: nn.Module, images: Tensor) -> None:
    protected = dp.protect(tiny, answer=answer, stop="fixed:3")
    labels = protected(images).argmax(dim=1)
    attack = torchattacks().PGD(protected, eps=SIZE, alpha=4 / 255, steps=2)
    assert torch.equal(attack.get_logits(images), protected(images))
    made = attack(images, labels)
    assert not protected.training
    assert 4 / 255 < (made - images).abs().max() <= SIZE + 1e-6


def test_torchattacks_attacks_through_the_restoration(tiny: nn.Module, images: Tensor) -> None:
    protected = dp.protect(tiny, answer="restored", stop="fixed:3")
    labels = protected(images).argmax(dim=1)
    made = torchattacks().PGD(protected, eps=SIZE, alpha=4 / 255, steps=2)(images, labels)

    @torch.no_grad()
    def loss(given: Tensor) -> float:
        return float(nn.functional.cross_entropy(protected(given), labels))

    assert loss(made) > loss(images)


@pytest.fixture
def flags(caplog: pytest.LogCaptureFixture) -> Any:
    """What AutoAttack's own checks say of a module, as a list of texts."""
    from pyautoattack import checks

    log = logging.getLogger("auto-attack")

    def asked(model: nn.Module, pixels: Tensor, labels: Tensor) -> list[str]:
        caplog.clear()
        checks.funcs.update(dict.fromkeys(checks.funcs, 0))  # counted over all models of a process
        checks.check_randomized(model, pixels, labels, logger=log)
        checks.check_range_output(model, pixels, logger=log)
        checks.check_dynamic(model, pixels, logger=log)
        given = pixels.clone().requires_grad_()
        model(given).amax(dim=1).sum().backward()
        assert given.grad is not None
        checks.check_zero_gradients(given.grad, logger=log)
        return [record.getMessage() for record in caplog.records]

    return asked


@pytest.mark.parametrize(
    "options",
    [{}, {"when": "always"}, {"preset": "thorough", "when": "always"}, {"answer": "restored"}],
    ids=str,
)
def test_autoattack_has_no_flag_for_a_fixed_seed(
    options: dict[str, Any], flags: Any, tiny: nn.Module, images: Tensor
) -> None:
    """Logits, not probabilities; gradients that are not zero; the same answer each time."""
    protected = dp.protect(tiny, stop="fixed:3", **options)
    assert flags(protected, images, protected(images).argmax(dim=1)) == []


def test_autoattack_calls_fresh_seeds_randomised(flags: Any, tiny: nn.Module, images: Tensor) -> None:
    """Where a fit is behind the answer; a classifier's own is the same each time."""
    protected = dp.protect(tiny, answer="restored", stop="fixed:3", seed=None)
    [said] = flags(protected, images, protected(images).argmax(dim=1))
    assert 'randomized defense! Please use version="rand"' in said
    protected = dp.protect(tiny, stop="fixed:3", seed=None)
    assert not {"contrast", "restored"} & {each.answer for each in protected.explain(images)}
    assert flags(protected, images, protected(images).argmax(dim=1)) == []


def test_autoattack_does_not_see_that_the_defence_optimises(flags: Any, tiny: nn.Module, images: Tensor) -> None:
    """Its flag for dynamic defences follows the calling thread alone, and fits have threads of their own: the
    documents say so. The same fit in the calling thread is seen.
    """

    class InThisThread(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            preset = dp.PRESETS["fast"]

            def fitted(given: Tensor) -> Tensor:
                tasks = [
                    FitTask(target=each, recipe=preset.recipe, rule=preset.rule("fixed:1"), seed=0) for each in given
                ]
                return torch.stack([fit(task).restored for task in tasks])

            logits: Tensor = tiny(straight_through(pixels, fitted))
            return logits

    assert threading.current_thread() is threading.main_thread()
    images = images[:1, :, ::2, ::2]  # being followed makes everything slow
    labels = tiny(images).argmax(dim=1)
    assert not any("dynamic" in said for said in flags(dp.protect(tiny, stop="fixed:1"), images, labels))
    said = flags(InThisThread().eval(), images, InThisThread()(images).argmax(dim=1))
    assert [each.split("!")[0] for each in said] == ["it seems to be a dynamic defense"]


@pytest.mark.parametrize("version", ["custom", "rand"])
def test_autoattack_runs_through_it(version: str, tiny: nn.Module, images: Tensor) -> None:
    from pyautoattack import AutoAttack

    protected = dp.protect(tiny, stop="fixed:2", seed=0 if version == "custom" else None)
    labels = dp.protect(tiny, stop="fixed:2")(images).argmax(dim=1)
    attacks = {"attacks": ["apgd-ce", "square"]} if version == "custom" else {}
    run = AutoAttack(protected, norm="Linf", eps=SIZE, version=version, seed=0, **attacks)
    assert run.apgd.eot_iter == (1 if version == "custom" else 20)
    run.apgd.n_iter, run.apgd.n_restarts, run.apgd.eot_iter, run.square.n_queries = 2, 1, 2, 2
    made, answers = run.run_standard_evaluation(images, labels, batch_size=2)
    assert (made - images).abs().max() <= SIZE + 1e-6
    assert answers.shape == (2,)


LOOKING_OUTSIDE: dict[str, dict[str, int]] = {
    "NIFGSM": {"steps": 2},
    "SINIFGSM": {"steps": 2},
    "VMIFGSM": {"steps": 2, "N": 2},
    "VNIFGSM": {"steps": 2, "N": 2},
    "SPSA": {"nb_sample": 2, "nb_iter": 1},
    "SparseFool": {"steps": 1},
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torchattacks")
@pytest.mark.filterwarnings("ignore:pixels lie up to")  # said where no gradient is asked for
@pytest.mark.parametrize("name", LOOKING_OUTSIDE)
@pytest.mark.parametrize("options", [{"quick": True}, {"answer": "restored", "stop": "fixed:1"}])
def test_attacks_that_look_outside_the_range_on_their_way_are_answered(
    name: str, options: dict[str, Any], tiny: nn.Module
) -> None:
    pixels = torch.rand(2, 3, 16, 16).round(decimals=1)  # many at the very ends
    protected = dp.protect(tiny, workers=1, **options)
    made = getattr(torchattacks(), name)(protected, **LOOKING_OUTSIDE[name])(pixels, tiny(pixels).argmax(dim=1))
    assert made.shape == pixels.shape


def test_pixels_a_little_outside_are_clamped_and_keep_their_gradient(tiny: nn.Module) -> None:
    protected = dp.protect(tiny, quick=True)
    pixels = torch.rand(2, 3, 16, 16)
    outside = (pixels - 0.5) * 1.05 + 0.5
    assert outside.min() < -0.01
    with pytest.warns(UserWarning, match=r"pixels lie up to 0\.02\d* outside \[0, 1\]"):
        answered = protected(outside)
    assert torch.equal(answered, protected(outside.clamp(0, 1)))
    given = outside.clone().requires_grad_()
    protected(given).sum().backward()
    assert given.grad is not None
    assert (given.grad[outside < 0] != 0).any()
    for wrong in (pixels * 255, (pixels - 0.45) / 0.22, pixels * 2 - 1, pixels.where(pixels < 0.9, torch.nan)):
        for each in (wrong, wrong.clone().requires_grad_()):
            with pytest.raises(dp.ImageError, match=r"divide by 255|undo the normalisation|NaN"):
                protected(each)
    together = torch.cat([pixels, pixels * 2 - 1]).requires_grad_()
    with pytest.raises(dp.ImageError, match="undo the normalisation"):
        protected(together)
