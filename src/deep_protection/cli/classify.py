"""``deep-protection classify``: what a classifier sees, bare and protected."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import groupby, zip_longest
from typing import Annotated, Any, cast

import torch
import typer
from rich.table import Table
from rich.text import Text

from deep_protection.classifiers import Classifier, Prediction, load_classifier
from deep_protection.cli import options
from deep_protection.cli.console import print_json, progress_bar, say_error, say_notes, stdout
from deep_protection.cli.detect import given_calibrations
from deep_protection.cli.given import seen_by
from deep_protection.cli.plan import find_images
from deep_protection.errors import ImageError
from deep_protection.protection import AnswerBy, Explanation, ProtectedClassifier, When
from deep_protection.protection import protect as put_in_front
from deep_protection.restoration import find_device


def classify_command(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Images, folders, or - for standard input.", show_default=False),
    ],
    classifier: options.ClassifierNames = None,
    protect: Annotated[
        bool, typer.Option("--protect", help="Also answer as if no image had been attacked; both answers are shown.")
    ] = False,
    answer: Annotated[
        str | None,
        typer.Option(
            help="With --protect: contrast, or restored, for the answer to the restored image alone. Default: "
            "contrast, but restored for services that are paid for each question."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="With --protect: fit nothing, a little less often right.")
    ] = False,
    when: Annotated[
        str | None,
        typer.Option(
            help="With --protect: which images are taken for attacked, suspicious or always. Default: suspicious, "
            "but always with --answer restored."
        ),
    ] = None,
    false_positive_rate: options.FalsePositiveRate = 0.05,
    calibration: options.CalibrationFiles = None,
    preset: options.Preset = "fast",
    stop: options.Stop = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Name what is in images: the five most probable classes, and with --protect those of the protected classifier.

    With --protect it is also told which answer was taken, and why. Several classifiers are shown beside each other.
    """
    found = find_images(inputs)
    say_notes(found.notes, quiet=quiet)
    where = find_device(device)
    models = [load_classifier(name).to(where) for name in options.several(classifier)]
    known = given_calibrations(models, calibration or [])
    images: dict[str, list[torch.Tensor]] = {}
    failures: list[dict[str, Any]] = []
    for name in found.sources:
        try:
            images[name], _ = seen_by(name, models, quiet=quiet)
        except ImageError as error:
            say_error(str(error))
            failures.append({"input": name, "error": str(error)})
    columns: list[_Column] = []
    for number, model in enumerate(models):
        pixels = [each[number] for each in images.values()]
        protected = put_in_front(
            model,
            answer=cast("AnswerBy | None", answer),
            quick=quick,
            when=cast("When | None", when),
            false_positive_rate=false_positive_rate,
            calibration=known.get(model.name),
            preset=preset,
            stop=stop,
            seed=seed,
            device=where,
            workers=workers,
        )
        after: list[_Protected] | None = None
        if protect and pixels:
            with progress_bar(f"restoring for {model.name}", shown=not quiet) as progress, torch.no_grad():
                protected.options = replace(protected.options, progress=progress)
                alike = groupby(pixels, key=lambda image: image.shape)
                after = [each for _, group in alike for each in _protected(model, protected, torch.stack(list(group)))]
        columns.append(_Column(model.name, [model.top(each.unsqueeze(0))[0] for each in pixels], after))
    if as_json:
        reports = [
            {
                "classifier": each.name,
                "results": each.results(list(images)),
                "failed": failures,
                "left_out": list(found.left_out),
            }
            for each in columns
        ]
        print_json(reports[0] if len(reports) == 1 else {"classifiers": reports})
    else:
        for index, name in enumerate(images):
            _print_table(name, index, columns)
    return 1 if failures else 0


@dataclass(frozen=True, slots=True)
class _Protected:
    """What a protected classifier answers to one image, and why."""

    top: list[Prediction]
    found: Explanation | None
    """None for the answer to the restored image alone."""

    def results(self) -> dict[str, Any]:
        names = ("answer", "reason", "is_suspicious", "p_value", "agreement", "strength")
        told = None if self.found is None else {name: getattr(self.found, name) for name in names}
        return {"top5_protected": [asdict(each) for each in self.top], "explanation": told}

    def told(self) -> str:
        """In a line."""
        if self.found is None:
            return "the answer to the restored image"
        p = self.found.p_value
        sure = f"agreement {self.found.agreement:.2f}" if p is None else f"p {p:.2f}"
        return f"{self.found.reason} ({self.found.answer}, {sure})"


def _protected(model: Classifier, protected: ProtectedClassifier, pixels: torch.Tensor) -> Iterator[_Protected]:
    if protected.answer == "contrast":
        explained: list[Any] = protected.explain(pixels)
        logits = torch.stack([each.logits for each in explained])
    else:
        logits = protected(pixels)
        explained = [None] * len(pixels)
    yield from map(_Protected, model.best(logits), explained)


@dataclass(frozen=True, slots=True)
class _Column:
    """One classifier's answers, image by image."""

    name: str
    before: list[list[Prediction]]
    after: list[_Protected] | None

    def results(self, images: list[str]) -> list[dict[str, Any]]:
        return [
            {"input": image, "top5": [asdict(prediction) for prediction in self.before[index]]}
            | ({} if self.after is None else self.after[index].results())
            for index, image in enumerate(images)
        ]


def _print_table(name: str, index: int, columns: list[_Column]) -> None:
    table = Table(title=Text(name), title_justify="left", min_width=40)
    answers: list[list[Prediction]] = []
    told: list[str] = []
    for column in columns:
        protected = column.after[index] if column.after else None
        shown = [("as it is", column.before[index], "")]
        if protected is not None:
            shown.append(("protected", protected.top, protected.told()))
        for heading, top, line in shown:
            table.add_column(heading if len(columns) == 1 else f"{column.name}, {heading}")
            table.add_column("%", justify="right")
            answers.append(top)
            told.append(line)
    for rank in zip_longest(*answers):
        cells: list[Text | str] = []
        for each in rank:
            cells += [Text(each.label), f"{each.probability:.1%}"] if each else ["", ""]
        table.add_row(*cells)
    if any(told):
        table.add_section()
        table.add_row(*(cell for line in told for cell in (Text(line), "")))
    stdout.print(table)
