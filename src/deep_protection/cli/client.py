"""``deep-protection client``: have a service do it."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deep_protection.cli import options
from deep_protection.cli.console import print_json, say_error, say_note, say_notes
from deep_protection.cli.given import content_of
from deep_protection.cli.plan import Named, check_places, find_images
from deep_protection.errors import DeepProtectionError, OptionError, OutputError
from deep_protection.images import write_atomically
from deep_protection.optional import needing

_RESULT = re.compile(r"(.+)\.[a-z_]{1,31}\.png", re.DOTALL)
"""NAME.WHAT.png"""


def client_command(
    kind: Annotated[str, typer.Argument(help="protect, detect, classify, attack, denoise, …", show_default=False)],
    inputs: options.Images,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder for the images that are made.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-O", metavar="NAME=VALUE", help="Of the job, as preset=thorough.")
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="For inpaint: white is missing.")] = None,
    url: Annotated[str, typer.Option(help="Where the service listens.")] = "http://127.0.0.1:8000",
    token: Annotated[str | None, typer.Option(envvar="DEEP_PROTECTION_TOKEN", help="What it was started with.")] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> int:
    """Send images to a service, wait, and write down what it made: OUT/NAME.result.png, and so on.

    Folders keep their tree. Where results exist, nothing is sent.
    """
    with needing("the client", "service"):
        from deep_protection.service.client import Client
    asked = dict(_pair(each) for each in option or [])
    outcomes: list[dict[str, Any]] = []
    found = find_images(inputs, output, _is_result)
    say_notes(found.notes)
    if output is not None:
        _check_results(found.images, output, overwrite=overwrite)
    hidden = None if mask is None else content_of(str(mask))
    with Client(url, token=token) as client:
        sent = []
        unwritten = 0
        for image in found.images:
            name = image.source
            try:
                sent.append((image, client.submit(kind, image=content_of(name), mask=hidden, **asked)))
            except DeepProtectionError as error:
                _fail(outcomes, name, error)
        for image, accepted in sent:
            name = image.source
            try:
                job = client.wait(accepted)
                if output is None:
                    unwritten += len(job["files"])
                else:
                    for what in job["files"]:
                        _write(client.file(job, what), output / f"{image.name}.{what}.png", overwrite=overwrite)
                outcomes.append({"input": name, "status": "done", "job": job["id"], "answer": job["answer"]})
            except DeepProtectionError as error:
                _fail(outcomes, name, error)
    if unwritten:
        say_note(f"{unwritten} images were made and none was written down; give a folder with -o to have them")
    if as_json:
        print_json({"results": outcomes, "left_out": list(found.left_out)})
    else:
        for outcome in outcomes:
            if outcome["status"] == "done":
                sys.stdout.write(f"{outcome['input']}: {_told(outcome['answer'])}\n")
    return 1 if any(outcome["status"] == "failed" for outcome in outcomes) else 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise OptionError(f"--option {text} is not NAME=VALUE; write it as in --option preset=thorough")
    return name, value


def _is_result(file: Path) -> bool:
    """Whether a file is what an earlier run into the same folder made of an image."""
    made = _RESULT.fullmatch(file.name)
    return made is not None and file.with_name(made[1]).is_file()


def _check_results(images: list[Named], folder: Path, *, overwrite: bool) -> None:
    """Refuse what would replace results or images, before anything is sent."""
    check_places((image.source, str(folder / f"{image.name}.result.png")) for image in images)
    for image in images if not overwrite else ():
        place = folder / image.name
        there = place.parent.iterdir() if place.parent.is_dir() else ()
        made = [file for file in there if (name := _RESULT.fullmatch(file.name)) and name[1] == place.name]
        if made:
            raise OutputError(f"{min(made)} exists; add --overwrite or choose another output")


def _write(data: bytes, path: Path, *, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(path):  # written while we waited
        raise OutputError(f"{path} exists; add --overwrite or choose another output")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path.parent} ({error.strerror})") from None
    write_atomically(data, path)


def _fail(outcomes: list[dict[str, Any]], name: str, error: DeepProtectionError) -> None:
    say_error(f"{name}: {error}")
    outcomes.append({"input": name, "status": "failed", "error": str(error)})


def _told(answer: dict[str, Any]) -> str:
    """An answer in a line."""
    if "before" in answer and "after" in answer:
        before, after = answer["before"][0], answer["after"][0]
        return f"{before['label']} {before['probability']:.0%} → {after['label']} {after['probability']:.0%}"
    if "top" in answer:
        return ", ".join(f"{each['label']} {each['probability']:.0%}" for each in answer["top"])
    if "is_suspicious" in answer:
        return f"{'suspicious' if answer['is_suspicious'] else 'ok'}, p = {answer['p_value']:.2f}"
    return f"{len(answer['words'])} words" if "words" in answer else "done"
