import subprocess
import sys
from importlib.resources import files

import deep_protection as dp

HEAVY = ["foolbox", "transformers", "huggingface_hub", "matplotlib", "scipy", "fastapi", "starlette", "torchvision",
         "timm", "typer", "rich", "pydantic", "efficientnet_lite_pytorch",
         "httpx2", "jmespath", "tenacity"]  # fmt: skip


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = python("import sys, deep_protection; print(*sys.modules)").split()
    assert "torch" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_the_package_is_typed_and_says_its_version() -> None:
    assert (files("deep_protection") / "py.typed").is_file()
    assert python("import deep_protection; print(deep_protection.__version__)").strip() == dp.__version__


def test_every_public_error_is_one_of_ours() -> None:
    errors = [value for name, value in vars(dp).items() if name.endswith("Error")]
    assert len(errors) >= 8
    assert all(issubclass(error, dp.DeepProtectionError) for error in errors)
