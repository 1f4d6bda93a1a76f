"""``deep-protection demo``: the main job, offline, on real adversarial photographs."""

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from deep_protection.cli import options
from deep_protection.cli.console import counting_bar, duration, print_json, stdout
from deep_protection.errors import OutputError
from deep_protection.evaluation import figure_class
from deep_protection.evaluation.demonstration import (
    CLASSIFIER,
    CLEAN,
    PROTECTED,
    REFERENCE,
    demonstrate,
    short_title,
    shown,
)
from deep_protection.fitting import usable_cores
from deep_protection.images import write_atomically
from deep_protection.restoration import find_device, find_preset

MOST_WORKERS = 8
"""Each holds a PyTorch of its own, half a gigabyte."""


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the image and the numbers.")] = Path("demo"),
    images: Annotated[int, typer.Option(min=1, max=20, help="How many of the 20 sample photographs to use.")] = 20,
    preset: options.Preset = "fast",
    stop: Annotated[
        str | None, typer.Option(help="When to end a fit, as auto or fixed:200. Default: protect's own.")
    ] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help=f"Processes. Default: one a core, at most {MOST_WORKERS}.")
    ] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Attack photographs and see what a classifier says, bare, filtered and protected: table and image.

    Takes the ImageNet photographs that foolbox carries, keeps those that lite0 gets right, attacks them with PGD
    (4/255), FGSM (8/255) and salt and pepper, and asks about what the attack made wrong. Works offline, in about two
    minutes on two cores.
    """
    settings = find_preset(preset)
    settings.rule(stop)
    where = find_device(device)
    figure_class()  # missing matplotlib is said now, not after a minute of work
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out} ({error.strerror}); choose another --out") from None
    workers = workers or min(usable_cores(), MOST_WORKERS)
    begin = time.perf_counter()
    with counting_bar("attacking and protecting photographs", shown=not quiet) as progress:
        found = demonstrate(
            images=images, seed=seed, workers=workers, report=progress, preset=settings, stop=stop, device=where
        )
    report = {
        "classifier": CLASSIFIER,
        "preset": settings.name,
        "stop": stop or "protect's own",
        "seed": seed,
        "images": {"taken": found.taken, "recognised": found.recognised},
        "results": found.results(),
        "workers": workers,
        "seconds": round(time.perf_counter() - begin, 1),
        "versions": {"deep-protection": version("deep-protection"), "torch": torch.__version__},
    }
    write_atomically((json.dumps(report, indent=1) + "\n").encode(), out / "results.json")
    found.draw(out / "demo.png")
    if as_json:
        print_json(report)
    else:
        _print(report, out)
    return 0


def _print(report: dict[str, Any], out: Path) -> None:
    results, images = report["results"], report["images"]
    which = f"The {images['recognised']} of {images['taken']} photographs that {CLASSIFIER} recognises."
    what = "Right answers in percent, top-1 / top-5 (95 % interval of top-1)"
    table = Table(title=f"{which}\n{what}", box=SIMPLE_HEAD)
    table.add_column("defence", no_wrap=True)
    for column in results:
        table.add_column(f"{short_title(column['attack'])}\nn = {column['n']}", justify="right", min_width=8)
    table.add_column("CPU s\nan image", justify="right")
    for defence, name in shown(results).items():
        scores = [column["defences"][defence] for column in results]
        seconds = sum(score["seconds"] for score in scores) / sum(score["n"] for score in scores)
        style = "bold green" if defence == PROTECTED else None
        table.add_row(name.replace(", ", "\n"), *map(_cell, scores), f"{seconds:.2f}", style=style)
    stdout.print(table)
    hurt = [column for column in results if column["attack"] != CLEAN and column["n"]]
    right = {
        defence: sum(round(column["defences"][defence]["top1"] * column["n"]) for column in hurt)
        for defence in (PROTECTED, REFERENCE)
    }
    stdout.print(
        f"Right answers to {sum(column['n'] for column in hurt)} attacked images: 0 bare, {right[REFERENCE]} behind "
        f"JPEG 25, {right[PROTECTED]} protected."
    )
    stdout.print(
        "The attacks are made for the bare classifier. One who knows of the protection and attacks through it succeeds."
    )
    stdout.print(
        f"It took {duration(report['seconds'])}. Figure and numbers are in {out}", soft_wrap=True, markup=False
    )


def _cell(score: dict[str, Any]) -> str:
    if not score["n"]:
        return "–"
    low, high = score["top1_interval"]
    return f"{100 * score['top1']:.0f} / {100 * score['top5']:.0f}\n({100 * low:.0f}–{100 * high:.0f})"
