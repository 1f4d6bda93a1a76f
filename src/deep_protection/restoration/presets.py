"""Named settings: what people choose from. A new preset is one row."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from deep_protection.arguments import whole
from deep_protection.errors import OptionError
from deep_protection.fitting import Detail, Recipe
from deep_protection.stopping import StopRule, parse_stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A recipe with its stop rule and the size of its tiles."""

    name: str
    recipe: Recipe
    stop: str
    max_iterations: int = 3000
    """Iterations after which a stop rule without a count of its own gives up; "auto" without a classifier takes half of
    them."""
    fits: int = 1
    """Independent fits of every image, their restored images averaged: what one fit makes up, others do not. With
    filters beside them there may be none."""
    megapixels: float = math.inf
    """Drawn in all fits of an image together, at most, unless somebody asks for more; what filters make stands alone
    where that is not enough for one."""
    is_shifted: bool = False
    """Every fit sees the image a few pixels farther on: then its mistakes lie elsewhere, too."""
    tile: int = 576
    """Images longer than this on a side are fitted in overlapping tiles of this side, which bounds memory."""
    overlap: int = 64

    def __post_init__(self) -> None:
        whole(self.fits, "fits", least=0)
        whole(self.tile, "tile")
        whole(self.overlap, "overlap", least=0)
        if not 0 <= self.overlap < self.tile:
            raise OptionError(f"overlap must be smaller than the tile of {self.tile} px, got {self.overlap}")

    def rule(self, stop: str | StopRule | None = None) -> StopRule:
        """The rule that ``stop`` is or names; the preset's own for None."""
        return parse_stop(self.stop if stop is None else stop, self.max_iterations)

    def rule_asking(
        self, classifier: Callable[[Tensor], Tensor], side: int, stop: str | StopRule | None = None
    ) -> StopRule:
        """The same for images of ``side`` px, asking ``classifier`` where it can be asked: not about tiles."""
        rule = self.rule(stop)
        return rule.with_classifier(classifier) if side <= self.tile else rule


# Optimiser, activation, learning rate, width and depth were chosen by experiment: docs/results/tune and tune-few.
_FAST = Recipe(
    generator="fast",
    huber_delta=0.1,
    ema_decay=0.95,
    detail=Detail(low=18 / 255, high=96 / 255),
    checkpoint_every=10,
    precision="bfloat16",
)

_ROWS = (
    Preset(
        name="paper",
        recipe=Recipe(generator="paper", precision="bfloat16", parallel="operators"),
        stop="fixed:1750",
    ),
    Preset(
        name="fast",
        recipe=_FAST,
        stop="auto",
        max_iterations=100,
    ),
    Preset(
        name="thorough",
        recipe=_FAST,
        stop="auto:3",  # of several fits each may end sooner: docs/stopping.md
        max_iterations=100,
        fits=4,
    ),
)

PRESETS: dict[str, Preset] = {row.name: row for row in _ROWS}


def find_preset(preset: str | Preset) -> Preset:
    """A preset as it is, or the row that a name means."""
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise OptionError(f"unknown preset {preset!r}; there are: {', '.join(sorted(PRESETS))}")
    return PRESETS[preset]


# How each kind of damage is undone, beside filters, which do most of it: docs/restoration.md. What is drawn by default
# takes a minute of one core.
DENOISE = Preset(
    name="denoise",
    recipe=Recipe(generator="fast", precision="bfloat16", ema_decay=0.95, checkpoint_every=10),
    stop="fixed:70",
    max_iterations=400,
    fits=3,
    megapixels=0,
    is_shifted=True,
)
DEJPEG = replace(DENOISE, name="dejpeg")
INPAINT = Preset(
    name="inpaint",
    recipe=Recipe(generator="interpolating", precision="bfloat16", ema_decay=0.95, checkpoint_every=25),
    stop="fixed:400",
    max_iterations=1600,
    megapixels=0,
    tile=384,
)
UPSCALE = replace(
    INPAINT,
    name="upscale",
    recipe=replace(INPAINT.recipe, learning_rate=0.02),
    stop="fixed:700",
    fits=2,
    megapixels=0.08,
    tile=576,
)


def with_fits(preset: Preset, fits: int | None, stop: str | StopRule | None = None) -> Preset:
    """The preset with so many fits averaged, however much they draw, if a number is given; 0 leaves it to filters.

    Who says when a fit is to stop wants fits, too. Raises :class:`OptionError` for no such number.
    """
    if fits is None and stop is None:
        return preset
    number = preset.fits if fits is None else whole(fits, "fits", least=0)
    return replace(preset, fits=number, megapixels=math.inf)
