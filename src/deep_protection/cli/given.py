"""What a command was given by name, or on standard input."""

import sys

from PIL import Image

from deep_protection.cli.plan import STREAM
from deep_protection.images import file_bytes, read_image


def content_of(source: str) -> bytes:
    """All of a file or of standard input, which is read once: a pipe gives nothing the second time.

    Raises :class:`ImageError` when it cannot be read.
    """
    return sys.stdin.buffer.read() if source == STREAM else file_bytes(source)


def image_of(source: str, content: bytes) -> tuple[Image.Image, str, tuple[str, ...]]:
    """The image in the ``content`` of ``source``, its format's name and notes; errors name the source."""
    return read_image(content, name="" if source == STREAM else source)
