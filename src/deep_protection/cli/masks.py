"""Masks of a command: one for all images, or a folder of them under the images' names."""

from pathlib import Path

from torch import Tensor

from deep_protection.cli.folders import is_image_file
from deep_protection.cli.places import is_file, is_folder
from deep_protection.cli.plan import STREAM, Item
from deep_protection.errors import ImageError, OptionError
from deep_protection.restoration import missing_pixels


class Masks:
    """What is missing of each image."""

    def __init__(self, path: Path) -> None:
        """Raises :class:`ImageError` when a single mask cannot be read: no image can be done without it."""
        if str(path) == STREAM:
            raise OptionError("a mask is a file or a folder, not standard input; save it first")
        self._path = path
        self._all = None if is_folder(path) else missing_pixels(path)

    def of(self, item: Item) -> Tensor:
        """``H×W`` bool, true where a pixel of that image is missing."""
        return missing_pixels(self._file(item)) if self._all is None else self._all

    def _file(self, item: Item) -> Path:
        exact = self._path / item.name
        if is_file(exact):
            return exact
        others = [file for file in exact.parent.glob("*") if file.stem == exact.stem]
        found = sorted(file for file in others if is_image_file(file))
        if len(found) == 1:
            return found[0]
        what = f"has {', '.join(file.name for file in found)}; leave one of them" if found else "has no mask"
        raise ImageError(f"{exact.parent} {what} for {item.source}; a mask bears its image's name")
