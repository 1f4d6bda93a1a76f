"""Classifiers of timm (Wightman 2019, doi:10.5281/zenodo.4414861), each with the resizing it was trained for."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from deep_protection.classifiers.classifier import Classifier
from deep_protection.classifiers.imagenet import class_names
from deep_protection.errors import ClassifierError
from deep_protection.optional import import_optional


def load_timm(name: str) -> Classifier:
    """``"resnet18.a1_in1k"``: architecture and training as timm names them; downloaded once. ``"local-dir:PATH"``: a
    folder that timm saved.
    """
    timm = import_optional("timm", needed_for=f"timm:{name}", extra="timm")
    data = import_optional("timm.data", needed_for=f"timm:{name}", extra="timm")
    try:
        with torch.random.fork_rng(devices=[]):  # random weights are drawn before the stored ones replace them
            network = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError, ValueError, AssertionError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ClassifierError(
            f"timm:{name} cannot be loaded ({reason}); timm.list_pretrained() has the names, such as "
            "timm:resnet18.a1_in1k, and the first use needs a connection"
        ) from error
    config = data.resolve_model_data_config(network)
    if config["input_size"][0] != 3 or not network.num_classes:
        raise ClassifierError(f"timm:{name} is no classifier of RGB images")
    return Classifier(
        network,
        name=f"timm:{name}",
        preprocess=_Pixels(data.create_transform(**config, is_training=False, normalize=False)),
        labels=_labels(network),
        mean=config["mean"],
        std=config["std"],
    )


class _Pixels:
    """timm's own resizing and cropping without its normalisation."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __call__(self, image: Image.Image) -> Tensor:
        """``3×H×W`` float32 in ``[0, 1]``."""
        pixels: Tensor = self.transform(image.convert("RGB"))  # uint8 where nothing is normalised
        return pixels.to(torch.float32).div(1 if pixels.dtype.is_floating_point else 255).clamp(0, 1)


def _labels(network: Any) -> Sequence[str] | None:
    named = network.pretrained_cfg.get("label_names")
    if named:
        described = network.pretrained_cfg.get("label_descriptions") or {}
        return [described.get(each, each) for each in named]
    return class_names() if network.num_classes == 1000 else None
