"""Attackers who know more than the bare classifier: one column an attack, never mixed with the others."""

from statistics import median

from deep_protection.evaluation.accuracy import wilson_interval
from deep_protection.evaluation.corruptions import CORRUPTIONS
from deep_protection.evaluation.report.document import Table
from deep_protection.evaluation.report.rows import Defence, Row, Rows, score
from deep_protection.evaluation.report.tables import seconds, share

ORDER = ("transfer", "black-box", "adaptive")


def tiers(rows: Rows) -> Table:
    """Defence × attack of those who attack another model, or through the defence itself."""
    attacks = sorted({(ORDER.index(row["tier"]), row["attack"]) for row in rows.knowing})
    cells: dict[Defence, dict[str, list[Row]]] = {}
    for row in rows.knowing:
        cells.setdefault(Defence(row["defence"], row["stop"]), {}).setdefault(row["attack"], []).append(row)
    lines = [
        [defence.title, *(_cell(own[attack]) if attack in own else "–" for _, attack in attacks)]
        for defence, own in cells.items()
    ]
    return Table(["defence", *(f"{attack} ({ORDER[tier]})" for tier, attack in attacks)], lines)


def corruptions(rows: Rows) -> Table:
    """Defence × kind of corruption, mild to strong."""
    kinds = list(dict.fromkeys(name.rpartition("-")[0] for name in CORRUPTIONS))
    found: dict[Defence, dict[str, dict[str, list[Row]]]] = {}
    for row in rows.corrupted:
        kind, _, level = row["attack"].rpartition("-")
        found.setdefault(Defence(row["defence"], row["stop"]), {}).setdefault(kind, {}).setdefault(level, []).append(
            row
        )
    shown = [kind for kind in kinds if any(kind in own for own in found.values())]
    lines = []
    for defence, own in found.items():
        everything = [row for levels in own.values() for part in levels.values() for row in part]
        cells = [
            " / ".join(share(score(part).top1) for _, part in sorted(own[kind].items())) if kind in own else "–"
            for kind in shown
        ]
        lines.append(
            [defence.title, *cells, share(score(everything).top1), str(len({row["image"] for row in everything}))]
        )
    return Table(["defence", *shown, "mean", "n"], lines)


def efforts(rows: Rows) -> Table:
    """What the attacks through a defence cost the attacker, an image."""
    made: dict[tuple[int, str, str], dict[str, Row]] = {}
    for row in rows.knowing:
        if row["tier"] != "transfer":
            made.setdefault((ORDER.index(row["tier"]), row["attack"], row["defence"]), {})[row["image"]] = row
    lines = []
    for (_, attack, defence), images in sorted(made.items()):
        own = list(images.values())
        asked = [row["queries"] for row in own if row.get("queries") is not None]
        fooled = sum(row["attack_success"] for row in own) / len(own)
        broke = sum(row["error"] is not None for row in own)
        lines.append(
            [
                attack,
                defence,
                str(len(own)),
                f"{median(asked):,.0f}" if asked else "–",
                seconds(median(row["attack_seconds"] for row in own)),
                share(fooled),
                str(broke),
            ]
        )
    heading = [
        "attack",
        "through",
        "n",
        "median questions",
        "median s",
        "fooled when made, %",
        "broke off",
    ]
    return Table(heading, lines)


def _cell(own: list[Row]) -> str:
    """Mean over images and seeds; where there are several seeds, also the share of images right for all of them."""
    images = {row["image"] for row in own}
    always = len(images) - len({row["image"] for row in own if not row["top1_correct"]})
    low, high = wilson_interval(always, len(images)) or (0.0, 1.0)
    mean, interval = score(own), f"({share(low)}–{share(high)})"
    told = f"{share(mean.top1)} / {share(mean.top5)}"
    if len({row["seed"] for row in own}) > 1:
        told += f"; every seed {share(always / len(images))}"
    return f"{told} {interval}, n = {len(images)}"
