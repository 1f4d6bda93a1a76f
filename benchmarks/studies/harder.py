"""What would be harder for an attacker who knows: changes of `fast`, each attacked through itself, and their price.

    python -m benchmarks harder --images DIR --inputs DIR

An experiment like any other, whose defences are the presets below. All end at a fixed count: what a rule that asks the
classifier adds for an attacker is another question.
"""

from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.studies.performance.variants import variant
from deep_protection.evaluation.experiment import Experiment
from deep_protection.evaluation.report import Rows
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.evaluation.report.rows import CLEAN
from deep_protection.restoration import PRESETS

_FAST = PRESETS["fast"]
_COARSE = variant("base factor 16", {"base_factor": 16})
AS_SHIPPED = replace(_FAST, stop="fixed:50")
FEW = replace(_FAST, stop="fixed:10")
NO_DETAIL = replace(AS_SHIPPED, recipe=replace(_FAST.recipe, detail=None))
NO_DETAIL_FEW = replace(FEW, recipe=replace(_FAST.recipe, detail=None))
NO_DETAIL_COARSE = replace(AS_SHIPPED, recipe=replace(_FAST.recipe, detail=None, generator=_COARSE))
TITLES = {
    "AS_SHIPPED": "as shipped",
    "FEW": "10 iterations",
    "NO_DETAIL": "no detail brought back",
    "NO_DETAIL_FEW": "no detail, 10 iterations",
    "NO_DETAIL_COARSE": "no detail, base ÷16",
}
ATTACKS = {CLEAN: "clean", "pgd": "PGD 4/255, oblivious", "bpda": "BPDA 4/255"}


def run(images: str, inputs: Path, limit: int, out: Path) -> None:
    """Clean, oblivious PGD, and BPDA through each variant, on images that lite0 gets right untouched."""
    named = [f"{__name__}:{name}" for name in TITLES]
    Experiment(
        images=images,
        inputs=inputs,
        limit=limit,
        recognised=True,
        attacks="pgd",
        adaptive="bpda",
        stops="preset",
        defences=named,
    ).run(out)


def table(folder: Path) -> str:
    """What each costs, and what is right under each attack."""
    rows = Rows(folder).everything
    lines = []
    for name, title in TITLES.items():
        own = [row for row in rows if row["defence"].endswith(f":{name}")]
        cells = []
        for attack in ATTACKS:
            part = [row for row in own if row["attack"] == attack]
            images = {row["image"] for row in part}
            always = len(images - {row["image"] for row in part if not row["top1_correct"]})
            mean = f"{100 * sum(row['top1_correct'] for row in part) / len(part):.0f}" if part else "–"
            cells.append(f"{mean}; every seed {100 * always / len(images):.0f}" if attack == "bpda" else mean)
        cost = median(row["cpu_seconds"] for row in own)
        lines.append([title, *cells, f"{cost:.2f}", str(len(images))])
    return block_markdown(Table(["`fast`", *ATTACKS.values(), "CPU s", "n"], lines))
