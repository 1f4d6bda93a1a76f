"""Experiments in short, from ``docs/results/main``, ``adaptive`` and others: reports there have the rest."""

from functools import cache
from pathlib import Path
from statistics import mean

from benchmarks import RESULTS
from benchmarks.studies import harder as harder_study
from deep_protection.attacks import POSTER
from deep_protection.evaluation import BASELINES
from deep_protection.evaluation.protections import PROTECTIONS
from deep_protection.evaluation.report import Rows, fidelity, recovery, tiers
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.evaluation.report.rows import CLEAN
from deep_protection.evaluation.report.tiers import efforts as efforts_table

MAIN_STOPS = ("none", "auto", "fixed:50", "oracle", "oracle:top1")
"""Of the stop rules that were tried, those that the short tables show."""
PROTECTION = "protection"
ANSWERED = (*PROTECTIONS, *BASELINES)
"""Defences that answer without a stop rule."""
COLUMNS = ("defence", "clean", "mean attack", "worst attack", "right under all", "n", "CPU s")


@cache
def experiment(folder: str) -> Rows:
    return Rows(RESULTS / folder)


def protection() -> str:
    """The protected classifier beside the filters: clean, mean and worst of the poster's attacks."""
    if not (RESULTS / PROTECTION).exists():
        return "Not measured yet.\n"
    return answered(RESULTS / PROTECTION)


def answered(folder: Path) -> str:
    """The same of any experiment."""
    return _in_short(recovery(Rows(folder, attacks=measured(folder), defences=ANSWERED)))


def measured(folder: Path) -> tuple[str, ...]:
    """Those of the poster's attacks that the experiment has come to yet."""
    found = {row["attack"] for row in Rows(folder).results}
    return tuple(attack for attack in POSTER if attack in found)


def unfiltered() -> str:
    """Right answers on all images, those too that the classifier gets wrong when nobody attacks."""
    folder = RESULTS / PROTECTION
    attacks = measured(folder)
    rows = Rows(folder, attacks=attacks, defences=ANSWERED)
    lines = []
    for defence in rows.groups:
        own = [row for row in rows.all if row["defence"] == defence.name]
        share = {
            attack: 100 * mean(float(row["top1_correct"]) for row in own if row["attack"] == attack)
            for attack in (CLEAN, *attacks)
        }
        hurt = [share[attack] for attack in attacks]
        images = len({row["image"] for row in own})
        lines.append([defence.title, f"{share[CLEAN]:.0f}", f"{mean(hurt):.0f}", f"{min(hurt):.0f}", str(images)])
    return block_markdown(Table(("defence", "clean", "mean attack", "worst attack", "n"), lines))


def oblivious() -> str:
    """Clean, mean and worst of the attacks, without the single attacks."""
    return _short("main")


def _short(folder: str) -> str:
    return _in_short(recovery(experiment(folder), MAIN_STOPS))


def _in_short(whole: Table) -> str:
    places = [list(whole.heading).index(name) for name in COLUMNS]
    lines = [[line[place] for place in places] for line in whole.lines]
    return block_markdown(Table(COLUMNS, lines))


def views() -> str:
    """The same with answers averaged over views."""
    return _short("views")


def adaptive() -> str:
    """Attackers who know more."""
    return block_markdown(tiers(experiment("adaptive")))


def flagged() -> str:
    """How many images of attackers who know the detector flags, and how many it lets pass with a wrong answer."""
    rows = [
        row for row in experiment("adaptive").knowing if row["defence"] == "protected" and row["tier"] == "adaptive"
    ]
    lines = []
    for attack in dict.fromkeys(row["attack"] for row in rows):
        own = [row for row in rows if row["attack"] == attack]
        right, found, lost = (
            f"{100 * mean(map(float, each)):.0f}"
            for each in (
                [row["top1_correct"] for row in own],
                [row["is_suspicious"] for row in own],
                [not row["top1_correct"] and not row["is_suspicious"] for row in own],
            )
        )
        lines.append([attack, right, found, lost, str(len({row["image"] for row in own}))])
    return block_markdown(Table(("attack", "right, %", "flagged, %", "wrong and not flagged, %", "n"), lines))


def efforts() -> str:
    """What an attack through a defence costs the attacker."""
    return block_markdown(efforts_table(experiment("adaptive")))


def medical() -> str:
    """X-rays: how often the classifier answers as before."""
    return block_markdown(recovery(experiment("medical")))


def medical_fidelity() -> str:
    """X-rays: how much of the image is left."""
    return block_markdown(fidelity(experiment("medical")))


def harder() -> str:
    """Changes of `fast` that might be harder to attack through, and their price."""
    return harder_study.table(RESULTS / "harder")
