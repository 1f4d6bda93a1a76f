import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path

import pytest

import deep_protection as dp

HEAVY = ["foolbox", "transformers", "huggingface_hub", "matplotlib", "scipy", "fastapi", "starlette", "torchvision",
         "timm", "typer", "rich", "pydantic", "efficientnet_lite_pytorch",
         "httpx2", "jmespath", "tenacity"]  # fmt: skip


def python(code: str, packages: str | None = None) -> str:
    """What it prints; with ``packages``, those folders are all that can be imported beside the standard library."""
    options, more = ([], {}) if packages is None else (["-S"], {"PYTHONPATH": packages})
    command = [sys.executable, *options, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **more})
    assert done.returncode == 0, done.stderr
    return done.stdout


def core_only(folder: Path) -> Path:
    """A folder of packages with what ``pip install deep-protection`` brings, and nothing more."""
    waiting, seen = ["deep-protection"], set()
    while waiting:
        name = waiting.pop()
        try:
            found = distribution(name)
        except PackageNotFoundError:  # wanted on other systems only
            continue
        if name in seen:
            continue
        seen.add(name)
        waiting += [re.split(r"[^\w.-]", each)[0] for each in found.requires or [] if "extra ==" not in each]
        for top in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))))
    return folder


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert "torch" not in python("import sys, deep_protection; print(*sys.modules)").split()
    loaded = python(
        "import sys, deep_protection as dp; [getattr(dp, name) for name in dp.__all__]; print(*sys.modules)"
    )
    assert "torch" in loaded.split()
    assert [name for name in HEAVY if name in loaded.split()] == []


def test_the_core_works_without_any_extra(tmp_path: Path) -> None:
    code = """
import torch, deep_protection as dp
network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
images = torch.rand(2, 3, 32, 32)
assert dp.purify(images, stop="fixed:1").shape == images.shape
assert dp.protect(network)(images).shape == (2, 5)
for ask in (lambda: dp.denoise(images[0]), lambda: dp.load_classifier("lite0")):
    try:
        ask()
    except dp.MissingExtraError as error:
        print(error)
try:
    from deep_protection.cli import main
    main()
except SystemExit as error:
    print(error)
"""
    said = python(code, f"{core_only(tmp_path)}:{Path(dp.__file__).parents[1]}").splitlines()
    without_filters, without_lite, without_typer = said
    assert without_filters.endswith("run: pip install 'deep-protection[restore]'")
    assert without_lite.endswith("run: pip install 'deep-protection[lite]'")
    assert without_typer == (
        "error: the command needs typer, which is not installed; run: pip install 'deep-protection[cli]'"
    )


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_the_command_tells_about_itself_without_pytorch(argument: str) -> None:
    code = f"""
import sys
sys.argv = ["deep-protection", {argument!r}]
from deep_protection.cli import main
try:
    main()
finally:
    print("loaded:", *sys.modules)
"""
    said, _, loaded = python(code).partition("loaded:")
    assert "torch" not in loaded.split()
    assert ("extract-text" if argument == "--help" else dp.__version__) in said


def test_public_names_are_the_same_for_a_reader_a_type_checker_and_python() -> None:
    assert sorted(dp.__all__) == sorted(dp._ROOM_OF)
    source = (files("deep_protection") / "__init__.py").read_text(encoding="utf-8")
    imported = set(re.findall(r"^    from deep_protection[.\w]* import \w+ as (\w+)$", source, flags=re.MULTILINE))
    assert imported == set(dp.__all__)
    assert all(getattr(dp, name) is not None for name in dp.__all__)
    assert set(dp.__all__) <= set(dir(dp))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        dp.nothing  # noqa: B018


def test_the_package_is_typed_and_says_its_version() -> None:
    assert (files("deep_protection") / "py.typed").is_file()
    assert python("import deep_protection; print(deep_protection.__version__)").strip() == dp.__version__


def test_every_public_error_is_one_of_ours() -> None:
    errors = [getattr(dp, name) for name in dp.__all__ if name.endswith("Error")]
    assert len(errors) >= 8
    assert all(issubclass(error, dp.DeepProtectionError) for error in errors)
