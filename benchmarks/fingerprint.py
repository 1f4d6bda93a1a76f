"""What a row was measured of, so that rows of something else never stand for it."""

from dataclasses import fields
from hashlib import blake2b

from deep_protection.evaluation import BASELINES
from deep_protection.fitting import Recipe
from deep_protection.generators import GENERATORS
from deep_protection.restoration import PRESETS

ADDED_LATER = [("detail", None)]
"""Settings that came when there were rows already, with the value that those rows were made with: a setting that does
nothing does not make them another recipe's."""


def of_method(method: str) -> str:
    """Of a baseline or a preset: its settings and the layout of its network. Peers have their name only."""
    if method in BASELINES:
        apply = BASELINES[method].apply
        return _short(f"{getattr(apply, 'keywords', {})}")
    if method in PRESETS:
        return _short(f"{of_recipe(PRESETS[method].recipe)} {PRESETS[method].fits}")
    return ""


def of_recipe(recipe: Recipe) -> str:
    """Of a recipe, but for the spacing of its checkpoints, which changes nothing."""
    kind = GENERATORS[recipe.generator]
    generator = kind(64, 64)
    layers = [(name, layer.shapes, vars(layer).get("stride")) for name, layer in generator.layers().items()]
    settings = sorted((name, value) for name, value in vars(kind).items() if isinstance(value, int | float | tuple))
    own = [(field.name, getattr(recipe, field.name)) for field in fields(recipe) if field.name != "checkpoint_every"]
    chosen = [setting for setting in own if setting not in ADDED_LATER]
    return _short(f"{chosen} {layers} {generator.noise_shape()} {settings}")


def _short(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()
