"""Running an attack of the table, and saying honestly whether it worked."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from deep_protection.attacks.libraries import Attacked, Closest, class_logits, foolbox
from deep_protection.attacks.table import ATTACKS, AttackSpec
from deep_protection.classifiers import evaluating, name_of, refuse_multi_label, try_out
from deep_protection.errors import CancelledError, ClassifierError, OptionError
from deep_protection.images import check_dense, check_unit_range
from deep_protection.quiet import warnings_silenced
from deep_protection.restoration.options import FitOptions, never
from deep_protection.seeds import checked_seed


@dataclass(frozen=True, slots=True, eq=False)
class AttackResult:
    """What an attack made of ``N`` images."""

    adversarial: Tensor
    """``N×3×H×W`` float32 in ``[0, 1]``; not rounded to 8 bits, which alone undoes weak attacks."""
    success: Tensor
    """``N`` booleans: the model's answer is not the label, or is the target where there is one."""
    success_8bit: Tensor
    """The same after rounding to 8 bits, as any saved file would be."""
    linf: Tensor
    """``N`` largest absolute changes of a value."""
    l2: Tensor
    """``N`` Euclidean lengths of the perturbation."""
    queries: Tensor
    """``N`` numbers of images that the model was asked about; a batch shares them evenly."""
    targets: Tensor | None = None
    """``N`` classes that were aimed at; None where any wrong answer will do."""
    is_out_of_time: bool = False
    """Whether ``seconds`` were over before the attack was. Then each image is the closest that it had found to fool the
    model, or as it was."""


def attack(
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor | Sequence[int],
    spec: str | AttackSpec,
    *,
    targets: Tensor | Sequence[int] | None = None,
    seed: int = 0,
    seconds: float | None = None,
    is_cancelled: Callable[[], bool] = never,
) -> AttackResult:
    """Attack ``model`` (pixels in ``[0, 1]`` to logits) on ``N×3×H×W`` images with ``N`` true labels.

    With ``targets`` (``N`` classes) it has succeeded when the answer is the target; not every attack can aim. If none
    are given, a targeted row of the table chooses its own.
    A model with one output says yes or no: label 1 where it is above 0, else label 0.
    Leave out images that the model gets wrong anyway: foolbox counts them as successes at distance zero.
    Random starts come from ``seed``; the global random state is put back.

    Args:
        model: where it is, it is asked.
        pixels: on the model's device.
        labels: the true classes.
        spec: a name of the table ``ATTACKS``, or a row of your own.
        targets: classes to aim at.
        seed: where random starts come from.
        seconds: wall time for the call; after it comes what was found by then, and ``is_out_of_time`` says so.
        is_cancelled: asked before every question to the model; when true, :class:`CancelledError` is raised. How many
            questions there will be no attack says, so there is no ``progress``.

    Raises:
        ImageError: pixels are not in ``[0, 1]``.
        OptionError: pixels are no floats, or labels and targets are not as many classes of the model.
        ClassifierError: the model's answer holds no logits.
        CancelledError: it was cancelled.
    """
    options = FitOptions(seed=seed, seconds=seconds, is_cancelled=is_cancelled)
    with torch.inference_mode(False), torch.enable_grad():  # whatever the caller's mode: attacks want gradients
        return _attack(model, pixels, labels, find_attack(spec), targets, options)


def _attack(
    model: nn.Module,
    pixels: Tensor,
    labels: Tensor | Sequence[int],
    spec: AttackSpec,
    targets: Tensor | Sequence[int] | None,
    options: FitOptions,
) -> AttackResult:
    if not isinstance(model, nn.Module):
        raise OptionError(f"an attack is made on a module, got {type(model).__name__}; load it with load_classifier")
    refuse_multi_label(model, "an attack")
    seed = checked_seed(options.seed)
    pixels = _checked(pixels)
    labels = _classes(labels, pixels)
    targets = None if targets is None else _classes(targets, pixels)
    try_out(model, pixels)
    library = foolbox()
    run = spec.build()
    silenced = warnings_silenced() if spec.is_noisy else nullcontext()
    is_out_of_time = False
    with evaluating(model), _frozen(model), _randomness(seed, pixels.device), silenced:
        attacked = Attacked(model, [labels] if targets is None else [labels, targets]).eval()
        host = library.PyTorchModel(attacked, bounds=(0, 1), device=pixels.device)
        host.network = model  # foolbox keeps it inside a function
        if targets is None and spec.target != "none":
            targets = _chosen_targets(attacked, pixels, labels, spec.target, seed)
        criteria = library.criteria
        wanted = criteria.Misclassification(labels) if targets is None else criteria.TargetedMisclassification(targets)
        closest = Closest(pixels, labels, targets, spec.within)
        if options.seconds is not None:
            attacked.closest = closest
        try:
            with _interruptible(model, options):
                _, adversarial, _ = run(host, pixels, wanted, epsilons=spec.epsilon)
        except _OutOfTimeError:
            adversarial, is_out_of_time = closest.images, True
        except (ValueError, AttributeError) as error:
            if targets is None or not any(word in str(error) for word in ("unsupported criterion", "'labels'")):
                raise
            raise OptionError(f"{spec.name} cannot aim; leave targets out, or use an attack such as pgd") from error
        except RuntimeError as error:
            if "does not require grad" not in str(error):
                raise
            raise ClassifierError(
                f"{name_of(model)} gives no gradient: it detaches its answer, or computes it outside of PyTorch; use "
                "an attack that only asks (saltpepper, hopskipjump, boundary)"
            ) from error
    adversarial = adversarial.detach()
    change = (adversarial - pixels).flatten(1)
    return AttackResult(
        adversarial=adversarial,
        success=is_fooled(model, adversarial, labels, targets),
        success_8bit=is_fooled(model, adversarial.mul(255).round().div(255), labels, targets),
        linf=change.abs().amax(dim=1),
        l2=change.norm(dim=1),
        queries=torch.full((len(pixels),), attacked.asked / len(pixels), dtype=torch.float32, device="cpu"),
        targets=targets,
        is_out_of_time=is_out_of_time,
    )


class _OutOfTimeError(Exception):
    """Ends an attack from inside."""


@contextmanager
def _interruptible(model: nn.Module, options: FitOptions) -> Iterator[None]:
    """Every question to the model is where the attack may end."""
    end = None if options.seconds is None else time.monotonic() + options.seconds

    def look(*_: object) -> None:
        if options.is_cancelled():
            raise CancelledError("the attack was cancelled")
        if end is not None and time.monotonic() > end:
            raise _OutOfTimeError

    hook = model.register_forward_pre_hook(look)
    try:
        yield
    finally:
        hook.remove()


def find_attack(spec: str | AttackSpec) -> AttackSpec:
    """The row of the table that a name means."""
    if isinstance(spec, AttackSpec):
        return spec
    if not isinstance(spec, str) or spec not in ATTACKS:
        raise OptionError(f"unknown attack {spec!r}; there are: {', '.join(sorted(ATTACKS))}")
    return ATTACKS[spec]


def _checked(pixels: Tensor) -> Tensor:
    """``N×3×H×W`` float32 in ``[0, 1]``; foolbox asserts the bounds exactly, and resizing overshoots by rounding."""
    if not isinstance(pixels, Tensor) or pixels.ndim != 4 or 0 in pixels.shape:
        got = tuple(pixels.shape) if isinstance(pixels, Tensor) else type(pixels).__name__
        raise OptionError(
            f"an attack takes a tensor of N×3×H×W pixels and N whole-numbered labels, got {got}; use unsqueeze(0) for "
            "a single image"
        )
    check_dense(pixels, "the batch")
    if not pixels.dtype.is_floating_point:
        raise OptionError(f"an attack takes pixels as floats in [0, 1], got {pixels.dtype}; divide uint8 by 255")
    return check_unit_range(pixels.detach().clone().float(), "the batch")


def _classes(given: Tensor | Sequence[int], pixels: Tensor) -> Tensor:
    """``N`` labels or targets for ``N×3×H×W`` pixels, as int64 on their device."""
    try:
        numbers = given.numpy(force=True) if isinstance(given, Tensor) else np.array(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptionError(f"labels are N whole numbers, got {type(given).__name__} ({error})") from None
    if numbers.shape != tuple(pixels.shape[:1]) or numbers.dtype.kind not in "iu":
        raise OptionError(
            f"an attack takes N×3×H×W pixels and N whole-numbered labels, got {tuple(pixels.shape)} and "
            f"{numbers.dtype} of shape {numbers.shape}; give a label an image"
        )
    whole = torch.from_numpy(numbers.astype(np.int64)).to(pixels.device)
    if int(whole.min()) < 0:
        raise OptionError(f"labels and targets are classes from 0 on, got {int(whole.min())}")
    return whole


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Without gradients for weights, which no attack wants and which cost as much as those for pixels."""
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    for weights in trained:
        weights.requires_grad_(False)
    try:
        yield
    finally:
        for weights in trained:
            weights.requires_grad_(True)


@contextmanager
def _randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Everything drawn at random inside comes from ``seed``: foolbox draws with PyTorch and with NumPy."""
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


@torch.no_grad()
def _chosen_targets(
    model: nn.Module, pixels: Tensor, labels: Tensor, how: Literal["random", "least"], seed: int
) -> Tensor:
    """``N`` classes to aim at, never the label: drawn evenly from ``seed``, or the one that ``model`` finds least
    probable (Kurakin et al. 2017, arXiv:1607.02533).
    """
    logits: Tensor = model(pixels)
    if how == "least":
        # The label may itself be the least probable where the model is wrong.
        return logits.scatter(1, labels[:, None], torch.inf).argmin(dim=1)
    classes = logits.shape[1]
    steps = torch.randint(1, classes, labels.shape, device="cpu", generator=torch.Generator("cpu").manual_seed(seed))
    return (labels + steps.to(labels.device)) % classes


@torch.no_grad()
def is_fooled(model: nn.Module, pixels: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """``N`` booleans for ``N×3×H×W``: the answer is the target, or any but the label where there is no target."""
    with evaluating(model):
        answers = class_logits(model, pixels, [labels] if targets is None else [labels, targets]).argmax(dim=-1)
    fooled: Tensor = answers != labels if targets is None else answers == targets
    return fooled
