"""The main experiment in short, from ``docs/results/main`` and ``adaptive``: reports there have the rest."""

from functools import cache
from pathlib import Path

from deep_protection.evaluation.report import Rows, recovery, tiers
from deep_protection.evaluation.report.document import Table, block_markdown

RESULTS = Path(__file__).parents[1] / "docs/results"
MAIN_STOPS = ("none", "auto", "fixed:50", "oracle", "oracle:top1")
"""Of the stop rules that were tried, those that the short tables show."""
COLUMNS = ("defence", "clean", "mean attack", "worst attack", "right under all", "n", "CPU s")


@cache
def experiment(folder: str) -> Rows:
    return Rows(RESULTS / folder)


def oblivious() -> str:
    """Clean, mean and worst of the attacks, without the single attacks."""
    return _short("main")


def _short(folder: str) -> str:
    whole = recovery(experiment(folder), MAIN_STOPS)
    places = [list(whole.heading).index(name) for name in COLUMNS]
    lines = [[line[place] for place in places] for line in whole.lines]
    return block_markdown(Table(COLUMNS, lines))


def views() -> str:
    """The same with answers averaged over views."""
    return _short("views")


def adaptive() -> str:
    """Attackers who know more."""
    return block_markdown(tiers(experiment("adaptive")))
