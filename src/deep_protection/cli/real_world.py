"""``deep-protection real-world``: an image, perturbed on one model, before another: a service, for instance."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from deep_protection.classifiers import load_classifier
from deep_protection.cli import options
from deep_protection.cli.console import print_json, say_notes, stdout
from deep_protection.errors import OutputError
from deep_protection.evaluation import RealWorld, draw_side_by_side, figure_class, markdown, real_world
from deep_protection.images import as_image, encode, to_pillow, write_atomically
from deep_protection.restoration import find_device, find_preset, purify

FIGURE, REPORT, RESULTS = "real-world.png", "report.md", "results.json"


def real_world_command(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An image.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for images, table and report.", show_default=False)
    ],
    classifier: options.RequiredClassifierName,
    surrogate: Annotated[str, typer.Option(help="Model that the attack is made on: no service.")] = "lite0",
    target: Annotated[str, typer.Option(help="Class of the surrogate that the attack aims at.")] = "gibbon",
    epsilon: Annotated[float, typer.Option(help="Largest change of a value, in 255ths.")] = 8,
    top: Annotated[int, typer.Option(min=1, max=20, help="Answers shown of each image.")] = 5,
    preset: options.Preset = "fast",
    stop: options.Stop = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Perturb an image on one model, restore it, and show what another makes of all: --classifier clarifai:MODEL.

    The classifier is asked four times: about the original, the adversarial image, that after JPEG, and restored.
    """
    figure_class()  # missing matplotlib is said now, not after a minute
    settings, where = find_preset(preset), find_device(device)
    settings.rule(stop)
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file, and the results need a folder; choose another output")
    taken = as_image(image)
    asked, attacked = load_classifier(classifier), load_classifier(surrogate)
    say_notes(taken.notes, quiet=quiet)
    found = real_world(
        to_pillow(taken.pixels),
        asked,
        attacked,
        target=target,
        epsilon=epsilon,
        seed=seed,
        answers=top,
        restore=lambda pixels: purify(pixels, preset=settings, stop=stop, seed=seed, device=where, workers=workers),
        say=lambda what: None if quiet else _say(what),
    )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {output} ({error.strerror}); choose another output") from None
    results = _results(found) | {"preset": settings.name, "stop": stop or settings.stop, "seed": seed}
    for name, pixels in found.images.items():
        write_atomically(encode(to_pillow(pixels), "PNG"), output / _file(name))
    draw_side_by_side(found, output / FIGURE)
    write_atomically(markdown(found, FIGURE).encode(), output / REPORT)
    write_atomically((json.dumps(results, indent=1) + "\n").encode(), output / RESULTS)
    if as_json:
        print_json(results)
    else:
        _print(found, output)
    return 0


def _file(image: str) -> str:
    return f"{image.lower().replace(' ', '')}.png"


def _say(what: str) -> None:
    sys.stderr.write(f"{what} …\n")


def _results(found: RealWorld) -> dict[str, Any]:
    return {
        "classifier": found.classifier,
        "surrogate": found.surrogate,
        "target": found.target,
        "epsilon": found.epsilon,
        "fooled": found.is_fooled,
        "target_named": found.names_target,
        "answers": {
            name: {"image": _file(name), "first_as_original": found.is_back(name), "top": list(map(asdict, answers))}
            for name, answers in ((each, found.answers[each]) for each in found.images)
        },
        "surrogate_answers": {name: asdict(answer) for name, answer in found.surrogate_answers.items()},
        "verdict": found.verdict(),
    }


def _print(found: RealWorld, output: Path) -> None:
    table = Table(title=Text(f"{found.classifier}, asked about"), title_justify="left")
    names = list(found.images)
    for name in names:
        table.add_column(name)
    for rank in range(max(map(len, found.answers.values()))):
        rows = (found.answers[name][rank : rank + 1] for name in names)
        table.add_row(*(Text(f"{row[0].label} {row[0].probability:.1%}" if row else "") for row in rows))
    stdout.print(table)
    for sentence in found.verdict():
        stdout.print(Text(sentence), soft_wrap=True)
    stdout.print(f"Images and report are in {output}", soft_wrap=True, markup=False)
