"""What the documents tell to type works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer.main
from PIL import Image

import deep_protection as dp
from deep_protection.cli.app import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/guides").glob("*.md"))]
RUN_ELSEWHERE = ("integrations", "remote", "medical", "your-defence")
"""By tests that have what their snippets want."""
WITH_CODE = [
    path for path in DOCUMENTS if "```python" in path.read_text(encoding="utf-8") and path.stem not in RUN_ELSEWHERE
]
LONG = ("restoration", "maps", "your-map", "your-model", "python", "certification")
"""Fits of many iterations, the reader, calibrations and certificates."""
IMAGES = ("photo.jpg", "grainy.png", "blocks.jpg", "scratched.png", "sheet.png", "stamp.png")


@pytest.fixture
def folder(tmp_path: Path, photograph: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small images under the names that documents use."""
    small = photograph.resize((16, 16))
    for name in IMAGES:
        small.save(tmp_path / name)
    photograph.resize((64, 64)).save(tmp_path / "blocks.jpg", quality=10)  # of a smaller one nobody can tell
    mask = np.zeros((16, 16), dtype=np.uint8)
    mask[7:8] = 255
    Image.fromarray(mask).save(tmp_path / "scratches.png")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "document",
    [pytest.param(path, marks=pytest.mark.campaign if path.stem in LONG else ()) for path in WITH_CODE],
    ids=[path.stem for path in WITH_CODE],
)
def test_python_in_documents_runs(
    document: Path, photograph: Image.Image, recognised: tuple[torch.Tensor, torch.Tensor], lite0: dp.Classifier
) -> None:
    pixels, labels = (given[:1] for given in recognised)
    names: dict[str, Any] = {"dp": dp, "pixels": pixels, "labels": labels, "network": lite0.network}
    names["clean"] = [pixels[0, :, place : place + 32, place : place + 32] for place in range(0, 160, 8)]
    names |= {"image": photograph.resize((32, 32)), "other": photograph.resize((24, 40))}
    for block in _python(document):
        exec(compile(block, str(document), "exec"), names)  # noqa: S102  (our own documents)


@pytest.mark.campaign
def test_the_ten_lines_of_the_guide_run(tmp_path: Path) -> None:
    """As a script: its worker processes have to find a function of the main module."""
    [code] = _python(ROOT / "docs/guides/your-defence.md")
    assert len([line for line in code.splitlines() if line]) <= 12
    script = tmp_path / "compare.py"
    script.write_text(code.replace("limit=4", "limit=1"))
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.rsplit(maxsplit=3)[1:] for line in done.stdout.splitlines()]
    assert {(attack, defence) for attack, defence, _ in rows} == {
        (attack, defence)
        for attack in ("none", "pgd")
        for defence in ("__main__:my_defence", "protected", "jpeg25", "none")
    }


def _python(document: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL)


def _commands() -> list[tuple[str, str]]:
    """Document and command line, joined where a line goes on."""
    found: list[tuple[str, str]] = []
    for path in DOCUMENTS:
        text = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
        lines = re.findall(r"^    (deep-protection (?!.*\[OPTIONS\]).+)$", text, flags=re.MULTILINE)
        found.extend((path.stem, line) for line in lines)
    return found


@pytest.mark.parametrize(("document", "line"), _commands())
def test_commands_in_documents_are_understood(document: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command: Any = typer.main.get_command(app)
    context = None
    while getattr(command, "commands", None):
        context = command.make_context(words[0] if context else "deep-protection", words, parent=context)
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None, f"{document}: {name}"
    command.make_context(line, words, parent=context)
