"""Attacked images on disk, as float arrays, so that every defence and every later run meets the very same ones."""

import json
from collections.abc import Callable, Mapping
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from deep_protection.evaluation.experiment.units import Attacked, AttackUnit
from deep_protection.images import write_atomically


class InputStore:
    """One file an image and attack. Whatever decides an input is part of its name, so none stands for another."""

    def __init__(self, folder: Path, classifier: str, parameters: Callable[[str], Mapping[str, Any]]) -> None:
        self.folder, self.classifier, self.parameters = folder, classifier, parameters

    def load(self, unit: AttackUnit) -> Attacked | None:
        """What was made of this before, if it was."""
        try:
            with np.load(self._path(unit)) as file:
                return Attacked(file["adversarial"], json.loads(str(file["measured"])))
        except (OSError, KeyError, ValueError, BadZipFile):  # not there, or not whole: made again
            return None

    def save(self, unit: AttackUnit, attacked: Attacked) -> None:
        path, buffer = self._path(unit), BytesIO()
        np.savez(buffer, adversarial=attacked.adversarial, measured=json.dumps(dict(attacked.measured)))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(buffer.getvalue(), path)

    def _path(self, unit: AttackUnit) -> Path:
        about = f"{self.classifier} {unit.label} {unit.seed} {sorted(self.parameters(unit.attack).items())}"
        if unit.against is not None:
            about += f" {unit.against} {unit.through}"
        digest = blake2b(unit.clean.tobytes() + about.encode(), digest_size=8).hexdigest()
        return self.folder / unit.attack / f"{digest}.npz"
