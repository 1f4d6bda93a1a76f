"""``deep-protection classify``: what a classifier sees, bare and protected."""

import sys
from dataclasses import asdict
from itertools import groupby
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from rich.text import Text

from deep_protection.classifiers import Classifier, Prediction, load_classifier
from deep_protection.cli import options
from deep_protection.cli.console import print_json, progress_bar, say_error, say_note, stdout
from deep_protection.cli.plan import STREAM, find_pictures
from deep_protection.errors import ImageError
from deep_protection.images import take_picture, to_pillow
from deep_protection.protection import protect as put_in_front
from deep_protection.purification import find_device


def classify_command(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Pictures, folders, or - for standard input.", show_default=False),
    ],
    classifier: options.ClassifierName = "lite0",
    protect: Annotated[
        bool, typer.Option("--protect", help="Restore each picture first; both answers are shown.")
    ] = False,
    preset: options.Preset = "fast",
    stop: options.Stop = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Name what is in pictures: the five most probable classes, and with --protect those after restoring."""
    names = find_pictures(inputs)
    where = find_device(device)
    model = load_classifier(classifier).to(where)
    pictures: list[tuple[str, torch.Tensor]] = []
    failures: list[dict[str, Any]] = []
    for name in names:
        try:
            pictures.append((name, _pixels(name, model, quiet=quiet)))
        except ImageError as error:
            say_error(str(error))
            failures.append({"input": name, "error": str(error)})
    protected = put_in_front(model, preset=preset, stop=stop, seed=seed, device=where, workers=workers)
    after: list[list[Prediction]] | None = None
    if protect and pictures:
        with progress_bar("restoring", shown=not quiet) as protected.progress, torch.no_grad():
            alike = groupby((pixels for _, pixels in pictures), key=lambda pixels: pixels.shape)
            after = [top for _, group in alike for top in model.best(protected(torch.stack(list(group))))]
    before = [model.top(pixels.unsqueeze(0))[0] for _, pixels in pictures]
    if as_json:
        results = [
            {"input": name, "top5": [asdict(prediction) for prediction in first]}
            | ({} if after is None else {"top5_protected": [asdict(prediction) for prediction in after[index]]})
            for index, ((name, _), first) in enumerate(zip(pictures, before, strict=True))
        ]
        print_json({"classifier": model.name, "results": results, "failed": failures})
    else:
        for index, (name, _) in enumerate(pictures):
            _print_table(name, before[index], None if after is None else after[index])
    return 1 if failures else 0


def _pixels(name: str, model: Classifier, *, quiet: bool) -> torch.Tensor:
    """``3×H×W`` pixels as the classifier wants them."""
    picture = take_picture(sys.stdin.buffer.read() if name == STREAM else name)
    if not quiet:
        for note in picture.notes:
            say_note(note)
    return model.preprocess(to_pillow(picture.pixels))


def _print_table(name: str, before: list[Prediction], after: list[Prediction] | None) -> None:
    table = Table(title=Text(name), title_justify="left", min_width=40)
    for heading in ("as it is",) if after is None else ("as it is", "protected"):
        table.add_column(heading)
        table.add_column("%", justify="right")
    for index, first in enumerate(before):
        cells: list[Text | str] = [Text(first.label), f"{first.probability:.1%}"]
        if after is not None:
            cells += [Text(after[index].label), f"{after[index].probability:.1%}"]
        table.add_row(*cells)
    stdout.print(table)
