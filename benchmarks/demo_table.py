"""The demo's numbers as a table, from ``deep-protection demo --out docs/results/demo``."""

from typing import Any

from deep_protection.attacks import ATTACKS
from deep_protection.evaluation import BASELINES


def table(report: dict[str, Any]) -> str:
    """The demo's numbers as Markdown."""
    results = report["results"]
    lines = [
        f"`make demo`: {report['pictures']['recognised']} of {report['pictures']['taken']} ImageNet photographs that "
        f"`{report['classifier']}` gets right, preset `{report['preset']}`, stop `{report['stop']}`, attacked pictures "
        "only where the attack succeeded. Right answers, top-1 / top-5, with the 95 % interval of top-1:",
        "",
        "| defence | " + " | ".join(f"{title(row['attack'])} (n = {row['n']})" for row in results) + " | s a picture |",
        "|---|" + "---|" * (len(results) + 1),
    ]
    pictures = sum(row["n"] for row in results)
    for name in results[0]["defences"]:
        scores = [row["defences"][name] for row in results]
        defence = BASELINES[name].title if name in BASELINES else f"**restored** (`{report['preset']}`)"
        seconds = f"{sum(score['seconds'] for score in scores) / pictures:.3f}"
        lines.append("| " + " | ".join([defence, *map(cell, scores), seconds]) + " |")
    return "\n".join(
        [
            *lines,
            "",
            f"Wall time on {report['cores']} CPU cores; rows in [docs/results/demo](docs/results/demo/results.json).",
            "",
        ]
    )


def title(attack: str) -> str:
    return ATTACKS[attack].title if attack in ATTACKS else "clean, not attacked"


def cell(score: dict[str, Any]) -> str:
    if not score["n"]:
        return "–"
    low, high = score["top1_interval"]
    return f"{score['top1']:.0%} / {score['top5']:.0%} ({low:.0%}–{high:.0%})"
