"""The restoration as a step of a torchvision transform, which needs no torchvision."""

from typing import TypeVar, TypeVarTuple, overload

import torch
from PIL import Image
from torch import Tensor, nn

from deep_protection.protection import straight_through
from deep_protection.restoration import Preset, find_preset, purify
from deep_protection.seeds import checked_seed
from deep_protection.stopping import StopRule

Given = TypeVar("Given", Image.Image, Tensor)
"""The same type comes back; of tensors the same subclass, as v2 marks images by it."""
Others = TypeVarTuple("Others")


class Purify(nn.Module):
    """Restores an image, or a batch of them; a v1 or v2 transform of torchvision and timm, to be put before
    ``Normalize``.

    >>> import torch, deep_protection as dp
    >>> dp.Purify(stop="fixed:2")(torch.rand(3, 16, 16)).shape
    torch.Size([3, 16, 16])

    Takes a Pillow image, a ``C×H×W`` or ``N×C×H×W`` tensor (uint8, uint16, or floats in ``[0, 1]``) and gives the same
    type and size; what follows the image in a v2 sample, such as a label, is passed on. Tensors of floats have the
    straight-through gradient (BPDA). A normalised image is an :class:`deep_protection.ImageError`.

    It restores and no more: the answer by contrast, and a fit that ends when the answer has settled, need the
    classifier, which :func:`deep_protection.protect` has; here ``stop`` None is a fixed count. In the worker processes
    of a ``DataLoader`` use ``workers=1``.
    """

    def __init__(
        self,
        *,
        preset: str | Preset = "fast",
        stop: str | StopRule | None = None,
        seed: int | None = 0,
        device: str | torch.device = "auto",
        workers: int | None = None,
    ) -> None:
        super().__init__()
        self.preset = find_preset(preset)
        self.stop = self.preset.rule(stop)
        self.stop.check()
        checked_seed(seed)
        self.seed, self.device, self.workers = seed, device, workers

    @overload
    def forward(self, image: Given) -> Given: ...
    @overload
    def forward(self, image: Given, *others: *Others) -> tuple[Given, *Others]: ...
    def forward(self, image: Given, *others: object) -> object:
        restored = self._of(image)
        return (restored, *others) if others else restored

    def _of(self, image: Given) -> Given:
        if not isinstance(image, Tensor):
            return self._purified(image)
        plain = image.as_subclass(Tensor)  # v2 marks images by subclasses of Tensor, which come back as they were
        is_float = plain.dtype.is_floating_point
        restored = straight_through(plain, self._purified) if is_float else self._purified(plain)
        return restored if type(image) is Tensor else restored.as_subclass(type(image))

    def _purified(self, image: Given) -> Given:
        return purify(
            image, preset=self.preset, stop=self.stop, seed=self.seed, device=self.device, workers=self.workers
        )

    def extra_repr(self) -> str:
        return f"preset={self.preset.name!r}, stop={self.stop!r}, seed={self.seed}"
