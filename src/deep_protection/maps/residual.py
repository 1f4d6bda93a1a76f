"""The Deep Image Residual: what a generator has not drawn yet.

Deep Image Prior draws what is large and smooth first (Ulyanov et al. 2018, arXiv:1711.10925). What is left of a map
after a few iterations is what is small and sharp: lettering, and the thin lines around it.
"""

from typing import Unpack

from torch import Tensor

from deep_protection.fitting import Recipe
from deep_protection.images import ImageRecord
from deep_protection.maps.legibility import Legibility
from deep_protection.restoration import FitKeywords, FitOptions, Preset, purify_each
from deep_protection.stopping import StopRule

RESIDUAL = Preset(
    name="residual",
    recipe=Recipe(generator="fast", precision="bfloat16", checkpoint_every=5),
    stop="fixed:5",
    max_iterations=60,
    tile=640,
)
"""Ended by :class:`Legibility` unless another rule is given. No average of outputs and no detail brought back: the
residual is to hold what one output lacks."""


def deep_image_residual(
    pixels: Tensor,
    *,
    stop: str | StopRule | None = None,
    **options: Unpack[FitKeywords],
) -> Tensor:
    """``3×H×W`` pixels in ``[0, 1]`` less what a generator has drawn of them: ``3×H×W`` in ``[-1, 1]``.

    ``stop`` is :class:`Legibility` for None. Dark lettering on light paper is negative. Large images are fitted in
    overlapping tiles without seams. ``options`` are those of :class:`deep_protection.FitOptions`.
    """
    (result,) = purify_each(
        [ImageRecord(pixels)],  # as it is: it is not copied on the way in, and large
        1,
        RESIDUAL,
        RESIDUAL.rule(Legibility() if stop is None else stop),
        FitOptions(**options),
    )
    residual: Tensor = result.image.neg_().add_(pixels)
    return residual
