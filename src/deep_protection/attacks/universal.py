"""One perturbation for all images (Moosavi-Dezfooli et al. 2017, arXiv:1610.08401)."""

from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deep_protection.attacks.libraries import foolbox
from deep_protection.classifiers import ask
from deep_protection.images import as_image
from deep_protection.logits import as_classes

_made: WeakKeyDictionary[nn.Module, dict[tuple[Any, ...], Tensor]] = WeakKeyDictionary()
"""By model; by size, device, ε and settings."""


class Universal:
    """A Linf perturbation that lowers the logit of what the model takes foolbox's twenty photographs for.

    Made of mini-batches by the signs of gradients (Shafahi et al. 2018, arXiv:1811.11304), with momentum. Random crops
    and reflections are what lets it carry over from so few: without them it fools little but the twenty, and no better
    does the Adversarial Robustness Toolbox's ``UniversalPerturbation`` by FGSM, PGD or DeepFool.
    """

    def __init__(self) -> None:
        self.steps = 100
        self.batch = 10
        self.stepsize = 2 / 255
        """At first; it falls to nothing in equal parts."""
        self.momentum = 0.9
        self.margin = 9 / 7
        """Size of the photographs over that of the crops taken from them."""
        self.seed = 0
        """Its own: it is the same for all images, whatever theirs."""
        self._library = foolbox()

    def __call__(self, host: Any, pixels: Tensor, criterion: Any, *, epsilons: float) -> tuple[None, Tensor, None]:
        """Add it to ``N×3×H×W`` images; made once a model, in about a minute of a CPU."""
        del criterion  # it knows nothing of the images it is added to
        known = _made.setdefault(host.network, {})
        settings = (value for value in vars(self).values() if isinstance(value, int | float))
        key = (tuple(pixels.shape[1:]), pixels.device, epsilons, *settings)
        if key not in known:
            known[key] = self._make(host.network, pixels, epsilons)
        return None, (pixels + known[key]).clamp(0, 1), None

    def _make(self, network: nn.Module, like: Tensor, epsilon: float) -> Tensor:
        """``3×H×W`` in ``[-ε, ε]``."""
        generator = torch.Generator("cpu").manual_seed(self.seed)

        def asked(given: Tensor) -> Tensor:
            return as_classes(ask(network, given))

        height, width = like.shape[-2:]
        photographs = self._photographs(round(self.margin * height), round(self.margin * width)).to(like.device)
        with torch.no_grad():
            answers = asked(F.interpolate(photographs, (height, width), mode="area")).argmax(dim=1)
        change = torch.zeros_like(like[0])
        speed = torch.zeros_like(change)
        for step in range(self.steps):
            chosen = torch.randperm(len(photographs), generator=generator, device="cpu")[: self.batch].to(like.device)
            crops = torch.stack([_crop(each, height, width, generator) for each in photographs[chosen]])
            with torch.enable_grad():
                tried = change.clone().requires_grad_()
                sure = asked((crops + tried).clamp(0, 1)).gather(1, answers[chosen, None]).mean()
                (gradient,) = torch.autograd.grad(sure, tried)
            speed = self.momentum * speed + gradient / gradient.abs().mean().clamp_min(1e-12)
            change = (change - self.stepsize * (1 - step / self.steps) * speed.sign()).clamp(-epsilon, epsilon)
        return change

    def _photographs(self, height: int, width: int) -> Tensor:
        """``20×3×H×W``, foolbox's ImageNet samples."""
        files = sorted((Path(self._library.__file__).parent / "data").glob("imagenet_*"))
        images = [as_image(file).pixels[None] for file in files]
        return torch.cat(
            [F.interpolate(each, (height, width), mode="bilinear", antialias=True).clamp(0, 1) for each in images]
        )


def _crop(image: Tensor, height: int, width: int, generator: torch.Generator) -> Tensor:
    """A ``3×H×W`` part of a larger image, reflected or not."""
    top = int(torch.randint(image.shape[1] - height + 1, (), generator=generator, device="cpu"))
    left = int(torch.randint(image.shape[2] - width + 1, (), generator=generator, device="cpu"))
    part = image[:, top : top + height, left : left + width]
    return part.flip(-1) if torch.rand((), generator=generator, device="cpu") < 0.5 else part
