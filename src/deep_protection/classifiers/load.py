"""From whatever names a classifier to a classifier."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from torch import nn

from deep_protection.classifiers.classifier import Classifier
from deep_protection.classifiers.hub import load_hub
from deep_protection.classifiers.lite import load_lite
from deep_protection.classifiers.preprocessing import ResizeAndCrop
from deep_protection.classifiers.timm import load_timm
from deep_protection.classifiers.torchvision import load_torchvision
from deep_protection.errors import ClassifierError

HUB_IDS = {"resnet18": "microsoft/resnet-18"}
"""Short names of models that come from the hub."""

CLASSIFIERS: dict[str, Callable[[], Classifier]] = {
    **{f"lite{number}": partial(load_lite, number) for number in range(3)},
    **{name: partial(load_hub, hub_id) for name, hub_id in HUB_IDS.items()},
}
"""Short names. Everything else is a directory, a hub id or a module."""

SOURCES: dict[str, Callable[[str], Classifier]] = {"timm": load_timm, "torchvision": load_torchvision}
"""What ``"kind:name"`` begins with."""


def load_classifier(
    source: str | os.PathLike[str] | nn.Module,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
) -> Classifier:
    """A :class:`Classifier` from a short name, a hub model id, a local directory or any ``nn.Module``.

    >>> import deep_protection as dp
    >>> dp.load_classifier("lite0").name
    'lite0'

    A module takes ``N×3×H×W`` pixels and returns logits; ``mean`` and ``std`` (three numbers each) say how it wants
    pixels in ``[0, 1]`` normalised, and ``labels`` names its classes. For pictures of other sizes it gets the usual
    resize to 256 and centre crop of 224.

    ``"torchvision:resnet18"`` and ``"timm:resnet18.a1_in1k"`` are models of those libraries, with their own resizing.

    Raises :class:`ClassifierError` when there is no such classifier or it cannot be loaded, and
    :class:`MissingExtraError` when it needs a package that is not installed.
    """
    if isinstance(source, nn.Module):
        if isinstance(source, Classifier):
            if (mean, std, labels) != (None, None, None):
                raise ClassifierError("this classifier has its own mean, std and labels; give the bare network instead")
            return source
        return Classifier(
            source,
            name=type(source).__name__,
            preprocess=ResizeAndCrop(resize=256, crop=224),
            labels=labels,
            mean=mean if mean is not None else (0.0, 0.0, 0.0),
            std=std if std is not None else (1.0, 1.0, 1.0),
        )
    if (mean, std, labels) != (None, None, None):
        raise ClassifierError("mean, std and labels are for modules; a named classifier brings its own")
    name = os.fspath(source)
    if name in CLASSIFIERS:
        return CLASSIFIERS[name]()
    kind, colon, rest = name.partition(":")
    if colon and kind in SOURCES:
        return SOURCES[kind](rest)
    if Path(name).is_dir() or "/" in name:
        return load_hub(name)
    raise ClassifierError(
        f"unknown classifier {name!r}; give one of {', '.join(sorted(CLASSIFIERS))}, a hub id such as "
        "microsoft/resnet-18, torchvision:NAME, timm:NAME, or a directory that holds a model"
    )
