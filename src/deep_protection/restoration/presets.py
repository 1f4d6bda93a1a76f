"""Named settings: what people choose from. A new preset is one row."""

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
    """Independent fits of every image, their restored images averaged: what one fit makes up, others do not."""
    tile: int = 576
    """Images longer than this on a side are fitted in overlapping tiles of this side, which bounds memory."""
    overlap: int = 64

    def __post_init__(self) -> None:
        whole(self.fits, "fits")
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


# How each kind of damage is undone. Several fits of different seeds are averaged: what one makes up, others do not, and
# it gains more than one longer fit.
DENOISE = Preset(
    name="denoise",
    recipe=Recipe(generator="fine", precision="bfloat16", ema_decay=0.95, checkpoint_every=5),
    stop="noise",
    max_iterations=400,
    fits=4,
)
DEJPEG = Preset(
    name="dejpeg",
    recipe=Recipe(generator="fine", precision="bfloat16", ema_decay=0.95, checkpoint_every=10),
    stop="fixed:80",
    max_iterations=160,
    fits=3,
)
INPAINT = Preset(
    name="inpaint",
    recipe=Recipe(generator="whole", precision="bfloat16", ema_decay=0.95, checkpoint_every=25),
    stop="fixed:800",
    max_iterations=1600,
    fits=2,
)
UPSCALE = Preset(
    name="upscale",
    recipe=Recipe(generator="enlarging", precision="bfloat16", ema_decay=0.95, checkpoint_every=25, learning_rate=0.02),
    stop="fixed:700",
    max_iterations=1400,
    fits=2,
)


def with_fits(preset: Preset, fits: int | None) -> Preset:
    """The preset with another number of fits averaged, if one is given. Raises :class:`OptionError` for none such."""
    return preset if fits is None else replace(preset, fits=whole(fits, "fits"))
