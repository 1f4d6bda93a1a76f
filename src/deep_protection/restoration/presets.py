"""How each kind of damage is undone: rows of settings, fitted and stopped as everything else is.

Several fits of different seeds are averaged: what one makes up, others do not, and it gains more than one longer fit.
"""

from dataclasses import replace

from deep_protection.arguments import whole
from deep_protection.fitting import Recipe
from deep_protection.purification import Preset

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
