"""Networks that draw one image from noise. A new generator is one file here and one row of ``GENERATORS``."""

from deep_protection.errors import OptionError
from deep_protection.generators.fast import FastGenerator as FastGenerator
from deep_protection.generators.generator import ImageGenerator as ImageGenerator
from deep_protection.generators.interpolating import InterpolatingGenerator as InterpolatingGenerator
from deep_protection.generators.paper import PaperGenerator as PaperGenerator

GENERATORS: dict[str, type[ImageGenerator]] = {
    kind.name: kind for kind in (PaperGenerator, FastGenerator, InterpolatingGenerator)
}


def find_generator(generator: str | type[ImageGenerator]) -> type[ImageGenerator]:
    """A generator's class as it is, or the one that a name means.

    Raises:
        OptionError: there is none of that name.
    """
    if not isinstance(generator, str):
        return generator
    if generator not in GENERATORS:
        raise OptionError(f"unknown generator {generator!r}; there are: {', '.join(sorted(GENERATORS))}")
    return GENERATORS[generator]
