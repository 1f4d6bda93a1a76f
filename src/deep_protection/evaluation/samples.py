"""The labelled photographs that foolbox carries in its package: real input without a download."""

from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from deep_protection.errors import MissingExtraError


def imagenet_samples() -> list[tuple[Image.Image, int]]:
    """Twenty ImageNet photographs (RGB, as stored) with their class index."""
    package = find_spec("foolbox")  # found, not imported: only its files are wanted
    if package is None or package.origin is None:
        raise MissingExtraError(
            "the sample pictures come with foolbox, which is not installed; run: pip install 'deep-protection[attacks]'"
        )
    samples = []
    for file in sorted((Path(package.origin).parent / "data").glob("imagenet_*")):
        with Image.open(file) as picture:
            # Named imagenet_<number>_<class index>.<suffix>.
            samples.append((picture.convert("RGB"), int(file.stem.rsplit("_", 1)[1])))
    return samples
