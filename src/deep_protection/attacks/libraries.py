"""The doors to foolbox and torchattacks: imported late, quietly, and with a clear word when they are missing."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deep_protection.classifiers import ask
from deep_protection.errors import MissingExtraError, OptionError
from deep_protection.logits import as_classes
from deep_protection.optional import import_optional
from deep_protection.quiet import importing_quietly


def foolbox() -> Any:
    """The foolbox module (Rauber et al. 2020, https://doi.org/10.21105/joss.02607)."""
    for module in ("foolbox.attacks", "foolbox.criteria"):
        import_optional(module, needed_for="an attack", extra="attacks")
    return import_optional("foolbox", needed_for="an attack", extra="attacks")


def torchattacks() -> Any:
    """The torchattacks module (Kim 2020, arXiv:2010.01950)."""
    try:
        with importing_quietly():
            import torchattacks  # no extra: it asks for a release of requests that nothing else can live with
    except ImportError as error:
        raise MissingExtraError(
            f"AutoAttack and Square need torchattacks, which is missing ({error}); run: "
            "pip install --no-deps torchattacks"
        ) from error
    return torchattacks


class Attacked(nn.Module):
    """A network as attacks want one: logits of two classes or more; and it counts the images."""

    def __init__(self, network: nn.Module, wanted: Sequence[Tensor]) -> None:
        super().__init__()
        self.network, self.wanted, self.asked = network, wanted, 0
        self.closest: Closest | None = None

    def forward(self, pixels: Tensor) -> Tensor:
        self.asked += len(pixels)
        logits = class_logits(self.network, pixels, self.wanted)
        if self.closest is not None:
            self.closest.add(pixels.detach(), logits.detach())
        return logits


class Closest:
    """Of all that an attack asks about, the closest image to each that fools: what it has when it is ended early."""

    def __init__(
        self, pixels: Tensor, labels: Tensor, targets: Tensor | None, is_allowed: Callable[[Tensor], Tensor]
    ) -> None:
        self.pixels, self.labels, self.targets, self.is_allowed = pixels, labels, targets, is_allowed
        self.images = pixels.clone()
        self._distance = torch.full_like(pixels[:, 0, 0, 0], torch.inf)

    def add(self, asked: Tensor, logits: Tensor) -> None:
        """Questions about some of the images only do not say which, and are left out."""
        if asked.shape != self.pixels.shape:
            return
        answers, change = logits.argmax(dim=1), asked - self.pixels
        fooled = answers != self.labels if self.targets is None else answers == self.targets
        distance = change.flatten(1).norm(dim=1)
        better = fooled & self.is_allowed(change) & (distance < self._distance)
        self.images[better], self._distance[better] = asked[better], distance[better]


def class_logits(network: nn.Module, pixels: Tensor, wanted: Sequence[Tensor]) -> Tensor:
    """Logits of two classes or more. Raises :class:`OptionError` where a label or target that is ``wanted`` is none."""
    logits = as_classes(ask(network, pixels))
    most, classes = max(int(each.max()) for each in wanted), logits.shape[1]
    if most >= classes:  # found out by the first answer: no question is asked for it
        raise OptionError(f"labels and targets go up to {most}, and the model's classes are 0 to {classes - 1}")
    return logits


class HostModule(nn.Module):
    """A foolbox model as a module, as other libraries want one; torchattacks finds the device by its parameters."""

    def __init__(self, host: Any, device: torch.device) -> None:
        super().__init__()
        self.host = host
        self.place = nn.Parameter(torch.empty(0, device=device), requires_grad=False)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.host._model(pixels)
        return logits


class AutoAttack:
    """AutoAttack's standard version (Croce & Hein 2020, arXiv:2003.01690) behind the call of a foolbox attack.

    The four parts are torchattacks', at the paper's lengths: its own standard version takes a tenth of the steps and
    all classes for targets, 999 of a thousand. Each part after the first meets only images that are still right.
    """

    def __init__(self) -> None:
        self.version = "standard"
        self.steps = 100
        self.target_classes = 9
        """The most likely wrong ones."""
        self.queries = 5000
        self._library = torchattacks()

    def __call__(self, host: Any, pixels: Tensor, criterion: Any, *, epsilons: float) -> tuple[None, Tensor, None]:
        """Linf AutoAttack of size ``epsilons``; what foolbox calls raw and success is left out."""
        library = self._library
        network = HostModule(host, pixels.device).eval()
        common = {"eps": epsilons, "norm": "Linf", "seed": torch.initial_seed()}  # every part seeds anew
        # One class more than there are targets is how torchattacks is told their number.
        targets = {"n_classes": min(self.target_classes + 1, network(pixels[:1]).shape[-1])}
        parts = [
            library.APGD(network, **common, steps=self.steps, loss="ce"),
            library.APGDT(network, **common, steps=self.steps, **targets),
            library.FAB(network, **common, steps=self.steps, multi_targeted=True, **targets),
            library.Square(network, **common, n_queries=self.queries),
        ]
        return None, library.MultiAttack(parts)(pixels, criterion.labels.raw), None
