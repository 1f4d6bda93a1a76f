"""What a report is made from: the two tables of an experiment, sorted out."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deep_protection.attacks import ATTACKS, POSTER
from deep_protection.errors import OptionError
from deep_protection.evaluation.accuracy import wilson_interval
from deep_protection.evaluation.baselines import BASELINES
from deep_protection.evaluation.corruptions import CORRUPTIONS
from deep_protection.evaluation.experiment.store import read_rows
from deep_protection.evaluation.protections import PROTECTIONS

Row = dict[str, Any]
CLEAN = "none"
OBLIVIOUS = "oblivious"
CORRUPTION = "corruption"


@dataclass(frozen=True, slots=True, order=True)
class Defence:
    """A defence as it was ended: what one line of a table is about."""

    name: str
    stop: str

    @property
    def title(self) -> str:
        known = BASELINES.get(self.name) or PROTECTIONS.get(self.name)
        if known is not None:
            return known.title
        if self.stop == "none":  # somebody's own
            return f"`{self.name}`"
        return f"{self.name}, {self.stop}"

    @property
    def is_oracle(self) -> bool:
        return self.stop.startswith("oracle")


@dataclass(frozen=True, slots=True)
class Score:
    """Right answers among ``n``."""

    n: int
    top1: float
    top5: float
    interval: tuple[float, float]
    """95 %, of top-1 (Wilson)."""
    cpu_seconds: float


def score(rows: list[Row]) -> Score:
    """Of at least one row."""
    n, right = len(rows), sum(row["top1_correct"] for row in rows)
    interval = wilson_interval(right, n)
    assert interval is not None  # noqa: S101  (there is a row)
    cpu = sum(row["cpu_seconds"] for row in rows) / n
    return Score(n, right / n, sum(row["top5_correct"] for row in rows) / n, interval, cpu)


class Rows:
    """An experiment's rows. All figures are of images that the classifier gets right untouched, unless said.

    Tiers of attacker are kept apart: ``results`` are of those who know nothing of the defence, ``knowing`` of others;
    ``corrupted`` are of nobody.
    """

    def __init__(
        self, folder: Path, *, attacks: Collection[str] | None = None, defences: Collection[str] | None = None
    ) -> None:
        """Those of some attacks and clean images, or of some defences, where they are named."""
        self.folder = folder
        everything = [
            row
            for row in read_rows(folder, "results")
            if (attacks is None or row["attack"] in (CLEAN, *attacks))
            and (defences is None or row["defence"] in defences)
        ]
        if not everything:
            raise OptionError(f"{folder} holds no results yet; run: deep-protection experiment run --out {folder} …")
        self.everything = everything
        self.all = [row for row in everything if row["tier"] == OBLIVIOUS]
        self.results = [row for row in self.all if row["clean_correct"]]
        if not self.results:
            raise OptionError(
                f"of the {len({row['image'] for row in everything})} images in {folder} the classifier gets none right "
                "untouched, so there is nothing to defend; are the labels those of this classifier?"
            )
        others = [row for row in everything if row["tier"] != OBLIVIOUS and row["clean_correct"]]
        self.knowing = [row for row in others if row["tier"] != CORRUPTION]
        self.corrupted = [row for row in others if row["tier"] == CORRUPTION]
        recognised = {row["image"] for row in everything if row["clean_correct"] and row["tier"] == OBLIVIOUS}
        known = {row["attack"] for row in self.all}
        self.checkpoints = [
            row for row in read_rows(folder, "trajectories") if row["image"] in recognised and row["attack"] in known
        ]

    @cached_property
    def attacks(self) -> list[str]:
        """Without "none", in the order of the poster's set and then the table's."""
        found = {row["attack"] for row in self.results} - {CLEAN}
        order = list(dict.fromkeys([*POSTER, *ATTACKS]))
        return sorted(found, key=lambda name: (order.index(name) if name in order else len(order), name))

    @cached_property
    def groups(self) -> dict[Defence, dict[str, list[Row]]]:
        """Defence, attack, rows; what is fitted first, the oracle after the rules that do not peek."""
        found: dict[Defence, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in self.results:
            found[Defence(row["defence"], row["stop"])][row["attack"]].append(row)
        cheap = list(BASELINES)

        def place(each: Defence) -> tuple[int, str, bool, str]:
            return (cheap.index(each.name) if each.name in cheap else -1, each.name, each.is_oracle, each.stop)

        order = sorted(found, key=place)
        return {defence: dict(found[defence]) for defence in order}

    @cached_property
    def trajectories(self) -> dict[str, dict[tuple[str, str, int], list[Row]]]:
        """Defence; image, attack and seed; checkpoints in order."""
        found: dict[str, dict[tuple[str, str, int], list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in self.checkpoints:
            found[row["defence"]][row["image"], row["attack"], row["seed"]].append(row)
        for fits in found.values():
            for points in fits.values():
                points.sort(key=lambda point: point["iteration"])
        return {name: dict(fits) for name, fits in sorted(found.items())}

    def labels(self) -> dict[str, int]:
        return {row["image"]: row["label"] for row in self.results}


def attack_title(name: str) -> str:
    """As a column's heading."""
    known = {CLEAN: "clean", **{each: row.title for each, row in (ATTACKS | CORRUPTIONS).items()}}
    return known.get(name, name)
