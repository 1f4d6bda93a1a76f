"""Stop rules beside each other on the very same fits of docs/results/stopping: the tables of docs/stopping.md."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import cache, partial
from statistics import mean

from benchmarks.documents.experiments import experiment
from deep_protection.attacks import POSTER
from deep_protection.evaluation.accuracy import wilson_interval
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.evaluation.report.rows import CLEAN, Row, attack_title

PRESET = "fast"
ATTACKS = (*POSTER, "pgd8")
TITLES = {
    "fixed": "fixed count",
    "stable": "same first answer N times",
    "emv": "moving variance (ES-EMV)",
    "wmv": "windowed variance (ES-WMV)",
    "ses": "worst tile (DIPDefend)",
    "esm": "two sub-images (ESM)",
    "agreement": "agreement of two seeds",
    "discrepancy": "discrepancy",
    "self": "known noise drawn",
    "oracle": "*oracle*",
}
TWO_FITS = ("agreement", "self")
ASKS = ("stable", "auto")

Key = tuple[str, str]


def family(stop: str) -> str:
    return stop.partition(":")[0]


@cache
def by_rule() -> dict[str, dict[Key, Row]]:
    """Rule, (attack, image), row: of those inputs that all rules were judged on."""
    found: dict[str, dict[Key, Row]] = defaultdict(dict)
    for row in experiment("stopping").results:
        if row["defence"] == PRESET and row["seed"] == 0 and row["stop"] != "auto":
            found[row["stop"]][row["attack"], row["image"]] = row
    for count, rows in _counts().items():
        found.setdefault(f"fixed:{count}", rows)
    common = set.intersection(*(set(rows) for rows in found.values()))
    return {stop: {key: rows[key] for key in common} for stop, rows in found.items()}


def _counts() -> dict[int, dict[Key, Row]]:
    """Fixed counts, read off the same fits."""
    found: dict[int, dict[Key, Row]] = defaultdict(dict)
    for (image, attack, _), points in experiment("stopping").trajectories[PRESET].items():
        for point in points:
            found[point["iteration"]][attack, image] = {
                "top1_correct": point["label"] == point["predicted"][0],
                "top5_correct": point["label"] in point["predicted"],
                "iterations_run": point["iteration"],
                "attack": attack,
            }
    return found


def _share(rows: Iterable[Row], what: str = "top1_correct") -> float:
    return 100 * mean(float(row[what]) for row in rows)


def _under(rows: dict[Key, Row], attack: str) -> list[Row]:
    return [row for (name, _), row in rows.items() if name == attack]


def _mean(rows: dict[Key, Row], attacks: Iterable[str] = POSTER, what: str = "top1_correct") -> float:
    return mean(_share(_under(rows, attack), what) for attack in attacks)


def _order(stop: str) -> tuple[int, float]:
    argument = stop.partition(":")[2].removeprefix("top")
    return list(TITLES).index(family(stop)), float(argument or 0)


def rules() -> str:
    """Every rule with every parameter."""
    found = by_rule()
    oracle = _mean(found["oracle:top1"])
    lines = []
    for stop in sorted(found, key=_order):
        rows = found[stop]
        spent = mean(row["iterations_run"] for row in rows.values())
        needs = "the truth" if family(stop) == "oracle" else "a classifier" if family(stop) in ASKS else ""
        needs = "two fits" if family(stop) in TWO_FITS else needs
        lines.append(
            [
                TITLES[family(stop)],
                f"`{stop}`",
                f"{_share(_under(rows, CLEAN)):.0f}",
                f"{_mean(rows):.1f} / {_mean(rows, what='top5_correct'):.1f}",
                f"{min(_share(_under(rows, attack)) for attack in POSTER):.0f}",
                f"{_share(_under(rows, 'pgd8')):.0f}",
                f"{oracle - _mean(rows):.1f}",
                f"{spent:.0f}" + (" × 2" if family(stop) in TWO_FITS else ""),
                needs,
            ]
        )
    heading = ["rule", "", "clean", "mean of eight", "worst", "PGD 8/255", "short of oracle", "iterations", "needs"]
    return block_markdown(Table(heading, lines)) + _of(found)


def _of(found: dict[str, dict[Key, Row]]) -> str:
    keys = next(iter(found.values()))
    images = len({image for _, image in keys})
    return f"\n{images} images, {len(keys)} inputs; the same fits for every rule.\n"


@cache
def best() -> dict[str, str]:
    """Family to its best parameter by mean top-1 over the eight attacks; the smallest of equals."""
    chosen: dict[str, str] = {}
    for stop in sorted(by_rule(), key=_order):
        name = family(stop)
        if name != "oracle" and (name not in chosen or _mean(by_rule()[stop]) > _mean(by_rule()[chosen[name]])):
            chosen[name] = stop
    return chosen


def by_attack() -> str:
    """The best of every family, attack by attack."""
    lines = []
    for stop in (*best().values(), "oracle:top1"):
        rows = by_rule()[stop]
        cells = []
        for attack in (CLEAN, *ATTACKS):
            own = _under(rows, attack)
            low, high = wilson_interval(sum(row["top1_correct"] for row in own), len(own)) or (0, 1)
            cells.append(f"{_share(own):.0f} / {_share(own, 'top5_correct'):.0f} ({100 * low:.0f}–{100 * high:.0f})")
        lines.append([f"`{stop}`", *cells])
    return block_markdown(Table(["rule", *(attack_title(name) for name in (CLEAN, *ATTACKS))], lines))


def left_out() -> str:
    """What a parameter loses that was chosen without the attack it is judged on."""
    lines = []
    for name in best():
        variants = [stop for stop in sorted(by_rule(), key=_order) if family(stop) == name]
        if len(variants) < 2:
            continue
        unseen = []
        for attack in POSTER:
            others = [each for each in POSTER if each != attack]
            means = {stop: _mean(by_rule()[stop], others) for stop in variants}
            chosen = max(means, key=means.__getitem__)
            unseen.append(_share(_under(by_rule()[chosen], attack)))
        whole, part = _mean(by_rule()[best()[name]]), mean(unseen)
        lines.append([TITLES[name], str(len(variants)), f"{whole:.1f}", f"{part:.1f}", f"{whole - part:.1f}"])
    heading = ["rule", "parameters tried", "chosen on all eight", "chosen without the attack judged on", "loss"]
    return block_markdown(Table(heading, lines))


def windows() -> str:
    """Answers averaged over checkpoints, beside the last of them alone: the same fits, the same iterations."""
    fits = experiment("stopping").trajectories[PRESET]
    lines = []
    for first, last in ((10, 50), (30, 50), (20, 70), (40, 70), (10, 100), (40, 100)):
        ended = _answered(fits, partial(_at, iteration=last))
        averaged = _answered(fits, partial(_window, first=first, last=last))
        lines.append([f"{first}–{last}", *(f"{each:.1f}" for each in (*ended, *averaged))])
    heading = ["checkpoints", "last alone: mean", "worst", "clean", "averaged: mean", "worst", "clean"]
    return block_markdown(Table(heading, lines))


Fits = dict[tuple[str, str, int], list[Row]]


def _answered(fits: Fits, answer: Callable[[list[Row]], int]) -> tuple[float, float, float]:
    """Mean and worst of the eight attacks and clean, top-1 in percent."""
    right: dict[str, list[bool]] = defaultdict(list)
    for (_, attack, _), points in fits.items():
        right[attack].append(answer(points) == points[0]["label"])
    shares = [100 * mean(right[attack]) for attack in POSTER]
    return mean(shares), min(shares), 100 * mean(right[CLEAN])


def _at(points: list[Row], iteration: int) -> int:
    return next(int(point["predicted"][0]) for point in points if point["iteration"] == iteration)


def _window(points: list[Row], first: int, last: int) -> int:
    """The class with the highest mean probability, of the five that every checkpoint keeps."""
    total: Counter[int] = Counter()
    for point in points:
        if first <= point["iteration"] <= last:
            for index, chance in zip(point["predicted"], point["probabilities"], strict=True):
                total[index] += chance
    return max(total, key=total.__getitem__)


TABLES = {"rules": rules, "rules_by_attack": by_attack, "left_out": left_out, "windows": windows}
