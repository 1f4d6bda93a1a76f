"""What the documents say is what was measured."""

import re
from pathlib import Path

import pytest
from benchmarks.documents import DOCUMENTS, filled

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_show_the_committed_results(name: str) -> None:
    text = (ROOT / name).read_text()
    assert filled(text) == text, "run: python -m benchmarks documents"


def test_every_file_a_document_points_to_is_there() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert "://" in target or (document.parent / target).exists(), f"{document.name}: {target}"
