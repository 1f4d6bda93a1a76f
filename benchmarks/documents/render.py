"""Put the measured numbers into README.md and the documents, from the committed results.

    python -m benchmarks documents

Each table stands between two marks that name it; a test holds documents and results in step.
"""

import json
import re
from collections.abc import Callable

from benchmarks import ROOT
from benchmarks.documents import commands, demo, experiments, guides, protection, targets
from benchmarks.studies import certification, contrast, integrations, noisy
from benchmarks.studies.detection import tables as detection
from benchmarks.studies.inputs import fuzz as inputs
from benchmarks.studies.maps import tables as maps
from benchmarks.studies.performance import tables as performance
from benchmarks.studies.restoration import methods as restoration
from benchmarks.studies.restoration import times as restoration_times
from benchmarks.studies.service import tables as service
from benchmarks.studies.stopping import differences, several_fits
from benchmarks.studies.stopping import tables as stopping
from deep_protection.evaluation.report import tuning
from deep_protection.evaluation.report.document import block_markdown

DOCUMENTS = (
    "README.md",
    "docs/index.md",
    "docs/inputs.md",
    "docs/performance.md",
    "docs/contrast.md",
    "docs/stopping.md",
    "docs/detection.md",
    "docs/attackers.md",
    "docs/certification.md",
    "docs/maps.md",
    "docs/medical.md",
    "docs/restoration.md",
    "docs/targets.md",
    "docs/commands.md",
    "docs/service.md",
    "docs/integrations.md",
    "src/deep_protection/service/page/index.html",
    "docs/guides/your-model.md",
    "docs/guides/your-defence.md",
    "docs/guides/your-map.md",
)


def _demo() -> str:
    return demo.table(json.loads((ROOT / "docs/results/demo/results.json").read_text()))


TABLES: dict[str, Callable[[], str]] = {
    "demo": _demo,
    "protection": experiments.protection,
    "unfiltered": experiments.unfiltered,
    "oblivious": experiments.oblivious,
    "views": experiments.views,
    "adaptive": experiments.adaptive,
    **performance.TABLES,
    "efforts": experiments.efforts,
    "flagged": experiments.flagged,
    "harder": experiments.harder,
    "medical": experiments.medical,
    "medical_fidelity": experiments.medical_fidelity,
    **stopping.TABLES,
    "differences": differences.differences,
    "several_fits": several_fits.counts,
    "several_fits_stops": several_fits.stops,
    **detection.TABLES,
    **maps.TABLES,
    **restoration.TABLES,
    **restoration_times.TABLES,
    **targets.TABLES,
    **protection.TABLES,
    "commands": commands.commands,
    **contrast.TABLES,
    **service.TABLES,
    **inputs.TABLES,
    **guides.TABLES,
    **certification.TABLES,
    **noisy.TABLES,
    **integrations.TABLES,
    "tuned": lambda: block_markdown(tuning.table(ROOT / "docs/results/tune-few")),
}


def filled(text: str, only: str | None = None) -> str:
    """A document with its tables made anew; with ``only`` no other."""

    def table(mark: re.Match[str]) -> str:
        if only not in (None, mark[1]):
            return mark[0]
        return f"<!-- {mark[1]}:begin (python -m benchmarks documents) -->\n{TABLES[mark[1]]()}<!-- {mark[1]}:end -->"

    return re.sub(r"<!-- (\w+):begin .*?<!-- \1:end -->", table, text, flags=re.DOTALL)


def is_up_to_date(name: str) -> bool:
    """Whether a document says what the committed results say."""
    text = (ROOT / name).read_text()
    return filled(text) == text


def fill_all() -> None:
    for name in DOCUMENTS:
        document = ROOT / name
        document.write_text(filled(document.read_text()))
