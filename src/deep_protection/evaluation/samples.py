"""The labelled photographs that foolbox carries in its package: real input without a download."""

from importlib.util import find_spec
from pathlib import Path

from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from deep_protection.errors import MissingExtraError
from deep_protection.images import as_image


def sample_files() -> list[Path]:
    """Twenty ImageNet photographs, named ``imagenet_<number>_<class index>.<suffix>``."""
    package = find_spec("foolbox")  # found, not imported: only its files are wanted
    if package is None or package.origin is None:
        raise MissingExtraError(
            "the sample images come with foolbox, which is not installed; run: pip install 'deep-protection[attacks]'"
        )
    return sorted((Path(package.origin).parent / "data").glob("imagenet_*"))


def imagenet_samples() -> list[tuple[Image.Image, int]]:
    """The same (RGB, as stored) with their class index."""
    samples = []
    for file in sample_files():
        with Image.open(file) as image:
            samples.append((image.convert("RGB"), int(file.stem.rsplit("_", 1)[1])))
    return samples


def sample_pixels(count: int, side: int = 224) -> list[Tensor]:
    """The first ``count``, ``3×side×side`` each, for what is timed and not judged."""
    pixels = (as_image(image).pixels[None] for image, _ in imagenet_samples()[:count])
    return [F.interpolate(each, size=(side, side), mode="area")[0] for each in pixels]
