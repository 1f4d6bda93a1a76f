"""``deep-protection doctor``: what is here, and a short fit to prove that it works."""

import math
import platform
import re
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from typing import Any

import torch
from rich.markup import escape
from rich.table import Table

from deep_protection.classifiers import CLASSIFIERS, HUB_IDS, is_cached, load_classifier
from deep_protection.cli import options
from deep_protection.cli.console import print_json, stdout
from deep_protection.errors import DeepProtectionError
from deep_protection.fitting import effective_precision, usable_cores
from deep_protection.restoration import Purified, find_device, purify

FIT_SECONDS = 2.0
PACKAGE = "deep-protection"
FEW = 4
"""Packages of an extra that are named one by one; the JSON names all."""


def doctor_command(device: options.Device = "auto", as_json: options.Json = False) -> int:
    """Show versions, device, classifiers and extras, and fit for two seconds. Exit code 1 if that fails."""
    where = find_device(device)
    report: dict[str, Any] = {
        "versions": {name: version(name) for name in (PACKAGE, "torch", "numpy", "pillow")}
        | {"python": platform.python_version()},
        "device": str(where),
        "device_name": torch.cuda.get_device_name(where) if where.type == "cuda" else platform.processor() or "cpu",
        "cores": usable_cores(),
        "native_bfloat16": effective_precision("bfloat16", where) == "bfloat16",
        "classifiers": {name: _classifier_state(name) for name in CLASSIFIERS},
        "extras": {extra: _extra_state(extra) for extra in metadata(PACKAGE).get_all("Provides-Extra") or ()},
        "fit": _short_fit(where),
    }
    if as_json:
        print_json(report)
    else:
        _print(report)
    return 0 if report["fit"]["works"] else 1


def _classifier_state(name: str) -> str:
    if name in HUB_IDS:
        if find_spec("transformers") is None:
            return "needs pip install 'deep-protection[hub]'"
        return "in the local cache" if is_cached(HUB_IDS[name]) else "downloaded from the hub at first use"
    try:
        load_classifier(name)
    except (DeepProtectionError, ImportError, OSError) as error:
        return f"broken: {error}"
    return "here, works offline"


def _packages_of(extra: str) -> list[str]:
    """What an extra brings, as the installed package's own description has it: extras made of others opened."""
    named = re.compile(rf"""([\w.-]+).*; extra == ["']{re.escape(extra)}["']""")
    return [found[1] for found in map(named.match, requires(PACKAGE) or ()) if found]


def _extra_state(extra: str) -> str:
    """What is here, with versions; of an extra that lacks something, only what is absent."""
    here, absent = [], []
    for package in _packages_of(extra):
        try:
            here.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            absent.append(package)
    return f"absent: {', '.join(absent)}" if absent else ", ".join(here)


def _short_fit(device: torch.device) -> dict[str, Any]:
    """Two seconds of the default preset on a smooth image: does the loss fall?"""
    ramp = torch.linspace(0, math.pi * 4, 224)
    image = torch.stack([ramp.sin()[:, None] * (ramp + shift).cos() for shift in (0.0, 1.0, 2.0)]).mul(0.5).add(0.5)
    try:
        # The first fit of a process also loads parts of PyTorch, which is not what is to be measured.
        purify(image.clamp(0, 1), stop="fixed:1", device=device)
        result: Purified = purify(
            image.clamp(0, 1), seconds=FIT_SECONDS, stop="fixed:100000", device=device, return_details=True
        )
    except (DeepProtectionError, RuntimeError) as error:
        return {"works": False, "error": str(error)}
    rate = result.iterations_run / max(result.seconds, 1e-9)
    return {
        "works": len(result.trajectory) > 1 and result.trajectory[-1].loss <= result.trajectory[0].loss,
        "iterations": result.iterations_run,
        "iterations_per_second": round(rate, 1),
        "psnr": round(result.psnr_input, 2),
    }


def _print(report: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("versions", ", ".join(f"{name} {number}" for name, number in report["versions"].items()))
    table.add_row("device", f"{report['device']} ({report['device_name']}), {report['cores']} cores for PyTorch")
    table.add_row("bfloat16", "native" if report["native_bfloat16"] else "not native here, float32 is used")
    for name, state in report["classifiers"].items():
        table.add_row(f"classifier {name}", state)
    for extra, state in report["extras"].items():
        many = state.count(",") >= FEW and not state.startswith("absent")
        table.add_row(escape(f"extra [{extra}]"), f"here, {state.count(',') + 1} packages" if many else state)
    fit = report["fit"]
    verdict = (
        f"works: {fit['iterations']} iterations at {fit['iterations_per_second']} a second, {fit['psnr']} dB"
        if fit["works"]
        else f"FAILED: {fit.get('error', 'the loss does not fall')}"
    )
    table.add_row("short fit", verdict)
    stdout.print(table)
