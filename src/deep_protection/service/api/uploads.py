"""What is looked at before a picture is taken: size and pace of the body, size and kind of the picture. No decoding."""

import asyncio
import os
import struct
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from starlette.requests import ClientDisconnect

from deep_protection.errors import ImageError, ImageTooLargeError
from deep_protection.images import check_header
from deep_protection.service.api.errors import Problem
from deep_protection.service.errors import told
from deep_protection.service.settings import share_of_one

FORM_EXTRA = 100_000
"""Bytes that the frame of a form may take beside the pictures."""
MOST_FIELDS = 20
_HEAD, _TAIL = 4096, 22 + 65535
"""Bytes at the edges of a file that are looked at."""


class Places:
    """Counts what clients do at once: bodies that are read, streams that are open."""

    def __init__(self, most: int, message: str, retry_after: int) -> None:
        self._most, self._now = most, Counter[str]()
        self._message, self._retry_after = message, retry_after

    @contextmanager
    def one_of(self, client: str) -> Iterator[None]:
        """Raises :class:`Problem` 429 where there are too many; one client leaves room for others."""
        if self._now.total() >= self._most or self._now[client] >= share_of_one(self._most):
            raise Problem(429, self._message, retry_after=self._retry_after)
        self._now[client] += 1
        try:
            yield
        finally:
            self._now[client] -= 1
            self._now += Counter()  # forget who sends nothing any more


def upload_places(most: int) -> Places:
    """For bodies on their way."""
    return Places(most, "too many pictures are being sent at once; try again in a moment", 1)


async def body_of(request: Request, most: int, seconds: float) -> AsyncGenerator[bytes]:
    """The body in pieces, refused as soon as it is known to be too large, or when it comes too slowly."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise _too_many(int(declared), most)
    size, end = 0, asyncio.get_running_loop().time() + seconds
    pieces = aiter(request.stream())
    while True:
        try:
            # The time that a disk takes to write counts too: a client that waits for it sends no faster.
            async with asyncio.timeout_at(end):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise Problem(
                408, f"only {size} bytes arrived in {seconds:.0f} s; send the picture faster, or a smaller one"
            ) from None
        except ClientDisconnect:
            raise Problem(400, "the connection ended before the whole body had come") from None
        if piece is None:
            return
        size += len(piece)
        if size > most:
            raise _too_many(size, most)
        yield piece


def _too_many(size: int, most: int) -> Problem:
    return Problem(413, f"the body has {size} bytes or more, the limit is {most}; send a smaller picture")


def check_picture(path: Path, most: int) -> tuple[int, int]:
    """Width and height, before it is turned upright.

    Raises :class:`Problem` for what is not a picture, is too large, or is something else as well.
    """
    with path.open("rb") as file:
        size = _size(file, most)
        file.seek(0)
        other = other_kind(_edges(file))
    if other is not None:
        raise Problem(422, f"the picture is {other} as well; save it anew in a picture editor", code="bad_image")
    return size


def check_mask(picture: tuple[int, int], mask: tuple[int, int]) -> None:
    """Raise :class:`Problem` for a mask that cannot be one of the picture, whichever way up the two are."""
    if sorted(picture) != sorted(mask):
        raise Problem(
            422,
            f"the mask has {mask[0]}×{mask[1]} pixels and the picture {picture[0]}×{picture[1]}; give one of its size",
            code="bad_image",
        )


def _size(file: BinaryIO, most: int) -> tuple[int, int]:
    try:
        return check_header(file, most)[1:]
    except ImageTooLargeError as error:
        raise Problem(413, told(error)[1]) from None
    except ImageError as error:
        raise Problem(422, told(error)[1], code="bad_image") from None


def _edges(file: BinaryIO) -> bytes:
    """The beginning and the end of a file: what :func:`other_kind` looks at."""
    head = file.read(_HEAD)
    file.seek(max(_HEAD, file.seek(0, os.SEEK_END) - _TAIL))
    return head + file.read(_TAIL)


def other_kind(data: bytes) -> str | None:
    """What else a file is read as by programs that look elsewhere in it than a picture's reader does."""
    if _is_archive(data):
        return "a ZIP archive"
    head = data[:1024].lower()
    if b"%pdf-" in head:
        return "a PDF document"
    if any(mark in data[:_HEAD].lower() for mark in (b"<script", b"<html", b"<!doctype html", b"<?php", b"<svg")):
        return "a web page or a script"
    return None


def _is_archive(data: bytes) -> bool:
    """Whether it ends as a ZIP archive does: with a record whose comment reaches just to the end."""
    tail = data[-_TAIL:]
    place = tail.rfind(b"PK\x05\x06")
    while place >= 0:
        if len(tail) - place >= 22 and struct.unpack_from("<H", tail, place + 20)[0] == len(tail) - place - 22:
            return True
        place = tail.rfind(b"PK\x05\x06", 0, place)
    return False
