"""What the documents say is what was measured."""

import json
import re
from pathlib import Path

from benchmarks.readme import filled

ROOT = Path(__file__).parents[1]


def test_the_readme_shows_the_committed_results() -> None:
    readme = (ROOT / "README.md").read_text()
    report = json.loads((ROOT / "docs" / "results" / "demo" / "results.json").read_text())
    assert filled(readme, report) == readme, "run: python -m benchmarks.readme"


def test_every_file_a_document_points_to_is_there() -> None:
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert "://" in target or (ROOT / target).exists(), f"{document.name}: {target}"
