"""torchvision beside a CPU build of PyTorch, for the libraries that import it."""

import importlib
import sys
from types import ModuleType


def import_torchvision() -> None:
    """Import torchvision, if need be without its compiled operators.

    They are built for the CUDA build of PyTorch. What is tested with torchvision here needs none of them, so the module
    that only describes them is left empty and everything else is the real library. Without torchvision:
    ``ModuleNotFoundError``.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision._meta_registrations"] = ModuleType("torchvision._meta_registrations")
        importlib.import_module("torchvision")
