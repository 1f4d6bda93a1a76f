"""The main experiment in short, from the rows in ``docs/results/main``: its report has the rest."""

from functools import cache
from pathlib import Path

from deep_protection.evaluation.report import Rows, recovery, tiers
from deep_protection.evaluation.report.document import Table, block_markdown

FOLDER = Path(__file__).parents[1] / "docs/results/main"
COLUMNS = ("defence", "clean", "mean attack", "worst attack", "right under all", "n", "CPU s")


@cache
def _rows() -> Rows:
    return Rows(FOLDER)


def oblivious() -> str:
    """Clean, mean and worst of the attacks, without the single attacks."""
    whole = recovery(_rows())
    places = [list(whole.heading).index(name) for name in COLUMNS]
    lines = [[line[place] for place in places] for line in whole.lines]
    return block_markdown(Table(COLUMNS, lines))


def adaptive() -> str:
    """Attackers who know more."""
    return block_markdown(tiers(_rows()))
