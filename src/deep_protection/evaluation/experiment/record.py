"""What a row was made with, and what a folder of rows is of."""

import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deep_protection.errors import OptionError, OutputError
from deep_protection.evaluation.baselines import BASELINES
from deep_protection.evaluation.defences import DEFENCES, source_of
from deep_protection.evaluation.experiment.settings import Settings
from deep_protection.evaluation.experiment.units import Row
from deep_protection.evaluation.protections import PROTECTIONS
from deep_protection.images import write_atomically
from deep_protection.restoration import PRESETS, Preset

ANSWERED = "contrast 3"
"""How protections answer; another number for another way, so that attacks through it are made anew."""
PARTS = ("attacks", "presets", "own")
"""What must not change from one run to the next, name by name."""
PACKAGES = ("deep-protection", "torch", "foolbox", "scikit-image", "torchmetrics", "numpy", "pillow")


def environment(settings: Settings) -> Row:
    """Columns that are the same in every row of a run."""
    return {
        "classifier": settings.classifier,
        "labels": settings.labels,
        "device": settings.device,
        "versions": "; ".join(f"{name} {_version(name)}" for name in PACKAGES)
        + f"; python {platform.python_version()}",
        "commit": commit_of(Path(__file__).parents[2]),
    }


def keep_settings(settings: Settings, out: Path) -> None:
    """Write ``experiment.json``, or refuse a folder that holds an experiment on other images or classifiers."""
    path = out / "experiment.json"
    record = {
        **settings.identity,
        "seed": settings.seed,
        "attacks": {name: settings.parameters(name) for name in _attacks(settings)},
        "presets": {name: fitting(PRESETS[name]) for name in settings.defences if name in PRESETS},
        "own": {name: source_of(name) for name in settings.defences if name not in DEFENCES},
    }
    if path.exists():
        before = {"labels": "folders", **_read(path)}  # as all were before there was a choice
        for name, value in settings.identity.items():
            if before.get(name) != value:
                raise OptionError(
                    f"{out} holds an experiment with {name} {before.get(name)!r}, not {value!r}; choose another --out"
                )
        for part in PARTS:
            changed = [name for name, value in record[part].items() if before.get(part, {}).get(name, value) != value]
            if changed:
                raise OptionError(
                    f"{out} holds rows of {', '.join(changed)} with other settings than today's; choose another --out"
                )
        record |= {part: {**before.get(part, {}), **record[part]} for part in PARTS}
    if not record["own"]:
        del record["own"]
    write_atomically((json.dumps(record, indent=1) + "\n").encode(), path)


def _attacks(settings: Settings) -> tuple[str, ...]:
    return (*settings.attacks, *settings.black_box, *settings.adaptive)


def fitting(preset: Preset) -> str:
    """All that decides a preset's fits. When they end is a column of its own."""
    return f"{preset.fits} × {preset.recipe!r}"


def defended_by(defence: str | None) -> str:
    """All that decides what a defence does by itself: a preset's fits and its own stop, a filter's name."""
    if defence in PRESETS:
        preset = PRESETS[defence]
        return f"{fitting(preset)}, {preset.rule()!r}"
    if defence in PROTECTIONS:
        return f"{PROTECTIONS[defence].options!r}, {ANSWERED}, {fitting(PRESETS['fast'])}"
    if defence is not None and defence not in BASELINES:
        return f"{defence} {source_of(defence)}"
    return defence or ""


def _read(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read ({error}); move it away or choose another --out") from None
    return record


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def commit_of(package: Path) -> str | None:
    """The commit of the project's own checkout that holds ``package``.

    None for an installed one: whatever repository lies around its environment is another's, and says nothing of it.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top, "src", package.name).resolve() != package.resolve():
        return None
    if _git(package, "ls-files", "--error-unmatch", "--", "__init__.py") is None:
        return None
    return _git(package, "describe", "--always", "--dirty", "--abbrev=12")


def _git(folder: Path, *command: str) -> str | None:
    """What git says of a folder; None where it says nothing."""
    # As in a hook, which names the repository that it is run for.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *command],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
