"""Which files a command reads and where each result goes, worked out before anything is done."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from deep_protection.cli.folders import Found, images_in, is_image_file
from deep_protection.cli.places import exists, is_file, is_folder
from deep_protection.errors import OptionError, OutputError
from deep_protection.images import format_for, is_writable_suffix

STREAM = "-"


@dataclass(frozen=True, slots=True)
class Named:
    """One image that a command reads; the source ``-`` is standard input."""

    source: str
    name: str
    """The file's name, with its folders under the folder that was named."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """All images that a command reads."""

    images: list[Named]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Files of the folders that were not taken."""

    @property
    def sources(self) -> list[str]:
        return [image.source for image in self.images]


@dataclass(frozen=True, slots=True)
class Item:
    """One image to be restored; the name ``-`` is standard input or output."""

    source: str
    target: str
    name: str
    """The file's name, with its folders under the folder that was named; beside it lies what else belongs to it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All images of a command."""

    items: list[Item]
    into_folder: bool
    """Results go into a folder under their own names; then existing ones are skipped, not an error."""
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def plan(inputs: list[str], output: str, *, as_json: bool = False) -> Plan:
    """Pair every image among ``inputs`` (files, folders, ``-``) with its place under ``output``."""
    if output == STREAM and as_json:
        raise OptionError("--json and -o - both want standard output; write the image to a file")
    _check_names([*inputs, output] if output != STREAM else inputs)
    alone = len(inputs) == 1 and not is_folder(inputs[0])
    if output == STREAM:
        if not alone:
            raise OptionError("only one image can go to standard output; give a folder with -o")
        return Plan([Item(inputs[0], STREAM, Path(inputs[0]).name)], into_folder=False)
    folder = Path(output)
    if alone and not is_folder(folder) and not output.endswith(("/", os.sep)):
        format_for(output)  # raises when the suffix names no format
        check_places([(inputs[0], output)])
        return Plan([Item(inputs[0], output, Path(inputs[0]).name)], into_folder=False)
    if STREAM in inputs:
        raise OptionError(
            "an image from standard input needs a file to go to: -o name.png, or -o - for standard output"
        )
    if is_writable_suffix(folder.suffix) and not exists(folder):
        raise OptionError(f"{output} names one image, and several need a folder; leave out {folder.suffix}")
    if exists(folder) and not is_folder(folder):
        raise OutputError(f"{output} is a file, and several images need a folder; choose another output")
    found = find_images(inputs, folder, _is_result)
    items = [Item(each.source, str(folder / _writable_name(Path(each.name))), each.name) for each in found.images]
    check_places((item.source, item.target) for item in items)
    return Plan(items, into_folder=True, notes=found.notes, left_out=found.left_out)


def find_images(
    inputs: list[str],
    output: Path | None = None,
    is_result: Callable[[Path], bool] = lambda _: False,
) -> Inputs:
    """The images among ``inputs``, each once, folders searched.

    ``is_result`` tells what an earlier run made of them, and counts in a folder that is itself the ``output``.
    """
    _check_names(inputs)
    named: dict[tuple[str, str], Named] = {}
    searched: list[Found] = []
    for given in inputs:
        path = Path(given)
        if given == STREAM or not is_folder(path):
            each = Named(given, given if given == STREAM else path.name)
            named.setdefault((_place(given), each.name), each)
            continue
        in_place = output is not None and os.path.realpath(path) == os.path.realpath(output)
        found = images_in(path, output, is_result if in_place else lambda _: False)
        searched.append(found)
        for file in found.images:
            each = Named(str(file), str(file.relative_to(path)))
            named.setdefault((_place(str(file)), each.name), each)
    return Inputs(
        list(named.values()),
        tuple(note for found in searched for note in found.notes),
        tuple(str(path) for found in searched for paths in found.left_out.values() for path in paths),
    )


def check_places(pairs: Iterable[tuple[str, str]]) -> None:
    """Refuse results that would replace each other, or another image that is read: a lost image is no result.

    Args:
        pairs: what is read and where what is made of it goes.
    """
    pairs = list(pairs)
    sources = {_place(source): source for source, _ in pairs}
    taken: dict[str, str] = {}
    for source, target in pairs:
        place = _place(target)
        other = taken.setdefault(place, source)
        if other != source:
            raise OptionError(f"{other} and {source} would both be written to {target}; restore them apart")
        if place in sources and _written(target) != _written(source):
            raise OptionError(
                f"the result of {source} would replace {sources[place]}, which is read too; choose another output"
            )


def _place(name: str) -> str:
    """One name for a file, whatever links lead to it."""
    return name if name == STREAM else os.path.realpath(name)


def _written(name: str) -> str:
    """A file's name from the root on, links as they are."""
    return os.path.normpath(Path(name).absolute())


def _check_names(names: list[str]) -> None:
    if "" in names:
        raise OptionError("an empty name is no file; check the variables in your command")
    if names.count(STREAM) > 1:
        raise OptionError("standard input (-) can be read only once; name it once")


def _writable_name(relative: Path) -> Path:
    return relative if is_writable_suffix(relative.suffix) else relative.with_name(relative.name + ".png")


def _is_result(file: Path) -> bool:
    """Whether a file is what an earlier run in the same folder made of an image whose format cannot be written."""
    original = file.with_suffix("")
    return (
        file.suffix == ".png"
        and not is_writable_suffix(original.suffix)
        and is_file(original)
        and is_image_file(original)
    )
