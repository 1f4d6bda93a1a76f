"""Any Python function as a classifier."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from deep_protection.classifiers.black_box import BlackBox
from deep_protection.classifiers.preprocessing import ResizeAndCrop, ShrinkToFit
from deep_protection.classifiers.responses import Answer, read_answer
from deep_protection.errors import ClassifierError
from deep_protection.images import to_pillow

Takes = Literal["pixels", "images"]
"""What a function is given: a batch of pixels, or one Pillow image."""
LONGEST_SIDE = 512
"""Pixels, of an image that a function or a service is shown: it is fitted whole, and not in tiles."""


def load_function(function: Callable[..., Any], *, labels: Sequence[str] | None, takes: Takes) -> BlackBox:
    """``function`` as :func:`deep_protection.load_classifier` describes it."""
    if takes not in get_args(Takes):
        raise ClassifierError(f"takes must be one of {', '.join(get_args(Takes))}, got {takes!r}")
    name = getattr(function, "__name__", type(function).__name__)
    return BlackBox(
        _Pixels(function, name) if takes == "pixels" else _Images(function, name),
        name=name,
        labels=labels,
        preprocess=ResizeAndCrop(resize=256, crop=224) if takes == "pixels" else ShrinkToFit(LONGEST_SIDE),
    )


@dataclass(frozen=True, slots=True)
class _Images:
    """The function asked about one image at a time. A class, as it can be copied to where the function can."""

    function: Callable[..., Any]
    name: str

    def __call__(self, pixels: Tensor) -> list[Answer]:
        return [read_answer(self.function(to_pillow(image)), self.name) for image in pixels]


@dataclass(frozen=True, slots=True)
class _Pixels:
    """The function asked about a batch."""

    function: Callable[..., Any]
    name: str

    def __call__(self, pixels: Tensor) -> list[Answer]:
        said = self.function(pixels)
        if not hasattr(said, "__len__") or len(said) != len(pixels):
            raise ClassifierError(
                f"{self.name} was given {len(pixels)} images and answered with {type(said).__name__}"
                f"{f' of length {len(said)}' if hasattr(said, '__len__') else ''}; it must give one answer an image"
            )
        return [read_answer(each, self.name) for each in said]
