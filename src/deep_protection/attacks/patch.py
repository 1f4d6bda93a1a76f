"""A square of the image replaced by whatever fools the classifier, as a sticker in the scene would be."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deep_protection.attacks.libraries import HostModule
from deep_protection.optional import import_optional


class Patch:
    """A patch made for the one image it covers a part of (LaVAN: Karmon et al. 2018, arXiv:1801.02608).

    By the Adversarial Robustness Toolbox: its PGD with everything allowed inside a mask. Its ``AdversarialPatch`` is
    one for all images, and on PyTorch needs torchvision.
    """

    def __init__(self) -> None:
        self.share = 0.05
        """Of the image's area."""
        self.steps = 100
        self.stepsize = 8 / 255
        self._attacks = import_optional("art.attacks.evasion", needed_for="the patch attack", extra="art")
        self._estimators = import_optional("art.estimators.classification", needed_for="the patch attack", extra="art")

    def __call__(self, host: Any, pixels: Tensor, criterion: Any, *, epsilons: None) -> tuple[None, Tensor, None]:
        """What PGD from noise makes at a place drawn for each of ``N×3×H×W`` images; to the targets, if any."""
        del epsilons  # inside the patch everything is allowed
        network = HostModule(host, pixels.device).eval()
        targeted = hasattr(criterion, "target_classes")
        classes = criterion.target_classes if targeted else criterion.labels
        estimator = self._estimators.PyTorchClassifier(
            network,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(pixels.shape[1:]),
            nb_classes=network(pixels[:1]).shape[-1],
            clip_values=(0, 1),
            device_type="gpu" if pixels.is_cuda else "cpu",
        )
        run = self._attacks.ProjectedGradientDescent(
            estimator,
            eps=1.0,
            eps_step=self.stepsize,
            max_iter=self.steps,
            num_random_init=1,
            targeted=targeted,
            batch_size=len(pixels),
            verbose=False,
        )
        covered = self._places(pixels).numpy()
        made = run.generate(pixels.cpu().numpy(), y=classes.raw.cpu().numpy(), mask=covered)
        return None, torch.from_numpy(np.where(covered, made, pixels.cpu().numpy())).to(pixels.device), None

    def _places(self, pixels: Tensor) -> Tensor:
        """``N×3×H×W``, 1 where the patch is: wholly inside the image, anywhere."""
        height, width = pixels.shape[-2:]
        side = min(round((self.share * height * width) ** 0.5), height, width)
        covered = torch.zeros(pixels.shape, dtype=torch.float32, device="cpu")
        for place in covered:
            top, left = (int(torch.randint(most - side + 1, (), device="cpu")) for most in (height, width))
            place[:, top : top + side, left : left + side] = 1
        return covered
