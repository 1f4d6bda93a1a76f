"""Every script, every notebook and every snippet of docs/integrations.md, run."""

import re
import runpy
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.without_operators import import_torchvision
from PIL import Image
from torch import Tensor

import deep_protection as dp

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
MEASURED = ["art_defence.py", "autoattack_evaluation.py", "foolbox_attack.py", "torchattacks_attack.py"]
OF_OTHER_ENVIRONMENTS = ["deepinv_reconstruction.py", "torchvision_transform.py"]
"""Those are run in `make test-integrations`."""


def bring_host(text: str) -> None:
    """Skip what needs a library that is not here, and let torchvision be imported where it is."""
    hosts = [host for host in ("torchvision", "deepinv") if host in text]
    for host in hosts:
        if find_spec(host) is None:
            pytest.skip(f"{host} is not installed: make test-integrations")
    if hosts:
        import_torchvision()


@pytest.mark.filterwarnings("ignore")  # of the hosts' own
@pytest.mark.usefixtures("host_randomness")
@pytest.mark.parametrize("name", MEASURED)
@pytest.mark.campaign
def test_scripts_that_measure(name: str) -> None:
    found = runpy.run_path(str(EXAMPLES / name))["run"](count=1, steps=2)
    shares = [value for value in found.values() if isinstance(value, float)]
    assert len(shares) >= 5
    assert all(0 <= share <= 1 for share in shares)
    assert found["clean"] == 1
    assert found["attacked"] == 0


@pytest.mark.usefixtures("host_randomness")
def test_the_script_of_transformers(hub_directory: Path) -> None:
    found = runpy.run_path(str(EXAMPLES / "transformers_pipeline.py"))["run"](str(hub_directory), count=2)
    assert len(found["protected"]) == 2


@pytest.mark.usefixtures("host_randomness")
def test_the_script_of_deepinv() -> None:
    bring_host("deepinv")
    found = runpy.run_path(str(EXAMPLES / "deepinv_reconstruction.py"))["run"](side=32, stop="fixed:2")
    assert len([value for value in found.values() if isinstance(value, dict)]) == 3


def test_the_script_of_torchvision(lite0: dp.Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_host("torchvision")
    names = runpy.run_path(str(EXAMPLES / "torchvision_transform.py"))
    monkeypatch.setattr(dp, "load_classifier", lambda _: lite0)  # nothing is downloaded
    assert len(names["run"]("torchvision:resnet18", count=1)["restored"]) == 1


@pytest.mark.campaign
def test_the_script_of_an_own_defence(tmp_path: Path) -> None:
    """As a script: its worker processes have to find a function of the main module."""
    script = tmp_path / "own_defence.py"
    script.write_text((EXAMPLES / script.name).read_text().replace("count: int = 4", "count: int = 2"))
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * 2 * 3
    assert sum("__main__:blur" in line for line in lines) == 4
    assert any(line.endswith("pgd __main__:blur right") for line in lines)


def test_every_script_is_run_and_short() -> None:
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names == {*MEASURED, *OF_OTHER_ENVIRONMENTS, "transformers_pipeline.py", "own_defence.py"}
    assert all(len((EXAMPLES / name).read_text().splitlines()) <= 60 for name in names)


@pytest.mark.filterwarnings("ignore")  # of the notebook's own process and sockets
@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
@pytest.mark.campaign
def test_notebooks_run_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    import nbclient
    import nbformat

    shutil.copy(path, tmp_path)
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), "notebooks are committed without outputs"
    for cell in notebook.cells:
        cell.source = cell.source.replace("imagenet_samples()[:4]", "imagenet_samples()[:2]")
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    assert any(cell.get("outputs") for cell in notebook.cells)


def snippets() -> list[Any]:
    text = (ROOT / "docs" / "integrations.md").read_text()
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [pytest.param(code, id=re.findall(r"(?:from|import) (\w+)", code)[-1]) for code in found]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("host_randomness")
@pytest.mark.parametrize("code", snippets())
def test_snippets_of_the_document(
    code: str,
    lite0: dp.Classifier,
    recognised: tuple[Tensor, Tensor],
    photograph: Image.Image,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bring_host(code)
    monkeypatch.chdir(tmp_path)
    photograph.save("photo.jpg")
    if "google/vit" in code:  # nothing is downloaded
        code = code.replace("google/vit-base-patch16-224", str(request.getfixturevalue("hub_directory")))
    names = {"dp": dp, "torch": torch, "classifier": lite0, "photograph": photograph}
    images = torch.nn.functional.interpolate(recognised[0][:1], size=(64, 64), mode="area")  # a tenth of the time
    exec(code, {**names, "images": images, "labels": recognised[1][:1]})  # noqa: S102


def test_the_versions_in_the_document_are_those_that_are_pinned() -> None:
    """robustbench alone is pinned in the Makefile, for it clashes with the others."""
    text = (ROOT / "docs" / "integrations.md").read_text()
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    pins["ART"], pins["AutoAttack"] = pins["adversarial-robustness-toolbox"], pins["pyautoattack"]
    rows = re.findall(r"^\| \[(\w+)\]\(#.*\| (\d[\d.]*\d)[^|]*\| `make", text, re.MULTILINE)
    assert len(rows) == 9
    for host, version in rows:
        if host == "RobustBench":
            assert f"robustbench=={version}" in (ROOT / "Makefile").read_text()
        else:
            assert pins[host] == version, host
