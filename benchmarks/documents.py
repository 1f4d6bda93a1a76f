"""Put the measured numbers into README.md and the documents, from the committed results.

    python -m benchmarks documents

Each table stands between two marks that name it; a test holds documents and results in step.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    commands,
    contrast,
    demo_table,
    detection_tables,
    experiment_table,
    file_fuzz,
    integrations,
    maps_tables,
    paired,
    performance_tables,
    protection_tables,
    restoration,
    service_tables,
    several_fits,
    stopping_tables,
    targets,
)
from deep_protection.evaluation.report import tuning
from deep_protection.evaluation.report.document import block_markdown

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "docs/index.md",
    "docs/performance.md",
    "docs/contrast.md",
    "docs/stopping.md",
    "docs/detection.md",
    "docs/attackers.md",
    "docs/maps.md",
    "docs/medical.md",
    "docs/restoration.md",
    "docs/targets.md",
    "docs/commands.md",
    "docs/service.md",
    "docs/integrations.md",
)


def _demo() -> str:
    return demo_table.table(json.loads((ROOT / "docs/results/demo/results.json").read_text()))


TABLES: dict[str, Callable[[], str]] = {
    "demo": _demo,
    "protection": experiment_table.protection,
    "unfiltered": experiment_table.unfiltered,
    "oblivious": experiment_table.oblivious,
    "views": experiment_table.views,
    "adaptive": experiment_table.adaptive,
    **performance_tables.TABLES,
    "efforts": experiment_table.efforts,
    "harder": experiment_table.harder,
    "medical": experiment_table.medical,
    "medical_fidelity": experiment_table.medical_fidelity,
    **stopping_tables.TABLES,
    "differences": paired.differences,
    **detection_tables.TABLES,
    **maps_tables.TABLES,
    **restoration.TABLES,
    **targets.TABLES,
    **protection_tables.TABLES,
    "commands": commands.commands,
    **contrast.TABLES,
    **service_tables.TABLES,
    **file_fuzz.TABLES,
    **integrations.TABLES,
    "several_fits": several_fits.counts,
    "several_fits_stops": several_fits.stops,
    "tuned": lambda: block_markdown(tuning.table(ROOT / "docs/results/tune-few")),
}


def filled(text: str) -> str:
    """A document with all its tables made anew."""

    def table(mark: re.Match[str]) -> str:
        return f"<!-- {mark[1]}:begin (python -m benchmarks documents) -->\n{TABLES[mark[1]]()}<!-- {mark[1]}:end -->"

    return re.sub(r"<!-- (\w+):begin .*?<!-- \1:end -->", table, text, flags=re.DOTALL)


def fill_all() -> None:
    for name in DOCUMENTS:
        document = ROOT / name
        document.write_text(filled(document.read_text()))
