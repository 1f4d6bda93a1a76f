"""``deep-protection purify``: files and folders in, restored files out."""

from typing import Annotated, get_args

import torch
import typer

from deep_protection.classifiers import load_classifier
from deep_protection.cli import options
from deep_protection.cli.batch import Left, Prepare, restore_all, whole
from deep_protection.cli.plan import plan
from deep_protection.detection import Calibration, detect
from deep_protection.errors import OptionError
from deep_protection.images import ImageRecord, to_pillow
from deep_protection.protection import When
from deep_protection.restoration import find_device, find_preset


def purify_command(
    inputs: options.Images,
    output: options.Output,
    preset: options.Preset = "fast",
    stop: options.Stop = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    seconds: Annotated[
        float | None, typer.Option(help="Wall time for everything; each image ends with what it has by then.")
    ] = None,
    workers: options.Workers = None,
    when: Annotated[
        str,
        typer.Option(help="always, or suspicious: restore only what the detector flags; write the others as they are."),
    ] = "always",
    classifier: options.ClassifierName = "lite0",
    false_positive_rate: options.FalsePositiveRate = 0.05,
    calibration: options.CalibrationFile = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Restore images that may have been tampered with.

    The format of a result follows its suffix. Folders keep their tree; results that exist are skipped, so an
    interrupted run goes on where it was. One bad file does not stop the rest. --classifier, --false-positive-rate and
    --calibration are for --when suspicious: what may have been fooled, and how sure the detector has to be.
    """
    settings, where = find_preset(preset), find_device(device)
    rule = settings.rule(stop)
    work = plan(inputs, output, as_json=as_json)
    if when not in get_args(When):
        raise OptionError(f"--when must be one of {', '.join(get_args(When))}, got {when!r}")
    needed: Prepare = whole
    if when == "suspicious":
        if seconds is not None:
            raise OptionError(
                "--when suspicious and --seconds cannot go together: how many need restoring is not known before"
            )
        needed = _Suspicious(classifier, false_positive_rate, calibration, seed, where)
    return restore_all(
        work,
        settings,
        rule,
        seed=seed,
        device=where,
        workers=workers,
        overwrite=overwrite,
        as_json=as_json,
        quiet=quiet,
        seconds=seconds,
        prepare=needed,
    )


class _Suspicious:
    """Leaves what the detector does not flag."""

    def __init__(self, classifier: str, rate: float, calibration: str | None, seed: int, device: torch.device) -> None:
        self.model = load_classifier(classifier).to(device)
        self.calibration = Calibration.load(calibration) if calibration else Calibration.shipped(self.model.name)
        self.calibration.check_rate(rate)
        self.rate, self.seed, self.device = rate, seed, device

    def __call__(self, image: ImageRecord) -> ImageRecord | Left:
        found = detect(
            to_pillow(image.pixels),
            self.model,
            false_positive_rate=self.rate,
            calibration=self.calibration,
            seed=self.seed,
            device=self.device,
            workers=1,
        )
        return image if found.is_suspicious else Left({"score": found.score, "p_value": found.p_value})
