"""Classifiers of torchvision, with the weights and the resizing that torchvision's authors recommend."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from deep_protection.classifiers.classifier import Classifier
from deep_protection.errors import ClassifierError
from deep_protection.optional import import_optional


def load_torchvision(name: str) -> Classifier:
    """``"resnet18"`` with its default weights, or ``"resnet50/IMAGENET1K_V1"`` with those; downloaded once."""
    models = import_optional("torchvision.models", needed_for=f"torchvision:{name}", extra="torchvision")
    architecture, _, which = name.partition("/")
    try:
        weights = models.get_model_weights(architecture)[which or "DEFAULT"]
    except (ValueError, KeyError) as error:
        raise ClassifierError(
            f"torchvision has no weights for {name!r} ({error}); write it as torchvision:resnet18 or "
            "torchvision:resnet50/IMAGENET1K_V1, with a name of torchvision.models.list_models()"
        ) from error
    if "categories" not in weights.meta or not hasattr(weights.transforms(), "crop_size"):
        raise ClassifierError(f"torchvision:{name} is no image classifier")
    recipe = weights.transforms()
    try:
        with torch.random.fork_rng(devices=[]):  # random weights are drawn before the stored ones replace them
            network = models.get_model(architecture, weights=weights, progress=False)
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a file that was cut off is a RuntimeError
        raise ClassifierError(
            f"the weights of torchvision:{name} cannot be loaded ({error}); connect once so that they are downloaded, "
            f"or put {weights.url.rsplit('/', 1)[-1]} into {torch.hub.get_dir()}/checkpoints"
        ) from error
    return Classifier(
        network,
        name=f"torchvision:{name}",
        preprocess=_Pixels(weights.transforms(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))),
        labels=weights.meta["categories"],
        mean=recipe.mean,
        std=recipe.std,
    )


class _Pixels:
    """torchvision's own resizing and cropping without its normalisation."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __call__(self, image: Image.Image) -> Tensor:
        """``3×H×W`` float32 in ``[0, 1]``."""
        pixels: Tensor = self.transform(image.convert("RGB"))
        return pixels.clamp(0, 1)
