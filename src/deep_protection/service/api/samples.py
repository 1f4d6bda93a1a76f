"""Foolbox's sample photographs, for trying things out; none where foolbox is not installed."""

from functools import cache
from pathlib import Path

from deep_protection.errors import MissingExtraError
from deep_protection.evaluation import sample_files

TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


@cache
def _known() -> dict[str, Path]:
    try:
        return {file.name: file for file in sample_files() if file.suffix.lower() in TYPES}
    except MissingExtraError:
        return {}


def sample_names() -> list[str]:
    return list(_known())


def sample(name: str) -> tuple[bytes, str] | None:
    """Content and type of one of them."""
    file = _known().get(name)
    return None if file is None else (file.read_bytes(), TYPES[file.suffix.lower()])
