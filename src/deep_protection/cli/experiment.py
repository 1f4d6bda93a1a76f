"""``deep-protection experiment``: run, go on with and report experiments."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from deep_protection.cli import options
from deep_protection.cli.console import counting_bar, stdout
from deep_protection.optional import needing

experiment_app = typer.Typer(
    add_completion=False,
    help="Attack images, defend them, and write down what a classifier says: rows, tables, figures.",
    no_args_is_help=True,
)


@experiment_app.command("run")
def run_command(
    out: Annotated[Path, typer.Option(help="Folder for the rows. The same command goes on where it was.")],
    images: Annotated[
        str | None, typer.Option(help="Folder with one folder a class, or 'samples' for foolbox's 20 photographs.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="folders (default), or predicted: the classifier's own answers; then any folder will do."),
    ] = None,
    classifier: Annotated[
        str | None, typer.Option(help="lite0, resnet18, a hub model id, a directory or your own module:function.")
    ] = None,
    attacks: Annotated[
        str | None,
        typer.Option(help="Joined by commas; 'poster' means eight, 'corruptions' 21; pgd@lite2 is made on lite2."),
    ] = None,
    defences: Annotated[
        str | None,
        typer.Option(help="protected, presets, filters and your own as module:function, joined by commas."),
    ] = None,
    stop: Annotated[str | None, typer.Option(help="Joined by commas: preset, auto, fixed:N, oracle:top1 …")] = None,
    iterations: Annotated[int | None, typer.Option(help="Length of a fit, for the oracle to look at.")] = None,
    black_box: Annotated[
        str | None,
        typer.Option(help="Attackers who may only ask each defence: query-square, query-hopskipjump."),
    ] = None,
    queries: Annotated[int | None, typer.Option(help="How often such an attacker may ask. Default: 200.")] = None,
    adaptive: Annotated[
        str | None,
        typer.Option(help="Attackers who know each defence: bpda, bpda-low, bpda-match, bpda-first, joined by commas."),
    ] = None,
    adaptive_steps: Annotated[int | None, typer.Option(help="Of such an attack. Default: 20.")] = None,
    adaptive_samples: Annotated[int | None, typer.Option(help="Restorations a step (EOT). Default: 2.")] = None,
    adaptive_epsilon: Annotated[
        float | None, typer.Option(help="Linf size in 255ths, black-box too. Default: 4.")
    ] = None,
    judgements: Annotated[int | None, typer.Option(help="Fresh seeds such an image is judged by. Default: 3.")] = None,
    views: Annotated[bool | None, typer.Option("--views", help="Average the classifier over views, for all.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many images, in a fixed random order.")] = None,
    recognised: Annotated[
        bool | None,
        typer.Option(
            "--recognised", help="Only images that the classifier gets right untouched; --limit counts those."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed: same rows, times aside.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one a core.")] = None,
    engine: Annotated[str | None, typer.Option(help="local or ray.")] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A Ray cluster's address; without one it starts its own.")
    ] = None,
    inputs: Annotated[Path | None, typer.Option(help="Folder of attacked images, to share among experiments.")] = None,
    config: Annotated[str | None, typer.Option(help="quick, poster or a TOML file; options win over it.")] = None,
    quiet: options.Quiet = False,
) -> int:
    """Run an experiment, or go on with it: whatever is in the folder already is not computed again."""
    experiment = _experiment()
    given: dict[str, Any] = {
        "images": images,
        "labels": labels,
        "classifier": classifier,
        "attacks": attacks,
        "defences": defences,
        "stops": stop,
        "iterations": iterations,
        "black_box": black_box,
        "queries": queries,
        "adaptive": adaptive,
        "adaptive_steps": adaptive_steps,
        "adaptive_samples": adaptive_samples,
        "adaptive_epsilon": adaptive_epsilon,
        "judgements": judgements,
        "views": views,
        "limit": limit,
        "recognised": recognised,
        "seed": seed,
        "device": device,
        "workers": workers,
        "engine": engine,
        "ray_address": ray_address,
        "inputs": inputs,
    }
    settings = experiment.make_settings({name: value for name, value in given.items() if value is not None}, config)
    with counting_bar("experiment", shown=not quiet) as report:
        experiment.run_experiment(settings, out, report)
    return 0


@experiment_app.command("tune")
def tune_command(
    out: Annotated[Path, typer.Option(help="Folder for the rows. The same command goes on where it was.")],
    images: Annotated[str, typer.Option(help="As for run.")] = "samples",
    attacks: Annotated[str, typer.Option(help="Joined by commas.")] = "pgd,fgsm,saltpepper",
    iterations: Annotated[int, typer.Option(help="Length of every fit.")] = 100,
    limit: Annotated[int, typer.Option(help="At most so many images.")] = 6,
    seed: options.Seed = 0,
    inputs: Annotated[Path | None, typer.Option(help="Folder of attacked images, as for run.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="Only this point of the grid, named as in tune.md; may be repeated.")
    ] = None,
    quiet: options.Quiet = False,
) -> int:
    """Fit a grid of optimisers, activations, learning rates, widths and depths of `fast` to attacked images.

    Writes rows as `run` does, tune.md and tune.png: recovery against CPU seconds.
    """
    experiment = _experiment()
    given: dict[str, Any] = {"images": images, "attacks": attacks, "iterations": iterations, "limit": limit}
    settings = experiment.make_settings({**given, "seed": seed, "inputs": inputs, "defences": "fast"})
    with counting_bar("tune", shown=not quiet) as report:
        experiment.tune(settings, out, report, setting)
    from deep_protection.evaluation.report import write_tuning

    for path in write_tuning(out):
        typer.echo(path)
    return 0


@experiment_app.command("report")
def report_command(
    folder: Annotated[Path, typer.Argument(help="The --out of an experiment.", show_default=False)],
    examples: Annotated[
        int, typer.Option(min=0, help="Show so many overfit and underfit images; 0 copies none into the report.")
    ] = 2,
    inputs: Annotated[Path | None, typer.Option(help="Folder of attacked images, if not the experiment's.")] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Only print the fixed counts that the fits suggest.")
    ] = False,
) -> int:
    """Write report.html, report.md and figures into the experiment's folder."""
    _experiment()
    from deep_protection.evaluation import report

    if calibrate:
        found = report.suggested(report.Rows(folder))
        table = Table(*found.heading)
        for line in found.lines:
            table.add_row(*line)
        stdout.print(table)
        return 0
    for path in report.write_report(folder, examples, inputs):
        typer.echo(path)
    return 0


def _experiment() -> Any:
    with needing("an experiment", "experiment"):
        from deep_protection.evaluation import experiment
    return experiment
