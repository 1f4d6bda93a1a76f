"""Other libraries' attacks, our defence, their measures: what the scripts of examples/ find, as rows.

    python -m benchmarks integrations [--limit 8]

Rows of the same host, version and number of images are not made again. deepinv needs `make test-integrations` first
and PYTHONPATH=.venv/hosts.
"""

import runpy
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks import ROOT, rows
from benchmarks.without_operators import import_torchvision
from deep_protection.evaluation.report.document import Table, block_markdown

RESULTS = Path("docs/results/integrations/rows.jsonl")
HOSTS = {
    "foolbox": ("foolbox", "foolbox_attack.py"),
    "torchattacks": ("torchattacks", "torchattacks_attack.py"),
    "art": ("adversarial-robustness-toolbox", "art_defence.py"),
    "pyautoattack": ("pyautoattack", "autoattack_evaluation.py"),
    "deepinv": ("deepinv", "deepinv_reconstruction.py"),
}
"""Module, package and script of each host that has a measure of its own."""
ACCURACIES = ("clean", "clean, defended", "attacked", "attacked, defended", "attacked through the defence")


def run(images: int, hosts: list[str], out: Path) -> None:
    torch.set_num_threads(1)
    for module in hosts:
        package, script = HOSTS[module]
        if find_spec(module) is None:
            sys.stderr.write(f"{package} is left out: not installed\n")
            continue
        key = {"host": package, "version": version(package), "images": images}
        if any(key.items() <= row.items() for row in rows.read(out)):
            continue
        if module == "deepinv":
            import_torchvision()
        torch.manual_seed(0)
        found = runpy.run_path(str(ROOT / "examples" / script))["run"](count=images)
        rows.append(out, [{**key, "script": f"examples/{script}", **found}])
        sys.stderr.write(f"measured: {package}\n")


def accuracies() -> str:
    """Percent right on foolbox's first photographs, by every host's own measure."""
    measured = [row for row in rows.read(ROOT / RESULTS) if "attack" in row]
    if not measured:
        return "No rows yet.\n"
    lines = [
        [f"{row['host']} {row['version']}", row["attack"], str(row["images"])]
        + [f"{100 * row[name]:.0f}" for name in ACCURACIES]
        for row in measured
    ]
    return block_markdown(Table(["host", "attack", "n", *ACCURACIES], lines))


def flags() -> str:
    """Percent flagged by the detector inside ART."""
    lines = [
        [f"{row['host']} {row['version']}", str(row["images"])]
        + [f"{100 * row[name]:.0f}" for name in ("flagged, clean", "flagged, attacked")]
        for row in rows.read(ROOT / RESULTS)
        if "flagged, clean" in row
    ]
    if not lines:
        return "No rows yet.\n"
    return block_markdown(Table(["host", "n", "flagged, clean", "flagged, attacked"], lines))


def decibels() -> str:
    """PSNR of the pseudo-inverse and of our reconstruction, as deepinv measures it."""
    lines = []
    for row in rows.read(ROOT / RESULTS):
        for problem, found in row.items():
            if isinstance(found, dict):
                values = [f"{found[name]:.2f}" for name in ("pseudo-inverse", "ours")]
                lines.append([problem, f"{row['host']} {row['version']}", str(row["images"]), *values])
    if not lines:
        return "No rows yet.\n"
    return block_markdown(Table(["problem", "host", "n", "pseudo-inverse, dB", "ours, dB"], lines))


TABLES = {"host_accuracies": accuracies, "host_flags": flags, "host_decibels": decibels}
