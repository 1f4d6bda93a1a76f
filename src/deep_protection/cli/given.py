"""What a command was given by name, or on standard input."""

import sys
from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from deep_protection.classifiers import Classifier
from deep_protection.cli.console import say_notes
from deep_protection.cli.plan import STREAM
from deep_protection.images import file_bytes, from_pillow, read_image, to_pillow


def content_of(source: str) -> bytes:
    """All of a file or of standard input, which is read once: a pipe gives nothing the second time.

    Raises :class:`ImageError` when it cannot be read.
    """
    return sys.stdin.buffer.read() if source == STREAM else file_bytes(source)


def image_of(source: str, content: bytes) -> tuple[Image.Image, str, tuple[str, ...]]:
    """The image in the ``content`` of ``source``, its format's name and notes; errors name the source."""
    return read_image(content, name="" if source == STREAM else source)


def seen_by(source: str, models: Sequence[Classifier], *, quiet: bool) -> tuple[list[Tensor], tuple[str, ...]]:
    """``3×H×W`` pixels as each classifier wants them, and what the image's reading has to tell, which is said.

    Raises :class:`ImageError` when it cannot be read.
    """
    opened, _, notes = image_of(source, content_of(source))
    record = from_pillow(opened, notes)
    say_notes(record.notes, quiet=quiet)
    image = to_pillow(record.pixels)
    return [model.preprocess(image).clamp(0, 1) for model in models], record.notes
