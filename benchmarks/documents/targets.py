"""What was aimed at beside what was measured, and which images are behind the difference: docs/targets.md."""

from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache
from statistics import mean, median

from benchmarks import RESULTS
from benchmarks.documents import protection as protection_tables
from benchmarks.documents.experiments import experiment, measured
from benchmarks.studies.detection import tables as detection_tables
from benchmarks.studies.stopping import tables as stopping_tables
from deep_protection.attacks import POSTER
from deep_protection.classifiers.imagenet import class_names
from deep_protection.evaluation.baselines import BASELINES
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.evaluation.report.rows import CLEAN, Defence, Row, attack_title

AUTO, COUNT = Defence("fast", "auto"), Defence("fast", "fixed:50")
ORACLE, ORACLE1 = Defence("fast", "oracle"), Defence("fast", "oracle:top1")
NOTHING = Defence("none", "none")
HARD = 6
"""An image is hard when so many of the eight attacks on it leave the first answer wrong."""


def _share(defence: Defence, attack: str, what: str = "top1_correct") -> float:
    return 100 * mean(float(row[what]) for row in experiment("main").groups[defence][attack])


def _mean(defence: Defence, what: str = "top1_correct") -> float:
    return mean(_share(defence, attack, what) for attack in POSTER)


def _worst(defence: Defence) -> float:
    return min(_share(defence, attack) for attack in POSTER)


@cache
def _best_filter() -> Defence:
    """The single baseline with the highest mean top-1."""
    return max((Defence(name, "none") for name in BASELINES), key=_mean)


PROTECTED = Defence("protected", "none")
OTHERS = ("pgd8-random", "pgd8-least", "mifgsm@lite2", "mifgsm16@lite2", "pgd16")


def protection_aims() -> str:
    """Each aim of the answer by contrast."""
    found = protection_tables.by_attack_and_defence(experiment("protection"))

    def share(attack: str, defence: Defence = PROTECTED) -> float:
        return protection_tables.right(found[attack][defence.name])

    eight = measured(RESULTS / "protection")
    left = (
        f" ({', '.join(attack_title(each) for each in POSTER if each not in eight)} left out)"
        if len(eight) < len(POSTER)
        else ""
    )

    def over(defence: Defence) -> list[float]:
        return [share(attack, defence) for attack in eight]

    own = over(PROTECTED)
    filters = {name: over(Defence(name, "none")) for name in BASELINES}
    best = max(filters, key=lambda name: mean(filters[name]))
    groups = experiment("protection").groups[PROTECTED]
    right: dict[str, list[bool]] = defaultdict(list)
    for attack in eight:
        for row in groups[attack]:
            right[row["image"]].append(row["top1_correct"])
    under_all = [all(each) for each in right.values() if len(each) == len(eight)]
    spent: dict[bool, list[float]] = defaultdict(list)
    for attack in (CLEAN, *eight):
        for row in groups[attack]:
            spent[bool(row["is_suspicious"])].append(row["cpu_seconds"])
    clean = [-row["p_value"] for row in groups[CLEAN]]
    areas = {
        attack: detection_tables.area(clean, [-row["p_value"] for row in groups[attack] if row["attack_success"]])
        for attack in eight
    }
    lines = [
        [f"top-1, mean of the eight{left}", "≥ 93", f"{mean(own):.1f}"],
        ["top-1, worst of the eight", "≥ 76", f"{min(own):.1f} ({attack_title(eight[own.index(min(own))])})"],
        ["right under all eight", "≥ 70", f"{100 * mean(under_all):.1f} (n = {len(under_all)})"],
        ["clean kept", "≥ 97", f"{share(CLEAN):.1f}"],
        [
            "over the best single filter, mean / worst",
            "≥ +20 / +35",
            f"{mean(own) - mean(filters[best]):+.1f} / {min(own) - min(filters[best]):+.1f} ({BASELINES[best].title})",
        ],
        *([attack_title(attack), "≥ 90", f"{share(attack):.1f}"] for attack in OTHERS),
        *(
            [f"`{name}` in `lite0`'s place, mean of the eight", "≥ 90", f"{protection_tables.mean_behind(name):.1f}"]
            for name in protection_tables.OTHER_CLASSIFIERS
        ),
        ["corruptions that nobody means, points lost", "≤ 1", f"{-protection_tables.harm():.1f}"],
        [
            "detector's AUROC, mean of eight / FGSM",
            "≥ 0.992 / ≥ 0.97",
            f"{mean(areas.values()):.3f} / {areas['fgsm']:.3f}",
        ],
        [
            "CPU s an image, suspicious / not",
            "≤ 0.6 / ≤ 0.6",
            " / ".join(f"{median(spent[flag]):.2f}" for flag in (True, False)),
        ],
    ]
    return block_markdown(Table(["aim", "asked", "measured"], lines))


def aims() -> str:
    """Each aim of the main experiment, of stopping and of detection."""
    rules = stopping_tables.by_rule()
    spent = mean(row["iterations_run"] for row in rules["stable:4"].values())
    filters = _best_filter()
    areas = mean(
        detection_tables.area(detection_tables.scores("fit", CLEAN), detection_tables.scores("fit", attack))
        for attack in detection_tables.attacks(POSTER)
    )
    caught = detection_tables.caught(detection_tables.scores("fit", CLEAN), detection_tables.scores("fit", "pgd8"))
    lines = [
        ["oracle, top-5, mean of eight", "≥ 99", f"{_mean(ORACLE, 'top5_correct'):.1f}"],
        ["fixed count, top-5, mean of eight", "≥ 95", f"{_mean(COUNT, 'top5_correct'):.1f}"],
        ["`auto`, top-5, mean of eight", "≥ 97.4", f"{_mean(AUTO, 'top5_correct'):.1f}"],
        ["`auto`, top-1, mean of eight", "≥ 90", f"{_mean(AUTO):.1f}"],
        ["`auto`, top-1, worst of eight", "≥ 75", f"{_worst(AUTO):.1f}"],
        ["`auto`, clean top-1 kept", "≥ 97", f"{_share(AUTO, CLEAN):.1f}"],
        [
            "top-1 above the best single baseline, mean",
            "≥ 15 points",
            f"{_mean(AUTO) - _mean(filters):+.1f} ({BASELINES[filters.name].title})",
        ],
        ["top-1 above the best single baseline, worst", "≥ 25 points", f"{_worst(AUTO) - _worst(filters):+.1f}"],
        ["`auto` short of `oracle:top1`, top-1", "≤ 2 points", f"{_mean(ORACLE1) - _mean(AUTO):.1f}"],
        ["`auto` short of the poster's oracle (top-5), top-1", "≤ 2 points", f"{_mean(ORACLE) - _mean(AUTO):.1f}"],
        ["iterations of `auto`", "≤ best fixed count", f"{spent:.0f} of {stopping_tables.best()['fixed'][6:]}"],
        ["detector: AUROC, mean of eight", "≥ 0.983", f"{areas:.3f}"],
        ["detector: PGD 8/255 caught at 5 % false positives", "≥ 95", f"{100 * caught:.0f}"],
    ]
    return block_markdown(Table(["aim", "asked", "measured"], lines))


Miss = str
LOST, LEFT, ELSE = "lost untouched too", "the attack's class", "another class"


@cache
def _answers(defence: Defence) -> dict[tuple[str, str], Row]:
    return {(row["image"], attack): row for attack, rows in experiment("main").groups[defence].items() for row in rows}


def _miss(image: str, attack: str) -> Miss | None:
    row = _answers(AUTO)[image, attack]
    if row["top1_correct"]:
        return None
    if not _answers(AUTO)[image, CLEAN]["top1_correct"]:
        return LOST
    return LEFT if row["predicted"] == _answers(NOTHING)[image, attack]["predicted"] else ELSE


def misses() -> str:
    """Why first answers are wrong, attack by attack."""
    images = sorted({image for image, _ in _answers(AUTO)})
    lines = []
    for attack in POSTER:
        found = Counter(_miss(image, attack) for image in images)
        wrong = len(images) - found[None]
        near = sum(
            _answers(AUTO)[image, attack]["top5_correct"] for image in images if _miss(image, attack) is not None
        )
        lines.append([attack_title(attack), str(wrong), *(str(found[kind]) for kind in (LOST, LEFT, ELSE)), str(near)])
    heading = ["attack", f"wrong of {len(images)}", LOST, LEFT, ELSE, "true class in the first five"]
    return block_markdown(Table(heading, lines))


def hard() -> str:
    """The images behind most of the misses."""
    names = class_names()
    wrong: dict[str, list[str]] = defaultdict(list)
    for image, attack in _answers(AUTO):
        if attack in POSTER and _miss(image, attack) is not None:
            wrong[image].append(attack)
    found = sorted(
        (image for image, attacks in wrong.items() if len(attacks) >= HARD), key=lambda i: (-len(wrong[i]), i)
    )
    every = sum(len(attacks) for attacks in wrong.values())
    lines = []
    for image in found:
        clean = _answers(AUTO)[image, CLEAN]
        sure = _answers(NOTHING)[image, CLEAN]["probability_true"]
        lines.append(
            [
                image,
                names[clean["label"]],
                f"{100 * sure:.0f}",
                str(len(wrong[image])),
                "right" if clean["top1_correct"] else names[clean["predicted"]],
            ]
        )
    heading = ["image", "class", "sure untouched, %", "wrong under", "restored untouched it is"]
    theirs = sum(len(wrong[image]) for image in found)
    return (
        block_markdown(Table(heading, lines))
        + f"\nThese {len(found)} images are behind {theirs} of {every} wrong first answers.\n"
    )


def published() -> str:
    """The poster's recipe through the same experiment, beside ``fast`` and JPEG on the same images."""
    groups = experiment("paper").groups
    shown = {
        "`paper`, 1,750 iterations": Defence("paper", "fixed:1750"),
        "`paper`, oracle (top-5)": Defence("paper", "oracle"),
        "`paper`, oracle (top-1)": Defence("paper", "oracle:top1"),
        "`fast`, `auto`": AUTO,
        "JPEG 25": Defence("jpeg25", "none"),
        "nothing": NOTHING,
    }
    attacks = [CLEAN, *experiment("paper").attacks]
    lines = []
    for title, defence in shown.items():
        cells = []
        for attack in attacks:
            rows = groups[defence].get(attack, [])
            right, near = (sum(row[what] for row in rows) for what in ("top1_correct", "top5_correct"))
            cells.append(f"{right} / {near} of {len(rows)}" if rows else "–")
        every = [row for rows in groups[defence].values() for row in rows]
        spent = median(row["cpu_seconds"] for row in every)
        lines.append(
            [
                title,
                *cells,
                f"{median(row['iteration_chosen'] for row in every):.0f}",
                f"{spent:,.0f}" if spent >= 10 else f"{spent:.2g}",
            ]
        )
    titles = ["untouched" if attack == CLEAN else attack_title(attack) for attack in attacks]
    return block_markdown(Table(["top-1 / top-5", *titles, "median iterations", "median CPU s"], lines))


TABLES: dict[str, Callable[[], str]] = {
    "aims": aims,
    "protection_aims": protection_aims,
    "misses": misses,
    "hard": hard,
    "published_recipe": published,
}
