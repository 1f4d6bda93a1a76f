"""How well attacked images are told from clean ones: the tables of docs/detection.md, from its results."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from statistics import mean

import numpy as np

import benchmarks
from deep_protection.attacks import POSTER
from deep_protection.detection import EVIDENCE, Calibration
from deep_protection.evaluation.accuracy import wilson_interval
from deep_protection.evaluation.experiment.store import read_table
from deep_protection.evaluation.experiment.units import Row
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.evaluation.report.rows import CLEAN, attack_title
from deep_protection.protection.suspicion import CLEARLY_CLEAN

RESULTS = benchmarks.RESULTS / "detection/evidence.parquet"
LOOKED_AT = {name: benchmarks.RESULTS / f"detection-{name}/evidence.parquet" for name in ("lite0", "lite1", "lite2")}
"""Evidence with that of a first look, by classifier."""
ALL = (*POSTER, "pgd8")
RATE = 0.05

Score = Callable[[Row], float]


@cache
def rows() -> list[Row]:
    """Clean images, and attacked ones that fool the classifier; all of images that it gets right untouched.

    Attacks are rounded to 8 bits where they survive it, else floats.
    """
    found = [row for row in read_table(RESULTS) if row["clean_correct"]]
    return [row for row in found if row["attack"] == CLEAN or row["predicted"] != row["label"]]


def attacks(among: Sequence[str] = ALL) -> list[str]:
    """Those that there are rows of yet."""
    found = {row["attack"] for row in rows()}
    return [attack for attack in among if attack in found]


@cache
def costs() -> dict[str, float]:
    """CPU seconds an image, measured side by side."""
    found: dict[str, float] = json.loads(RESULTS.with_name("costs.json").read_text())["cpu_seconds"]
    return found


@cache
def _calibration(part: str, without: str) -> Calibration:
    """On the clean images but one, so that none is judged by itself."""
    clean = [row[part] for row in rows() if row["attack"] == CLEAN and row["image"] != without]
    return Calibration.from_evidence(clean, classifier="lite0", iterations=0, description="all but one")


def _ours(part: str) -> Score:
    return lambda row: _calibration(part, row["image"]).score(row[part])


def _alone(part: str, name: str) -> Score:
    return lambda row: float(row[part][name])


def _other(name: str) -> Score:
    return lambda row: float(row[name])


METHODS: dict[str, tuple[str, Score, str]] = {
    "fit": ("**ours**", _ours("fit"), "fit"),
    "quick": ("**ours**, `--quick`: no fit", _ours("quick"), "quick"),
    **{name: (f"only {name}", _alone("fit", name), "fit") for name in EVIDENCE},
    "feature_squeezing": ("feature squeezing", _other("feature_squeezing"), "feature_squeezing"),
    "jpeg_shift": ("JPEG 50, L1 shift", _other("jpeg_shift"), "jpeg_shift"),
    "jpeg_divergence": (
        "JPEG 25, divergence",
        _other("jpeg_divergence"),
        "jpeg_divergence",
    ),
    "second_opinion": ("second classifier, L1", _other("second_opinion"), "second_opinion"),
    "second_divergence": (
        "second classifier, divergence",
        _other("second_divergence"),
        "second_divergence",
    ),
}


def area(clean: Sequence[float], attacked: Sequence[float]) -> float:
    """Area under the ROC curve: how often an attacked image scores higher than a clean one, ties half."""
    low, high = np.asarray(clean)[:, None], np.asarray(attacked)[None]
    return float((high > low).mean() + 0.5 * (high == low).mean())


def caught(clean: Sequence[float], attacked: Sequence[float], rate: float = RATE) -> float:
    """Share of attacked images that are flagged at a threshold which ``rate`` of clean ones reach at most."""
    ordered = sorted(clean, reverse=True)
    threshold = ordered[int(rate * len(ordered))]
    return mean(float(score > threshold) for score in attacked)


@cache
def scores(method: str, attack: str) -> tuple[float, ...]:
    score = METHODS[method][1]
    return tuple(score(row) for row in rows() if row["attack"] == attack)


def areas() -> str:
    """AUROC, attack by attack; the mean of the eight."""
    lines = []
    for method, (title, _, seconds) in METHODS.items():
        clean = scores(method, CLEAN)
        found = {attack: area(clean, scores(method, attack)) for attack in attacks()}
        cost = costs()[seconds]
        lines.append(
            [
                title,
                *(f"{found[a]:.3f}" for a in attacks()),
                f"{mean(found[a] for a in attacks(POSTER)):.3f}",
                f"{cost:.2g}",
            ]
        )
    files = {a: sum(row["rounded"] for row in rows() if row["attack"] == a) for a in attacks()}
    counts = ["n (of them 8-bit)", *(f"{len(scores('fit', a))} ({files[a]})" for a in attacks()), "", ""]
    heading = ["", *(attack_title(attack) for attack in attacks()), "mean of eight", "CPU s"]
    return block_markdown(Table(heading, [*lines, counts]))


def detections() -> str:
    """Percent caught at 5 % false positives."""
    lines = []
    for method, (title, _, _) in METHODS.items():
        clean = scores(method, CLEAN)
        cells = []
        for attack in attacks():
            own = scores(method, attack)
            share = caught(clean, own)
            low, high = wilson_interval(round(share * len(own)), len(own)) or (0.0, 1.0)
            cells.append(f"{100 * share:.0f} ({100 * low:.0f}–{100 * high:.0f})")
        average = mean(caught(clean, scores(method, attack)) for attack in attacks(POSTER))
        lines.append([title, *cells, f"{100 * average:.0f}"])
    return block_markdown(Table(["", *(attack_title(attack) for attack in attacks()), "mean of eight"], lines))


def areas_short() -> str:
    """Means, without single attacks and single figures; attacks that are files and those that only floats can hold."""
    lines = []
    for method, (title, _, seconds) in METHODS.items():
        if method not in EVIDENCE:
            clean = scores(method, CLEAN)
            areas = {attack: area(clean, scores(method, attack)) for attack in attacks(POSTER)}
            share = {attack: caught(clean, scores(method, attack)) for attack in attacks(POSTER)}
            means = [
                f"{mean(areas[a] for a in part):.3f}, {100 * mean(share[a] for a in part):.0f} %" for part in _parts()
            ]
            worst = min(areas, key=areas.__getitem__)
            cost = costs()[seconds]
            lines.append([title, *means, f"{areas[worst]:.3f} ({worst})", f"{cost:.2g}"])
    names = [", ".join(part) for part in _parts()]
    heading = ["detector", f"8-bit files: {names[0]}", f"floats: {names[1]}", "worst", "CPU s"]
    return block_markdown(Table(heading, lines))


def _parts() -> tuple[list[str], list[str]]:
    """Attacks of the eight that survive 8 bits on more than half of the images, and the others."""
    files = {a: mean(float(row["rounded"]) for row in rows() if row["attack"] == a) > 0.5 for a in attacks(POSTER)}
    return [a for a in files if files[a]], [a for a in files if not files[a]]


def first_look() -> str:
    """Of clean images, which the first look spares all else; of attacked ones that the fit flags, which it would let
    pass. By the calibrations that come with the package.
    """
    lines = []
    for name, path in LOOKED_AT.items():
        known = [row for row in read_table(path) if row.get("first")] if path.exists() else []
        if not known:
            continue
        fit = Calibration.shipped(name)
        look = fit.first_look
        assert look is not None  # noqa: S101  (those that come with the package have one)

        def is_spared(row: Row, look: Calibration = look) -> bool:
            return look.p_value(look.score(row["first"])) > CLEARLY_CLEAN

        def is_flagged(row: Row, fit: Calibration = fit) -> bool:
            return fit.p_value(fit.score(row["fit"])) <= RATE

        clean = [row for row in known if row["attack"] == CLEAN]
        spared = sum(value > CLEARLY_CLEAN for value in map(look.p_value, look.scores))
        for is_carried in (False, True):
            attacked = [row for row in known if row["attack"] != CLEAN and ("@" in row["attack"]) == is_carried]
            fooled = [row for row in attacked if row["predicted"] != row["label"]]
            if not attacked:
                continue
            flagged = [row for row in fooled if is_flagged(row)]
            lines.append(
                [
                    name,
                    f"{100 * spared / len(look.scores):.0f} % of {len(look.scores)}",
                    f"{100 * mean(map(is_flagged, clean)):.0f} % of {len(clean)}",
                    f"{100 * mean(is_flagged(row) and not is_spared(row) for row in clean):.0f} %",
                    f"{len(flagged)} of {len(fooled)}",
                    str(sum(map(is_spared, flagged))),
                    ", ".join(sorted({row["attack"] for row in attacked})),
                ]
            )
    heading = (
        "classifier",
        "clean, spared",
        "clean, flagged by the look with a fit",
        "and by both",
        "attacked, flagged by the look with a fit",
        "of these spared, so missed",
        "attacks",
    )
    return block_markdown(Table(heading, lines))


TABLES = {"areas": areas, "areas_short": areas_short, "detections": detections, "first_look": first_look}
