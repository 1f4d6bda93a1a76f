"""What the documents say is what was measured. `make check` makes every table anew, this only the main ones."""

import re
from pathlib import Path

import pytest
from benchmarks.documents.render import filled

ROOT = Path(__file__).parents[1]
MAIN = {
    "README.md": None,
    "docs/contrast.md": "by_attack",
    "docs/stopping.md": "rules",
    "docs/detection.md": "areas_short",
    "docs/attackers.md": "adaptive",
    "docs/performance.md": "recovery",
    "docs/commands.md": "commands",
    "src/deep_protection/service/page/index.html": None,
    "docs/guides/your-model.md": None,
    "docs/guides/your-defence.md": None,
    "docs/guides/your-map.md": None,
}
"""Document to its main table; None is all."""


@pytest.mark.parametrize("name", MAIN)
def test_documents_show_the_committed_results(name: str) -> None:
    text = (ROOT / name).read_text()
    assert MAIN[name] is None or f"<!-- {MAIN[name]}:begin" in text
    assert filled(text, MAIN[name]) == text, "run: python -m benchmarks documents"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_every_file_a_document_points_to_is_there() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/guides/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert "://" in target or (document.parent / target).exists(), f"{document.name}: {target}"
