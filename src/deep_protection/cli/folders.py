"""Which files of a folder are images, and which were left out: nobody should have to guess."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deep_protection.cli.places import is_special
from deep_protection.errors import ImageError
from deep_protection.images import HEAD, is_image

IMAGE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".webp", ".tif", ".tiff", ".bmp"}
    | {".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpf", ".jpx", ".avif", ".dcm", ".dicom"}
    | {".heic", ".heif", ".jxl"}  # not read, and said to be so one by one
)
"""What counts as an image in a folder whatever it holds; other files do if they begin as images do."""
_RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw"}
)
"""Of cameras: they begin as TIFF does, and all that could be read of them is a preview."""
_NAMED = 3
"""Files of each sort that a note names."""


@dataclass(slots=True)
class Found:
    """The images of a folder and its folders, in a fixed order."""

    folder: Path
    images: list[Path] = field(default_factory=list)
    left_out: dict[str, list[Path]] = field(default_factory=dict)
    """By what they are: what was not taken."""

    def leave(self, path: Path, what: str) -> None:
        self.left_out.setdefault(what, []).append(path)

    @property
    def notes(self) -> tuple[str, ...]:
        """A line that counts what was left out; none where nothing was."""
        if not self.left_out:
            return ()
        told = []
        for what, paths in self.left_out.items():
            names = ", ".join(str(path.relative_to(self.folder)) for path in paths[:_NAMED])
            told.append(f"{len(paths)} {what} ({names}{', …' if len(paths) > _NAMED else ''})")
        return (f"{self.folder}: left out {'; '.join(told)}",)


def images_in(
    folder: Path, leaving_out: Path | None = None, is_result: Callable[[Path], bool] = lambda _: False
) -> Found:
    """Images under ``folder``, below links too.

    Args:
        folder: where to look.
        leaving_out: a folder of results, not searched when it lies inside.
        is_result: whether a file is what an earlier run made; such are left out.

    Raises:
        ImageError: the folder holds no images.
    """
    found = Found(folder)
    skipped = os.path.realpath(leaving_out) if leaving_out is not None else None
    searched = {os.path.realpath(folder)}

    def unreadable(error: OSError) -> None:
        found.leave(Path(error.filename), f"that cannot be searched: {error.strerror}")

    for where, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        within = []
        for name in sorted(folders):
            path = Path(where, name)
            real = os.path.realpath(path)
            if real == skipped:
                continue
            if name.startswith("."):
                found.leave(path, "hidden")
            elif real in searched:  # a link to a folder around it, or to one that was searched by its own name
                found.leave(path, "linked again")
            else:
                searched.add(real)
                within.append(name)
        folders[:] = within
        for name in sorted(files):
            path = Path(where, name)
            if name.startswith("."):
                if path.suffix.lower() in IMAGE_SUFFIXES:
                    found.leave(path, "hidden")
            elif is_special(path):
                found.leave(path, "that are pipes or devices")
            elif not is_image_file(path):
                found.leave(path, "that are no images")
            elif is_result(path):
                found.leave(path, "made by an earlier run")
            else:
                found.images.append(path)
    if not found.images:
        told = "".join(f"; {note}" for note in found.notes)
        raise ImageError(f"{folder} holds no images; check the folder{told}")
    return found


def is_image_file(path: Path) -> bool:
    """By its suffix, or by its first bytes."""
    suffix = path.suffix.lower()
    if is_special(path):
        return False
    if suffix in IMAGE_SUFFIXES:
        return True
    if suffix in _RAW_SUFFIXES or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return is_image(file.read(HEAD))
    except OSError:
        return False
