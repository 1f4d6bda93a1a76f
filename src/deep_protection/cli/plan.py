"""Which files a command reads and where each result goes, worked out before anything is done."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deep_protection.errors import ImageError, OptionError, OutputError
from deep_protection.images import format_for, is_writable_suffix

STREAM = "-"
PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".jp2", ".avif"}
    | {".dcm", ".dicom"}
)
"""What counts as a picture in a folder; files named one by one may have any suffix."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to be restored; the name ``-`` is standard input or output."""

    source: str
    target: str
    name: str
    """The file's name, with its folders under the folder that was named; beside it lies what else belongs to it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All pictures of a command."""

    items: list[Item]
    into_folder: bool
    """Results go into a folder under their own names; then existing ones are skipped, not an error."""


def plan(inputs: list[str], output: str, *, as_json: bool = False) -> Plan:
    """Pair every picture among ``inputs`` (files, folders, ``-``) with its place under ``output``."""
    if output == STREAM and as_json:
        raise OptionError("--json and -o - both want standard output; write the picture to a file")
    _check_names([*inputs, output] if output != STREAM else inputs)
    alone = len(inputs) == 1 and not Path(inputs[0]).is_dir()
    if output == STREAM:
        if not alone:
            raise OptionError("only one picture can go to standard output; give a folder with -o")
        return Plan([Item(inputs[0], STREAM, Path(inputs[0]).name)], into_folder=False)
    folder = Path(output)
    if alone and not folder.is_dir() and not output.endswith(("/", os.sep)):
        format_for(output)  # raises when the suffix names no format
        return Plan([Item(inputs[0], output, Path(inputs[0]).name)], into_folder=False)
    if STREAM in inputs:
        raise OptionError(
            "a picture from standard input needs a file to go to: -o name.png, or -o - for standard output"
        )
    if is_writable_suffix(folder.suffix) and not folder.exists():
        raise OptionError(f"{output} names one picture, and several need a folder; leave out {folder.suffix}")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{output} is a file, and several pictures need a folder; choose another output")
    return Plan(_distinct(list(_into_folder(inputs, folder))), into_folder=True)


def find_pictures(inputs: list[str]) -> list[str]:
    """The pictures among ``inputs``, folders searched."""
    _check_names(inputs)
    found: list[str] = []
    for name in inputs:
        path = Path(name)
        if name != STREAM and path.is_dir():
            found += [str(file) for file in _pictures_in(path)]
        else:
            found.append(name)
    return found


def _check_names(names: list[str]) -> None:
    if "" in names:
        raise OptionError("an empty name is no file; check the variables in your command")
    if names.count(STREAM) > 1:
        raise OptionError("standard input (-) can be read only once; name it once")


def _into_folder(inputs: list[str], folder: Path) -> Iterator[Item]:
    for name in inputs:
        path = Path(name)
        if not path.is_dir():
            yield _item(path, path.parent, folder, name)
            continue
        for file in _pictures_in(path, leaving_out=folder):
            if path.resolve() == folder.resolve() and _is_result(file):
                continue
            yield _item(file, path, folder, str(file))


def _item(file: Path, under: Path, folder: Path, source: str) -> Item:
    name = file.relative_to(under)
    return Item(source, str(folder / _writable_name(name)), str(name))


def _pictures_in(folder: Path, leaving_out: Path | None = None) -> list[Path]:
    """Pictures under ``folder``; having none is an error."""
    found = list(_walk(folder, leaving_out))
    if not found:
        raise ImageError(f"{folder} holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}); check the folder")
    return found


def _walk(folder: Path, leaving_out: Path | None) -> Iterator[Path]:
    """Pictures under ``folder`` in a fixed order, hidden files and earlier results left out."""
    skipped = leaving_out.resolve() if leaving_out is not None else None
    if skipped == folder.resolve():
        skipped = None  # restoring a folder in place: its own files are the input
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (Path(where) / name).resolve() != skipped
        )
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES:
                yield Path(where) / name


def _writable_name(relative: Path) -> Path:
    return relative if is_writable_suffix(relative.suffix) else relative.with_name(relative.name + ".png")


def _is_result(file: Path) -> bool:
    """Whether a file is what an earlier run in the same folder made of a picture whose format cannot be written."""
    original = file.with_suffix("")
    return file.suffix == ".png" and original.suffix.lower() in PICTURE_SUFFIXES and original.exists()


def _distinct(items: list[Item]) -> list[Item]:
    """The items, once each; two sources for one target are an error, not a lost picture."""
    by_target: dict[str, Item] = {}
    for item in items:
        other = by_target.setdefault(item.target, item).source
        if Path(other).resolve() != Path(item.source).resolve():
            raise OptionError(f"{other} and {item.source} would both be written to {item.target}; restore them apart")
    return list(by_target.values())
