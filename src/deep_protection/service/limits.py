"""What is looked at before a picture is taken: size and pace of the body, size and kind of the picture. No decoding."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from deep_protection.errors import ImageError, ImageTooLargeError
from deep_protection.images import check_header
from deep_protection.service.problems import Problem
from deep_protection.service.settings import share_of_one
from deep_protection.service.telling import told

FORM_EXTRA = 100_000
"""Bytes that the frame of a form may take beside the pictures."""
MOST_FIELDS = 20


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


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """The whole body, refused as soon as it is known to be too large, or when it comes too slowly."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise _too_many(int(declared), most)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise _too_many(size, most)
                parts.append(chunk)
    except TimeoutError:
        raise Problem(
            408, f"only {size} bytes arrived in {seconds:.0f} s; send the picture faster, or a smaller one"
        ) from None
    except ClientDisconnect:
        raise Problem(400, "the connection ended before the whole body had come") from None
    return b"".join(parts)


def _too_many(size: int, most: int) -> Problem:
    return Problem(413, f"the body has {size} bytes or more, the limit is {most}; send a smaller picture")


class _InMemory(MultiPartParser):
    """Parts stay in memory, which the limit on the body bounds: nothing is written to a temporary folder."""

    spool_max_size = 2**62


async def parse_form(request: Request, body: bytes) -> FormData:
    """The parts of a ``multipart/form-data`` body."""

    async def whole() -> AsyncGenerator[bytes]:
        yield body

    try:
        return await _InMemory(request.headers, whole(), max_files=2, max_fields=MOST_FIELDS).parse()
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        reason = getattr(error, "message", None) or "it cannot be read"
        raise Problem(400, f"the form is malformed ({reason}); send multipart/form-data with a part 'image'") from None


async def file_of(form: FormData, name: str) -> bytes:
    part = form.get(name)
    if not isinstance(part, UploadFile):
        raise Problem(422, f"the form has no file {name!r}; add it, as in curl -F {name}=@picture.png")
    return await part.read()


def check_picture(data: bytes, most: int) -> None:
    """Raise :class:`Problem` for what is not a picture, is too large, or is something else as well."""
    try:
        check_header(data, most)
    except ImageTooLargeError as error:
        raise Problem(413, told(error)[1]) from None
    except ImageError as error:
        raise Problem(422, told(error)[1], code="bad_image") from None
    other = other_kind(data)
    if other is not None:
        raise Problem(422, f"the picture is {other} as well; save it anew in a picture editor", code="bad_image")


def other_kind(data: bytes) -> str | None:
    """What else a file is read as by programs that look elsewhere in it than a picture's reader does."""
    if _is_archive(data):
        return "a ZIP archive"
    head = data[:1024].lower()
    if b"%pdf-" in head:
        return "a PDF document"
    if any(mark in data[:4096].lower() for mark in (b"<script", b"<html", b"<!doctype html", b"<?php", b"<svg")):
        return "a web page or a script"
    return None


def _is_archive(data: bytes) -> bool:
    """Whether it ends as a ZIP archive does: with a record whose comment reaches just to the end."""
    tail = data[-(22 + 65535) :]
    place = tail.rfind(b"PK\x05\x06")
    while place >= 0:
        if len(tail) - place >= 22 and struct.unpack_from("<H", tail, place + 20)[0] == len(tail) - place - 22:
            return True
        place = tail.rfind(b"PK\x05\x06", 0, place)
    return False
