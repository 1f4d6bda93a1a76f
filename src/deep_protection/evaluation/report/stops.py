"""When fits should have ended: the oracle's stops, the best fixed count, and what goes wrong at a fixed count."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from deep_protection.evaluation.report.rows import CLEAN, Row, Rows

Fault = Literal["overfit", "underfit", "never right"]


def is_right(point: Row, k: int) -> bool:
    """Whether the true class is among the first ``k`` at a checkpoint."""
    return point["label"] in point["predicted"][:k]


def oracle_stops(fits: Iterable[list[Row]], k: int) -> list[int | None]:
    """The first checkpoint of every fit that has the true class among the first ``k``; None where there is none."""
    return [next((point["iteration"] for point in points if is_right(point, k)), None) for points in fits]


@dataclass(frozen=True, slots=True)
class Course:
    """Shares of right answers along the fits of one defence under one attack."""

    iterations: list[int]
    top1: list[float]
    top5: list[float]


def course(fits: list[list[Row]]) -> Course:
    """Over the checkpoints that all fits have."""
    length = min(len(points) for points in fits)
    moments = [[points[index] for points in fits] for index in range(length)]
    return Course(
        [points[0]["iteration"] for points in moments],
        [sum(is_right(point, 1) for point in points) / len(points) for points in moments],
        [sum(is_right(point, 5) for point in points) / len(points) for points in moments],
    )


def courses(rows: Rows, defence: str) -> dict[str, Course]:
    """Attack to course, "none" included."""
    by_attack = sorted(rows.trajectories[defence].items(), key=lambda item: item[0][1])
    return {attack: course([points for _, points in group]) for attack, group in groupby(by_attack, lambda i: i[0][1])}


def best_count(found: dict[str, Course], k: int) -> tuple[int, float]:
    """The fixed count with the highest mean share of right answers over the attacks, and that share."""
    attacks = [each for attack, each in found.items() if attack != CLEAN] or list(found.values())
    length = min(len(each.iterations) for each in attacks)
    means = [
        sum((each.top1 if k == 1 else each.top5)[index] for each in attacks) / len(attacks) for index in range(length)
    ]
    best = max(range(length), key=means.__getitem__)
    return attacks[0].iterations[best], means[best]


def fault(points: list[Row], count: int, k: int) -> Fault | None:
    """Why the image is wrong at a fixed count: right before and lost since, not right yet, or never; None if right.

    One that is right both before and after is counted as overfit: it had been right already.
    """
    at = [point for point in points if point["iteration"] <= count]
    if not at or is_right(at[-1], k):
        return None
    if any(is_right(point, k) for point in at):
        return "overfit"
    return "underfit" if any(is_right(point, k) for point in points[len(at) :]) else "never right"


def faults(rows: Rows, defence: str, count: int, k: int) -> dict[str, Counter[Fault]]:
    """Attack to how many fits went wrong in which way."""
    found: dict[str, Counter[Fault]] = {}
    for (_, attack, _), points in rows.trajectories[defence].items():
        kind = fault(points, count, k)
        found.setdefault(attack, Counter())
        if kind:
            found[attack][kind] += 1
    return found
