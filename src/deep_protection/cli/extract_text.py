"""``deep-protection extract-text``: maps in; their lettering, their words and the maps without them out."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from PIL import Image

from deep_protection.cli import options
from deep_protection.cli.console import counting_bar, print_json, say_error, say_notes
from deep_protection.cli.places import exists, name_error, place_error
from deep_protection.cli.plan import STREAM, check_places, find_images
from deep_protection.errors import DeepProtectionError, MissingExtraError, OptionError, OutputError
from deep_protection.images import encode, read_image, write_atomically
from deep_protection.maps import ExtractedText, as_record, check_script, extract_text, to_csv, to_geojson, to_json
from deep_protection.maps.residual import RESIDUAL
from deep_protection.maps.vocabulary import read_vocabulary
from deep_protection.restoration import find_device

LAST = "without-text.png"
"""Written last: where it lies, a map is done."""
IMAGES = ("text.png", "overlay.png")
"""The other images that are made of a map."""


def extract_text_command(
    inputs: Annotated[
        list[str], typer.Argument(metavar="MAP...", help="Images of maps, or folders.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Folder.", show_default=False)],
    ocr: Annotated[bool, typer.Option(help="Read words; without, only the layer and the map are made.")] = True,
    script: Annotated[
        str, typer.Option(help="Of the words: latin, greek, chinese, japanese; any keeps symbols, too.")
    ] = "latin",
    vocabulary: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="What a word read a letter off may be: a text file, beside generic words; or generic, none.",
        ),
    ] = "generic",
    stop: options.Stop = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Take the lettering out of maps, and read it.

    For every map NAME it writes NAME.text.png (the lettering, transparent elsewhere), NAME.words.json, .csv and
    .geojson, NAME.overlay.png (frames around the words) and NAME.without-text.png. Folders keep their tree. Maps that
    are done are skipped.
    """
    if STREAM in inputs:
        raise OptionError("several files come of one map; give files or folders, not -")
    known = check_script(script)
    spelt: Literal["generic", "none"] | list[str]
    match vocabulary:
        case "generic" | "none":
            spelt = vocabulary
        case _:
            spelt = read_vocabulary(Path(vocabulary))
    RESIDUAL.rule(stop).check()
    find_device(device)
    outcomes: list[dict[str, Any]] = []
    maps = find_images(inputs, output, _is_result)
    say_notes(maps.notes, quiet=quiet)
    check_places((each.source, str(output / f"{each.name}.{what}")) for each in maps.images for what in (LAST, *IMAGES))
    _make_folder(output)
    for each in maps.images:
        name, place = each.source, str(output / each.name)
        if exists(f"{place}.{LAST}") and not overwrite:
            outcomes.append({"input": name, "status": "skipped"})
            continue
        try:
            error = name_error(f"{place}.{LAST}") or place_error(Path(place).parent)
            if error is not None:
                raise error
            image, _, notes = read_image(name)
            say_notes(notes, quiet=quiet)
            with counting_bar(f"reading {Path(name).name}", shown=not quiet) as report:
                found = extract_text(
                    image,
                    ocr=ocr,
                    script=known,
                    vocabulary=spelt,
                    stop=stop,
                    seed=seed,
                    device=device,
                    workers=workers,
                    on_window=partial(_report, report),
                )
            say_notes(found.notes, quiet=quiet)
            _write(found, place, Path(name).name, ocr=ocr)
        except MissingExtraError:
            raise
        except (DeepProtectionError, OSError) as error:
            message = str(error)
            say_error(message if name in message else f"{name}: {message}")
            outcomes.append({"input": name, "status": "failed", "error": message})
            continue
        words = [as_record(word) for word in found.words]
        outcomes.append({"input": name, "status": "done", "words": words, "notes": [*notes, *found.notes]})
        if not quiet and not as_json:
            sys.stderr.write(f"{name}: {len(found.words)} words\n")
    if as_json:
        print_json({"results": outcomes, "left_out": list(maps.left_out)})
    return 1 if any(outcome["status"] == "failed" for outcome in outcomes) else 0


def _report(report: Callable[[int, int, str], None], done: int, total: int) -> None:
    report(done, total, "windows")


def _is_result(file: Path) -> bool:
    """Whether a file is what an earlier run in the same folder made of a map."""
    made = (file.name.removesuffix(f".{what}") for what in (LAST, *IMAGES) if file.name.endswith(f".{what}"))
    return any(name and file.with_name(name).is_file() for name in made)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder} ({error.strerror}); choose another output") from None


def _write(found: ExtractedText, place: str, name: str, *, ocr: bool) -> None:
    files: dict[str, bytes] = {"text.png": _png(found.text_layer)}
    if ocr:
        files["words.json"] = to_json(found.words, name, found.sheet.size).encode()
        files["words.csv"] = to_csv(found.words).encode()
        files["words.geojson"] = to_geojson(found.words).encode()
        files["overlay.png"] = _png(found.overlay)
    files[LAST] = _png(found.without_text)
    for suffix, content in files.items():
        write_atomically(content, f"{place}.{suffix}")


def _png(image: Image.Image) -> bytes:
    return encode(image, "PNG")
