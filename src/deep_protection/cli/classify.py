"""``deep-protection classify``: what a classifier sees, bare and protected."""

import sys
from dataclasses import asdict, dataclass
from itertools import groupby, zip_longest
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
    classifier: options.ClassifierNames = None,
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
    """Name what is in pictures: the five most probable classes, and with --protect those after restoring.

    Several classifiers are shown beside each other.
    """
    names = find_pictures(inputs)
    where = find_device(device)
    models = [load_classifier(name).to(where) for name in options.several(classifier)]
    pictures: dict[str, list[torch.Tensor]] = {}
    failures: list[dict[str, Any]] = []
    for name in names:
        try:
            pictures[name] = _pixels(name, models, quiet=quiet)
        except ImageError as error:
            say_error(str(error))
            failures.append({"input": name, "error": str(error)})
    columns: list[_Column] = []
    for number, model in enumerate(models):
        pixels = [each[number] for each in pictures.values()]
        protected = put_in_front(model, preset=preset, stop=stop, seed=seed, device=where, workers=workers)
        after: list[list[Prediction]] | None = None
        if protect and pixels:
            with progress_bar(f"restoring for {model.name}", shown=not quiet) as protected.progress, torch.no_grad():
                alike = groupby(pixels, key=lambda picture: picture.shape)
                after = [top for _, group in alike for top in model.best(protected(torch.stack(list(group))))]
        columns.append(_Column(model.name, [model.top(each.unsqueeze(0))[0] for each in pixels], after))
    if as_json:
        reports = [
            {"classifier": each.name, "results": each.results(list(pictures)), "failed": failures} for each in columns
        ]
        print_json(reports[0] if len(reports) == 1 else {"classifiers": reports})
    else:
        for index, name in enumerate(pictures):
            _print_table(name, index, columns)
    return 1 if failures else 0


@dataclass(frozen=True, slots=True)
class _Column:
    """One classifier's answers, picture by picture."""

    name: str
    before: list[list[Prediction]]
    after: list[list[Prediction]] | None

    def results(self, pictures: list[str]) -> list[dict[str, Any]]:
        return [
            {"input": picture, "top5": [asdict(prediction) for prediction in self.before[index]]}
            | ({} if self.after is None else {"top5_protected": [asdict(each) for each in self.after[index]]})
            for index, picture in enumerate(pictures)
        ]


def _pixels(name: str, models: list[Classifier], *, quiet: bool) -> list[torch.Tensor]:
    """``3×H×W`` pixels as each classifier wants them."""
    picture = take_picture(sys.stdin.buffer.read() if name == STREAM else name)
    if not quiet:
        for note in picture.notes:
            say_note(note)
    image = to_pillow(picture.pixels)
    return [model.preprocess(image) for model in models]


def _print_table(name: str, index: int, columns: list[_Column]) -> None:
    table = Table(title=Text(name), title_justify="left", min_width=40)
    answers: list[list[Prediction]] = []
    for column in columns:
        for heading, rows in (("as it is", column.before), ("protected", column.after)):
            if rows is not None:
                table.add_column(heading if len(columns) == 1 else f"{column.name}, {heading}")
                table.add_column("%", justify="right")
                answers.append(rows[index])
    for rank in zip_longest(*answers):
        cells: list[Text | str] = []
        for each in rank:
            cells += [Text(each.label), f"{each.probability:.1%}"] if each else ["", ""]
        table.add_row(*cells)
    stdout.print(table)
