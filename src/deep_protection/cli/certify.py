"""``deep-protection certify``: for each image a class and a radius within which no change of it moves the answer."""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from torch import Tensor

from deep_protection.certification import (
    UNKNOWN,
    CertifiedRow,
    CertifiedTable,
    Smoothing,
    certified_accuracy,
    certify_each,
)
from deep_protection.classifiers import Classifier, class_folders, load_classifier
from deep_protection.cli import options
from deep_protection.cli.console import counting_bar, print_json, say_error, say_note, say_notes, stdout
from deep_protection.cli.given import content_of, image_of
from deep_protection.cli.places import is_folder, name_error, place_error
from deep_protection.cli.plan import Named, find_images
from deep_protection.detection import classifier_images
from deep_protection.errors import ImageError, OptionError, OutputError
from deep_protection.fitting import Progress
from deep_protection.restoration import find_device

RADII = (0.05, 0.1, 0.25, 0.5)
"""At which it is said how many images are certified."""


@dataclass(frozen=True, slots=True)
class _Image:
    """One image, its place among all, and its class where that is known."""

    idx: int
    named: Named
    label: int


def certify_command(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...",
            help="Images, folders, or - for standard input. Of folders with one folder a class it is told what is "
            "right, too.",
            show_default=False,
        ),
    ],
    classifier: options.ClassifierName = "lite0",
    sigma: Annotated[float, typer.Option(help="Of the noise, in pixels from 0 to 1.")] = 0.12,
    samples: Annotated[int, typer.Option(help="Draws that bound the probability of the class.")] = 1000,
    alpha: Annotated[float, typer.Option(help="How often a certificate may be wrong.")] = 0.001,
    selection: Annotated[int, typer.Option(help="Draws before these, that choose the class.")] = 100,
    denoiser: Annotated[str, typer.Option(help="none, tv, dct or fast (a short fit).")] = "none",
    views: Annotated[
        bool, typer.Option("--views", help="Ask about the mirror image, too: larger radii. Not for letters.")
    ] = False,
    radius: Annotated[
        float | None, typer.Option(help="Only ask whether this L2 radius holds, which ends earlier.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Also a table with tabs, as Cohen's code writes. The same command goes on where it was."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many images; of folders of classes in a fixed random order.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Draws at once: only memory and time depend on it.")] = 32,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Say of each image what the classifier answers under noise, and how far nobody can move that answer.

    The radius is an L2 distance over all pixels in [0, 1] that the classifier sees. An abstention promises nothing.
    """
    settings = Smoothing(
        sigma=sigma,
        samples=samples,
        alpha=alpha,
        selection=selection,
        denoiser=denoiser,
        views=views,
        radius=radius,
        batch=batch,
        seed=seed,
    )
    found_in, where = find_images(inputs), find_device(device)
    _check_place(out)
    say_notes(found_in.notes, quiet=quiet)
    model = load_classifier(classifier).to(where)
    images = _labelled(found_in.images, model)
    about = {"classifier": model.name, **settings.about()}
    table = None if out is None else CertifiedTable(out, about, [each.named.name for each in images])
    rows = {} if table is None else table.rows
    wanted = images[:limit]
    unknown = sum(each.label == UNKNOWN for each in wanted)
    if unknown and table is not None and not quiet:
        say_note(
            f"the class of {unknown} images is not known: in {out} their label is {UNKNOWN} and they count as wrong"
        )
    todo = [each for each in wanted if each.idx not in rows]
    failures: list[dict[str, str]] = []
    try:
        with counting_bar("certifying", shown=not quiet) as report:
            before, reading = len(wanted) - len(todo), _Reading(todo, model, failures)

            def tell(progress: Progress) -> None:
                drawn = f"{reading.current.named.name}: draw {progress.iteration} of {progress.max_iterations}"
                report(before + reading.done + len(failures), len(wanted), drawn)

            found = certify_each(reading, len(todo), model, settings, device=where, progress=tell)
            for certificate in found:
                row = CertifiedRow.of(reading.current.idx, reading.current.label, certificate)
                rows[row.idx] = row
                if table is not None:
                    table.add(row)
                reading.done += 1
    finally:  # what was finished is shown after Ctrl-C, too
        shown = [(each, rows[each.idx]) for each in wanted if each.idx in rows]
        if as_json:
            left_out = list(found_in.left_out)
            print_json(_document(shown, model, about) | {"failed": failures, "left_out": left_out})
        elif shown:
            _print(shown, model)
    return 1 if failures else 0


class _Reading:
    """The pixels of images one by one, as they are wanted; bad ones are noted and left out."""

    def __init__(self, images: list[_Image], model: Classifier, failures: list[dict[str, str]]) -> None:
        self._images, self._model, self._failures = images, model, failures
        self.current, self.done = images[0] if images else _Image(0, Named("", ""), UNKNOWN), 0

    def __iter__(self) -> Iterator[Tensor]:
        for image in self._images:
            source = image.named.source
            try:
                opened, _, _ = image_of(source, content_of(source))
                pixels = classifier_images(opened, self._model)[0][0].pixels
            except ImageError as error:
                say_error(str(error))
                self._failures.append({"input": source, "error": str(error)})
                continue
            self.current = image
            yield pixels


def _check_place(out: Path | None) -> None:
    if out is None:
        return
    if is_folder(out):
        raise OutputError(f"{out} is a folder, and the table is one file; name it, such as {out / 'certificates.tsv'}")
    error = place_error(out.parent, make=False) or name_error(out)
    if error is not None:
        raise error


def _labelled(images: list[Named], model: Classifier) -> list[_Image]:
    """With the class that an image's folder names; then in the fixed random order that experiments have."""
    classes = class_folders(model)
    folders = {Path(each.name).parts[0] for each in images if len(Path(each.name).parts) > 1}
    known = {folder: classes[folder.lower()] for folder in folders if folder.lower() in classes}
    if known and len(known) < len(folders):
        others = ", ".join(sorted(folders - set(known))[:3])
        raise OptionError(
            f"some folders name classes of {model.name} and others do not: {others}; name each by WordNet id "
            "(n01440764), class index (0) or class name (tench)"
        )
    images = list(images)
    if known:
        random.Random(0).shuffle(images)  # noqa: S311  (an order, not a secret)
    return [
        _Image(idx, each, known.get(Path(each.name).parts[0], UNKNOWN) if len(Path(each.name).parts) > 1 else UNKNOWN)
        for idx, each in enumerate(images)
    ]


def _document(shown: list[tuple[_Image, CertifiedRow]], model: Classifier, about: dict[str, Any]) -> dict[str, Any]:
    """The results for programs."""
    results = [
        {
            "input": image.named.source,
            "prediction": None if row.predict < 0 else row.predict,
            "name": None if row.predict < 0 else model.label(row.predict),
            "radius": row.radius,
            "label": None if row.label == UNKNOWN else row.label,
            "correct": None if row.label == UNKNOWN else row.correct,
            "seconds": row.seconds,
        }
        for image, row in shown
    ]
    rows = [row for _, row in shown if row.label != UNKNOWN]
    accuracy = {str(radius): certified_accuracy(rows, radius) for radius in (0.0, *RADII)} if rows else {}
    return {**about, "results": results, "certified_accuracy": accuracy}


def _print(shown: list[tuple[_Image, CertifiedRow]], model: Classifier) -> None:
    table = Table()
    table.add_column("image", overflow="fold")
    for heading in ("answer under noise", "certified L2 radius", "right", "s"):
        table.add_column(heading)
    for image, row in shown:
        answer = "abstains" if row.predict < 0 else model.label(row.predict)
        right = "" if row.label == UNKNOWN else "yes" if row.correct else "no"
        cells = (image.named.name, answer, f"{row.radius:.3f}", right, f"{row.seconds:.1f}")
        table.add_row(*(Text(each) for each in cells))
    stdout.print(table)
    rows = [row for _, row in shown if row.label != UNKNOWN]
    if rows:
        told = ", ".join(f"{certified_accuracy(rows, radius):.0%} at {radius:g}" for radius in RADII)
        sys.stdout.write(
            f"right: {certified_accuracy(rows, 0.0):.0%} of {len(rows)}; right and certified: {told} (L2)\n"
        )
