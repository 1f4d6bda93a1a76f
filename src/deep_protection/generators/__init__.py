"""Networks that draw one image from noise. A new generator is one file here and one row of ``GENERATORS``."""

from deep_protection.generators.fast import FastGenerator as FastGenerator
from deep_protection.generators.full_resolution import EnlargingGenerator as EnlargingGenerator
from deep_protection.generators.full_resolution import FineGenerator as FineGenerator
from deep_protection.generators.full_resolution import WholeGenerator as WholeGenerator
from deep_protection.generators.generator import ImageGenerator as ImageGenerator
from deep_protection.generators.paper import PaperGenerator as PaperGenerator

GENERATORS: dict[str, type[ImageGenerator]] = {
    kind.name: kind for kind in (PaperGenerator, FastGenerator, FineGenerator, WholeGenerator, EnlargingGenerator)
}
