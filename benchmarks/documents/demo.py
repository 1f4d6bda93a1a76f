"""The demo's numbers as a table.

From ``deep-protection demo --out docs/results/demo``; ``python -m benchmarks webp`` makes its figure small,
``demo-row`` the README's image of it.
"""

from typing import Any

from deep_protection.evaluation.demonstration import PROTECTED, shown
from deep_protection.evaluation.report.document import Table, block_markdown


def table(report: dict[str, Any]) -> str:
    """The demo's numbers as Markdown."""
    results, counts = report["results"], report["images"]
    heading = ["defence", *(f"{row['title']} (n = {row['n']})" for row in results), "CPU s an image"]
    attacked = sum(row["n"] for row in results)
    lines = []
    for name, title in shown(results).items():
        scores = [row["defences"][name] for row in results]
        seconds = f"{sum(score['seconds'] for score in scores) / attacked:.2f}"
        lines.append([f"**{title}**" if name == PROTECTED else title, *map(cell, scores), seconds])
    about = (
        f"The {counts['recognised']} of {counts['taken']} photographs that `{report['classifier']}` gets right; "
        "attacked ones only where the attack changed the answer. Right answers in percent, top-1 / top-5, with the "
        "95 % interval of top-1; CPU seconds with the classifier's own:"
    )
    return f"{about}\n\n{block_markdown(Table(heading, lines))}"


def cell(score: dict[str, Any]) -> str:
    if not score["n"]:
        return "–"
    low, high = score["top1_interval"]
    return f"{100 * score['top1']:.0f} / {100 * score['top5']:.0f} ({100 * low:.0f}–{100 * high:.0f})"
