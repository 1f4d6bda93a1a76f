"""``deep-protection detect``: which pictures were tampered with; and what clean ones look like, to tell by."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from torch import Tensor
from typer.core import TyperGroup

from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.cli import options
from deep_protection.cli.console import counting_bar, print_json, say_error, stdout
from deep_protection.cli.plan import STREAM, find_pictures
from deep_protection.detection import Calibration, Detection, calibrate, classifier_pixels, detect, gather, look
from deep_protection.detection.detect import ITERATIONS
from deep_protection.errors import ImageError, OutputError
from deep_protection.purification import find_device

FLAGGED = 3
"""Exit code when a picture is suspicious and none was bad."""
PICTURES = "pictures"


class _PicturesByDefault(TyperGroup):
    """``detect IN…`` means ``detect pictures IN…``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = [PICTURES, *args]
        return super().parse_args(ctx, args)


detect_app = typer.Typer(
    cls=_PicturesByDefault,
    help="Say which pictures were tampered with to fool a classifier: deep-protection detect IN…",
    no_args_is_help=True,
)


@detect_app.command(PICTURES)
def pictures_command(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IN...", help="Pictures, folders, or - for standard input.", show_default=False),
    ],
    classifier: options.ClassifierName = "lite0",
    false_positive_rate: options.FalsePositiveRate = 0.05,
    quick: Annotated[bool, typer.Option("--quick", help="Fit nothing: quicker, a little less sure.")] = False,
    calibration: options.CalibrationFile = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Say which pictures were tampered with. Exit code 0: none is suspicious; 3: at least one is; 1: one was bad."""
    names, where = find_pictures(inputs), find_device(device)
    model = load_classifier(classifier).to(where)
    known = Calibration.load(calibration) if calibration else Calibration.shipped(model.name, quick=quick)
    known.check_rate(false_positive_rate)
    results: dict[str, Detection] = {}
    failures: list[dict[str, str]] = []
    with counting_bar("looking", shown=not quiet) as report:
        for start in range(0, len(names), CHUNK):
            pixels, failed = _read(names[start : start + CHUNK], model)
            failures += failed
            found = detect(
                list(pixels.values()),
                model,
                false_positive_rate=false_positive_rate,
                calibration=known,
                seed=seed,
                device=where,
                workers=workers,
            )
            results |= dict(zip(pixels, found, strict=True))
            report(min(start + CHUNK, len(names)), len(names), "")
    if as_json:
        print_json(
            {
                "classifier": model.name,
                "calibrated_on": known.pictures,
                "false_positive_rate": false_positive_rate,
                "results": [{"input": name, **asdict(each)} for name, each in results.items()],
                "failed": failures,
            }
        )
    else:
        _print_table(results)
    if failures:
        return 1
    return FLAGGED if any(each.is_suspicious for each in results.values()) else 0


@detect_app.command("calibrate")
def calibrate_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Clean pictures, at least 20.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, JSON.", show_default=False)],
    classifier: options.ClassifierName = "lite0",
    quick: Annotated[bool, typer.Option("--quick", help="For detecting without a fit.")] = False,
    about: Annotated[str | None, typer.Option(help="What the pictures are, for whoever uses the file.")] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    quiet: options.Quiet = False,
) -> int:
    """Learn from clean pictures what the detector sees in them. No attacked ones are needed, and no labels."""
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; add --overwrite or choose another output")
    names, where = find_pictures([str(folder)]), find_device(device)
    model = load_classifier(classifier).to(where)
    iterations = 0 if quick else ITERATIONS
    evidence: list[dict[str, float]] = []
    failures = 0
    with counting_bar("calibrating", shown=not quiet) as report:
        for start in range(0, len(names), CHUNK):
            pixels, failed = _read(names[start : start + CHUNK], model)
            failures += len(failed)
            pictures = list(pixels.values())
            seen = look(pictures, model, iterations=iterations, seed=seed, device=where, workers=workers)
            evidence += [gather(picture, answers) for picture, answers in zip(pictures, seen, strict=True)]
            report(min(start + CHUNK, len(names)), len(names), "")
    described = about or f"{len(evidence)} pictures in {folder.name}"
    calibrate(evidence, classifier=model.name, iterations=iterations, pictures=described).save(output)
    if not quiet:
        sys.stderr.write(f"calibrated on {len(evidence)} pictures, written to {output}\n")
    return 1 if failures else 0


CHUNK = 32
"""Pictures in memory at once."""


def _read(names: list[str], model: Classifier) -> tuple[dict[str, Tensor], list[dict[str, str]]]:
    """Pixels as the classifier wants them, by name; and what could not be read."""
    pixels: dict[str, Tensor] = {}
    failures = []
    for name in names:
        try:
            found, _ = classifier_pixels(sys.stdin.buffer.read() if name == STREAM else name, model)
            pixels[name] = found[0]
        except ImageError as error:
            say_error(str(error))
            failures.append({"input": name, "error": str(error)})
    return pixels, failures


def _print_table(results: dict[str, Detection]) -> None:
    table = Table()
    table.add_column("picture", overflow="fold")
    for heading in ("verdict", "p", "as it is", "restored in part"):
        table.add_column(heading)
    for name, each in results.items():
        table.add_row(
            Text(name),
            "[red]suspicious[/red]" if each.is_suspicious else "ok",
            f"{each.p_value:.2f}",
            Text(f"{each.label_before.label} {each.label_before.probability:.0%}"),
            Text(f"{each.label_after.label} {each.label_after.probability:.0%}"),
        )
    if results:
        stdout.print(table)
