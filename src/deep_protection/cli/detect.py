"""``deep-protection detect``: which images were tampered with; and what clean ones look like, to tell by."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from torch import Tensor
from typer.core import TyperGroup

from deep_protection.classifiers import Classifier, load_classifier, refuse_multi_label
from deep_protection.cli import options
from deep_protection.cli.console import counting_bar, print_json, say_error, say_notes, stdout
from deep_protection.cli.given import seen_by
from deep_protection.cli.plan import find_images
from deep_protection.detection import (
    Calibration,
    EnsembleDetection,
    calibrate,
    combine,
    detect,
    per_classifier_rate,
)
from deep_protection.errors import ImageError, OptionError, OutputError
from deep_protection.restoration import find_device

FLAGGED = 3
"""Exit code when an image is suspicious and none was bad."""
IMAGES = "images"


class _ImagesByDefault(TyperGroup):
    """``detect IN…`` runs the command ``images``, which has no name of its own: a folder may be called so."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self._others(), "-h", "--help"}:
            args = [IMAGES, *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The arguments and options of ``images``, and the other commands."""
        images = self.commands[IMAGES]
        shown = TyperGroup(
            name=self.name, help=images.help, params=images.params, commands=self._others(), subcommand_metavar=""
        )
        shown.format_help(ctx, formatter)

    def _others(self) -> dict[str, Any]:
        return {name: command for name, command in self.commands.items() if name != IMAGES}


detect_app = typer.Typer(
    add_completion=False,
    cls=_ImagesByDefault,
    help="Say which images were tampered with to fool a classifier: deep-protection detect IN…",
    no_args_is_help=True,
)


@detect_app.command(IMAGES)
def images_command(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Images, folders, or - for standard input.", show_default=False),
    ],
    classifier: options.ClassifierNames = None,
    false_positive_rate: options.FalsePositiveRate = 0.05,
    quick: Annotated[bool, typer.Option("--quick", help="Fit nothing: quicker, a little less sure.")] = False,
    calibration: options.CalibrationFiles = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Say which images were tampered with. Exit code 0: none is suspicious; 3: at least one is; 1: one was bad.

    With several classifiers an image is suspicious when any of them finds it so, each at an equal share of the rate.
    """
    found_in, where = find_images(inputs), find_device(device)
    names = found_in.sources
    say_notes(found_in.notes, quiet=quiet)
    models = [load_classifier(name).to(where) for name in options.several(classifier)]
    known = _calibrations(models, calibration or [], quick=quick)
    share = per_classifier_rate(false_positive_rate, known)
    results: dict[str, EnsembleDetection] = {}
    failures: list[dict[str, str]] = []
    with counting_bar("looking", shown=not quiet) as report:
        for start in range(0, len(names), CHUNK):
            read = {}
            for name in names[start : start + CHUNK]:
                try:
                    read[name] = seen_by(name, models, quiet=quiet)
                except ImageError as error:
                    say_error(str(error))
                    failures.append({"input": name, "error": str(error)})
            found = {
                model.name: detect(
                    [pixels[number] for pixels, _ in read.values()],
                    model,
                    false_positive_rate=share,
                    calibration=known[number],
                    seed=seed,
                    device=where,
                    workers=workers,
                )
                for number, model in enumerate(models)
            }
            for index, (name, (_, notes)) in enumerate(read.items()):
                told = {each: replace(answers[index], notes=notes) for each, answers in found.items()}
                results[name] = combine(told)
            report(min(start + CHUNK, len(names)), len(names), "")
    if as_json:
        print_json(
            _document(results, models, known, false_positive_rate)
            | {"failed": failures, "left_out": list(found_in.left_out)}
        )
    else:
        _print_table(results)
    if failures:
        return 1
    return FLAGGED if any(each.is_suspicious for each in results.values()) else 0


def given_calibrations(models: list[Classifier], files: list[str]) -> dict[str, Calibration]:
    """Those of the files, by name of the classifier."""
    given = [Calibration.load(file) for file in files]
    if len(models) == 1 and len(given) == 1:
        given[0].check_classifier(models[0].name)
    by_name = {each.classifier: each for each in given}
    for name in by_name:
        if name not in {model.name for model in models}:
            raise OptionError(f"a calibration for {name} was given, which is not among the classifiers")
    return by_name


def _calibrations(models: list[Classifier], files: list[str], *, quick: bool) -> list[Calibration]:
    """One for each classifier: of the files, or the one that comes with the package."""
    for model in models:
        refuse_multi_label(model, "the detector")
    given = given_calibrations(models, files)
    return [given.get(model.name) or Calibration.shipped(model.name, quick=quick) for model in models]


def _document(
    results: dict[str, EnsembleDetection], models: list[Classifier], known: list[Calibration], rate: float
) -> dict[str, Any]:
    """The results for programs."""
    if len(models) == 1:
        (model,), (calibration,) = models, known
        found = [{"input": name, **asdict(each.by_classifier[model.name])} for name, each in results.items()]
        about: dict[str, Any] = {"classifier": model.name, "calibrated_on": calibration.description}
    else:
        found = [{"input": name, **asdict(each)} for name, each in results.items()]
        about = {
            "classifiers": [
                {"classifier": model.name, "calibrated_on": calibration.description}
                for model, calibration in zip(models, known, strict=True)
            ]
        }
    return {**about, "false_positive_rate": rate, "results": found}


@detect_app.command("calibrate")
def calibrate_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Clean images, at least 20.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, JSON.", show_default=False)],
    classifier: options.ClassifierName = "lite0",
    quick: Annotated[bool, typer.Option("--quick", help="For detecting without a fit.")] = False,
    about: Annotated[str | None, typer.Option(help="What the images are, for whoever uses the file.")] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    quiet: options.Quiet = False,
) -> int:
    """Learn from clean images what the detector sees in them. No attacked ones are needed, and no labels."""
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; add --overwrite or choose another output")
    found_in, where = find_images([str(folder)]), find_device(device)
    names = found_in.sources
    say_notes(found_in.notes, quiet=quiet)
    model = load_classifier(classifier).to(where)
    failures: list[str] = []
    with counting_bar("calibrating", shown=not quiet) as report:

        def images() -> Iterator[Tensor]:
            for number, name in enumerate(names):
                try:
                    yield seen_by(name, [model], quiet=quiet)[0][0]
                except ImageError as error:
                    say_error(str(error))
                    failures.append(name)
                report(number + 1, len(names), "")

        made = calibrate(images(), model, quick=quick, seed=seed, device=where, workers=workers)
    replace(made, description=about or f"{len(made.scores)} images in {folder.name}").save(output)
    if not quiet:
        sys.stderr.write(f"calibrated on {len(made.scores)} images, written to {output}\n")
    return 1 if failures else 0


CHUNK = 32
"""Images in memory at once."""


def _print_table(results: dict[str, EnsembleDetection]) -> None:
    if not results:
        return
    classifiers = list(next(iter(results.values())).by_classifier)
    alone = len(classifiers) == 1
    table = Table()
    table.add_column("image", overflow="fold")
    for heading in ("verdict", "p", *(["agreement"] if alone else [])):
        table.add_column(heading)
    for name in ("as it is", "restored in part") if alone else classifiers:
        table.add_column(name)
    for name, each in results.items():
        cells: list[Text] = []
        for found in each.by_classifier.values():
            before, after = (f"{one.label} {one.probability:.0%}" for one in (found.label_before, found.label_after))
            if alone:
                cells += [Text(f"{found.agreement:.2f}"), Text(before), Text(after)]
            else:
                cells.append(Text(f"p {found.p_value:.2f}, agreement {found.agreement:.2f}\n{before}\n→ {after}"))
        verdict = "[red]suspicious[/red]" if each.is_suspicious else "ok"
        table.add_row(Text(name), verdict, f"{each.p_value:.2f}", *cells)
    stdout.print(table)
