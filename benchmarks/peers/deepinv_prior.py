"""deepinv's own DeepImagePrior with its ConvDecoder (https://deepinv.github.io), sized as in its own example.

That is 64 channels from 2×2; the class's defaults, 256 channels from 4×4, are many times dearer. Its fit has no way in
between: it draws the image once more at the end, so a call of n iterations costs a third of an iteration more.

Where deepinv is found: ``make test-integrations`` once, then ``PYTHONPATH=.venv/hosts python -m benchmarks speed``. Not
beside the rest: it needs a torchvision, and what else is installed fails to import one built for another PyTorch.
"""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.without_operators import import_torchvision

CHANNELS, SIDE = 64, 2
ITERATIONS = 2500
"""The class's own default."""


def _deepinv(part: str) -> Any:
    import_torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"deepinv.{part}")


class DeepinvPrior:
    """One image to restore, as the prior's users run it."""

    def __init__(
        self,
        seen: Tensor,
        seed: int,
        size: tuple[int, int] | None = None,
        see: Callable[[Tensor], Tensor] = lambda image: image,
    ) -> None:
        """``seen`` is what ``see`` makes of a whole image ``1×3×H×W``, without its first dimension; ``size`` is
        ``(H, W)``, if not that of ``seen``.
        """
        models, physics = _deepinv("models"), _deepinv("physics")
        self._target = seen.unsqueeze(0)
        self._physics = physics.Physics(A=lambda image, **_: see(image))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._generator = models.ConvDecoder(
                (3, *(size or seen.shape[-2:])), in_size=(SIDE, SIDE), channels=CHANNELS
            )
        self._prior = models.DeepImagePrior
        self._seed = seed

    def advance(self, iterations: int) -> Tensor:
        """A call of so many iterations."""
        prior = self._prior(self._generator, (CHANNELS, SIDE, SIDE), iterations=iterations)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            output: Tensor = prior(self._target, self._physics)[0]
        return output.detach()
