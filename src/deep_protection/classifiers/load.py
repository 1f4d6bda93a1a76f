"""From whatever names a classifier to a classifier."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deep_protection.classifiers.classifier import Classifier, is_multi_label
from deep_protection.classifiers.function import Takes, load_function
from deep_protection.classifiers.hub import load_hub
from deep_protection.classifiers.lite import load_lite
from deep_protection.classifiers.own import make_own
from deep_protection.classifiers.preprocessing import ResizeAndCrop
from deep_protection.classifiers.timm import load_timm
from deep_protection.classifiers.torchvision import load_torchvision
from deep_protection.errors import ClassifierError
from deep_protection.optional import needing

HUB_IDS = {"resnet18": "microsoft/resnet-18"}
"""Short names of models that come from the hub."""

CLASSIFIERS: dict[str, Callable[[], Classifier]] = {
    **{f"lite{number}": partial(load_lite, number) for number in range(3)},
    **{name: partial(load_hub, hub_id) for name, hub_id in HUB_IDS.items()},
}
"""Short names. Everything else is a directory, a hub id, a source with a colon, a module or a function."""


def _remote(kind: str, rest: str) -> Classifier:
    with needing(f"{kind}:{rest}", "remote"):
        from deep_protection.classifiers import remote
    return remote.SOURCES[kind](rest)


REMOTE = ("clarifai", "http")
"""Sources that are asked over the net, and paid for each question."""

SOURCES: dict[str, Callable[[str], Classifier]] = {
    "timm": load_timm,
    "torchvision": load_torchvision,
    **{kind: partial(_remote, kind) for kind in REMOTE},
}
"""What stands before a colon, to what loads the name behind it."""


def is_remote(name: str) -> bool:
    """Whether a name is that of a service, which is paid for each question."""
    return name.startswith(tuple(f"{kind}:" for kind in REMOTE))


def load_classifier(
    source: str | os.PathLike[str] | nn.Module | Callable[..., Any],
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    takes: Takes | None = None,
    multi_label: bool = False,
) -> Classifier:
    """A :class:`Classifier` from a short name, a hub model id, a local directory, a service, a module or a function.

    >>> import deep_protection as dp
    >>> dp.load_classifier("lite0").name
    'lite0'

    A module takes ``N×3×H×W`` pixels and returns logits; ``mean`` and ``std`` (three numbers each) say how it wants
    pixels in ``[0, 1]`` normalised, and ``labels`` names its classes. One logit an image says yes or no; with
    ``multi_label`` each logit says so of a label of its own, which models of transformers tell by themselves. For
    images of other sizes it gets the usual resize to 256 and centre crop of 224.

    ``"my_module:my_function"`` is what that function gives, a module or what this one made of it: commands and worker
    processes find it so, where ``my_module`` is installed or in the present folder.

    ``"torchvision:resnet18"`` and ``"timm:resnet18.a1_in1k"`` are models of those libraries, with their own resizing.
    ``"clarifai:MODEL"`` and ``"http:FILE.toml"`` are services, see docs/remote.md. A function is a black box like them.
    It ``takes`` either ``"pixels"``, ``N×3×H×W`` float32 in ``[0, 1]`` (the default), and gives ``N`` answers; or
    ``"images"``, one 8-bit Pillow image at a time, and gives one. An answer is a row of probabilities, ``(label,
    probability)`` pairs, a mapping from label to probability, or a label. Without ``labels`` any label may be answered.

    Raises :class:`ClassifierError` when there is no such classifier or it cannot be loaded, and
    :class:`MissingExtraError` when it needs a package that is not installed.
    """
    if isinstance(source, nn.Module):
        if takes is not None:
            raise ClassifierError(f"takes is for functions; a module takes pixels, got takes={takes!r}")
        if isinstance(source, Classifier):
            if (mean, std, labels, multi_label) != (None, None, None, False):
                raise ClassifierError("this classifier has its own mean, std and labels; give the bare network instead")
            return source
        return Classifier(
            source,
            name=type(source).__name__,
            preprocess=ResizeAndCrop(resize=256, crop=224),
            labels=labels,
            mean=mean if mean is not None else (0.0, 0.0, 0.0),
            std=std if std is not None else (1.0, 1.0, 1.0),
            multi_label=multi_label or is_multi_label(source),
        )
    if callable(source):
        if (mean, std, multi_label) != (None, None, False):
            raise ClassifierError(
                "mean, std and multi_label are for modules; a function normalises by itself and gives probabilities"
            )
        return load_function(source, labels=labels, takes=takes or "pixels")
    if (mean, std, labels, takes, multi_label) != (None, None, None, None, False):
        raise ClassifierError(
            "mean, std, labels, takes and multi_label are for modules and functions; a named classifier brings its own"
        )
    if not isinstance(source, str | os.PathLike):
        raise ClassifierError(
            f"a classifier is given as a name, a directory, a module or a function, got {type(source).__name__}"
        )
    with torch.inference_mode(False), _on_the_cpu():  # whatever the host's mode and default device
        return _named(os.fspath(source))


def _on_the_cpu() -> AbstractContextManager[Any]:
    return nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")


def _named(name: str) -> Classifier:
    if name in CLASSIFIERS:
        return CLASSIFIERS[name]()
    kind, colon, rest = name.partition(":")
    if colon and kind in SOURCES:
        return SOURCES[kind](rest)
    if Path(name).is_dir() or "/" in name:
        return load_hub(name)
    if colon:
        return load_classifier(make_own(name))
    raise ClassifierError(
        f"unknown classifier {name!r}; give one of {', '.join(sorted(CLASSIFIERS))}, a hub id such as "
        "microsoft/resnet-18, torchvision:NAME, timm:NAME, a directory that holds a model, clarifai:MODEL, "
        "http:FILE.toml or your own as module:function"
    )
