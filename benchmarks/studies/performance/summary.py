"""From rows to the figures that documents and plots show."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import rows
from benchmarks.rows import RESULTS
from benchmarks.studies.performance.long_fits import LONG
from benchmarks.studies.performance.recovery import of_method
from deep_protection.evaluation import BASELINES, wilson_interval
from deep_protection.evaluation.experiment.store import read_table
from deep_protection.restoration import PRESETS

LENGTHS = {name: limit for name, (_, limit) in LONG.items()}
"""Iterations after which a peer's own recipe ends."""
TITLES = {
    "published": "published recipe, plain PyTorch",
    "dipdefend": "DIPDefend's recipe",
    "fast": "**ours, `fast`**",
    "thorough": "**ours, `thorough`**",
    "paper": "**ours, `paper`**",
    **{name: baseline.title for name, baseline in BASELINES.items()},
}
ATTACKS = {
    "none": "clean",
    "pgd": "PGD 4/255",
    "pgd8": "PGD 8/255",
    "fgsm": "FGSM 8/255",
    "saltpepper": "salt and pepper, least found",
}


@dataclass(frozen=True, slots=True)
class Point:
    """A method under an attack at one number of iterations, over all its images."""

    n: int
    top1: float
    top5: float
    interval: tuple[float, float]
    cpu_seconds: float
    psnr_clean: float


def length(method: str) -> int:
    """The iterations that a method ends at by itself."""
    if method in BASELINES:
        return 0
    if method in PRESETS:
        return PRESETS[method].rule().max_iterations  # of "auto" the count that it takes where no classifier is asked
    return LENGTHS[method]


def recovery(results: Path = RESULTS, images: Iterable[str] | None = None) -> dict[tuple[str, str, int], Point]:
    """(method, attack, iteration) to its point. Fits that have not reached their end are left out."""
    wanted = None if images is None else {name: place for place, name in enumerate(images)}
    groups: dict[tuple[str, str, int], list[rows.Row]] = defaultdict(list)
    for row in _ended_rows(results):
        if wanted is None or row["image"] in wanted:
            groups[row["method"], row["attack"], row["iteration"]].append(row)
    if wanted is not None:  # sums in their order
        for group in groups.values():
            group.sort(key=lambda row: wanted[row["image"]])
    return {key: _point(group) for key, group in groups.items()}


def images_of(method: str, attack: str, results: Path = RESULTS) -> list[str]:
    """The images that a method has finished under an attack."""
    return [
        row["image"]
        for row in _ended_rows(results)
        if (row["method"], row["attack"], row["iteration"]) == (method, attack, length(method))
    ]


def ever_right(method: str, attack: str, images: Iterable[str], results: Path = RESULTS) -> float:
    """The share of images that are right at *some* checkpoint: what an oracle that sees the labels could reach."""
    wanted = set(images)
    right = {
        row["image"]
        for row in _ended_rows(results)
        if (row["method"], row["attack"]) == (method, attack) and row["top1_correct"] and row["image"] in wanted
    }
    return len(right) / len(wanted)


def _ended_rows(results: Path) -> list[rows.Row]:
    """One row for each fit and checkpoint of the fits that reached their end, on the images most rows are of.

    Rows of settings that are no longer shipped are left out.
    """
    found = read_table(results / "recovery.parquet") + rows.read(results / "long.jsonl")
    shipped = {method: of_method(method) for method in TITLES}
    found = [row for row in found if row.get("of", "") == shipped.get(row["method"])]
    if not found:
        return []
    source = Counter(row["source"] for row in found).most_common(1)[0][0]
    by_key = {
        (row["method"], row["attack"], row["image"], row["iteration"]): row for row in found if row["source"] == source
    }
    lengths = {method: length(method) for method in TITLES}
    ended = {key[:3] for key in by_key if key[3] >= lengths[key[0]]}
    return [row for key, row in by_key.items() if key[:3] in ended]


def _point(group: list[rows.Row]) -> Point:
    n = len(group)
    right = sum(row["top1_correct"] for row in group)
    interval = wilson_interval(right, n)
    assert interval is not None  # noqa: S101  (a group has a row)
    return Point(
        n,
        right / n,
        sum(row["top5_correct"] for row in group) / n,
        interval,
        sum(row["cpu_seconds"] for row in group) / n,
        sum(row["psnr_clean"] for row in group) / n,
    )
