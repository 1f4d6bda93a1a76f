"""Options that several commands share, so that they read and behave alike."""

from typing import Annotated

import typer

Images = Annotated[
    list[str],
    typer.Argument(metavar="IN...", help="Images, folders, or - for standard input.", show_default=False),
]
Output = Annotated[
    str,
    typer.Option("--output", "-o", metavar="OUT", help="File, folder, or - for standard output.", show_default=False),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
Fits = Annotated[
    int | None,
    typer.Option(
        help="Fits of the prior, averaged with what filters make; 0: none. Default: as many as help and are quick."
    ),
]
Seconds = Annotated[float | None, typer.Option(help="Time to plan for, in all. Default: a minute of fits an image.")]
Preset = Annotated[str, typer.Option(help="fast (default), thorough or paper.")]
Stop = Annotated[str | None, typer.Option(help="When to end a fit, as auto or fixed:200. Default: the preset's own.")]
Seed = Annotated[int, typer.Option(help="Same image, same seed: same result.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")]
Workers = Annotated[int | None, typer.Option(help="Images fitted at once on the CPU. Default: one a core.")]
Json = Annotated[bool, typer.Option("--json", help="Print the results as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no notes.")]
_CLASSIFIER = (
    "lite0 (embedded), resnet18, a hub model id, a directory, clarifai:MODEL, http:FILE.toml or your own as "
    "module:function."
)
ClassifierName = Annotated[str, typer.Option(help=_CLASSIFIER)]
RequiredClassifierName = Annotated[str, typer.Option("--classifier", help=_CLASSIFIER, show_default=False)]
ClassifierNames = Annotated[
    list[str] | None,
    typer.Option("--classifier", help=f"{_CLASSIFIER} May be repeated. Default: lite0.", show_default=False),
]
FalsePositiveRate = Annotated[float, typer.Option(help="How many clean images may be flagged.")]
_CALIBRATION = "File from `detect calibrate`. Default: the one that comes with the package."
CalibrationFile = Annotated[str | None, typer.Option("--calibration", help=_CALIBRATION)]
CalibrationFiles = Annotated[
    list[str] | None,
    typer.Option("--calibration", help=f"{_CALIBRATION} One for each classifier, in any order.", show_default=False),
]


def several(names: list[str] | None) -> list[str]:
    """The classifiers that were named, each once; the embedded one for none."""
    return list(dict.fromkeys(names or ["lite0"]))
