"""Images on their way in: written to the disk as they come, and looked at before they are taken. No decoding.

Size and pace of the body, size and kind of the image are checked; memory holds no more than a piece of each.
"""

import asyncio
import os
import secrets
import shutil
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from deep_protection.errors import ImageError, ImageTooLargeError
from deep_protection.images import check_header
from deep_protection.service.errors import Problem, to_problem

FORM_EXTRA = 100_000
"""Bytes that the frame of a form may take beside the images."""
MAX_FIELDS = 20
_HEAD, _TAIL = 4096, 22 + 65535
"""Bytes at the edges of a file that are looked at."""


class UploadFolder:
    """A folder for the images of one request. Raises ``OSError`` where the disk is full or refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: list[BinaryIO] = []

    def open(self) -> BinaryIO:
        """A new file to write to; :meth:`keep` gives it its name."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (self.folder / f"part{len(self._opened)}").open("xb")
        self._opened.append(file)
        return file

    async def take(self, pieces: AsyncIterator[bytes]) -> BinaryIO:
        """A body that is the file."""
        file = self.open()
        async for piece in pieces:
            await asyncio.to_thread(file.write, piece)
        return file

    async def keep(self, name: str, file: BinaryIO) -> Path:
        """Where the file lies now, as an image of a job."""
        await asyncio.to_thread(file.close)
        return await asyncio.to_thread(Path(file.name).replace, self.folder / f"in.{name}")

    def remove(self) -> None:
        for file in self._opened:
            file.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@asynccontextmanager
async def upload_folder(where: Path) -> AsyncIterator[UploadFolder]:
    """What nobody has taken from it is deleted at the end."""
    made = UploadFolder(where / secrets.token_hex(16))
    try:
        yield made
    finally:
        await asyncio.to_thread(made.remove)


class _ToDisk(MultiPartParser):
    """Puts files where they are to lie, and not into the system's temporary folder, which may be small or closed."""

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes], place: UploadFolder) -> None:
        super().__init__(headers, stream, max_files=2, max_fields=MAX_FIELDS, max_part_size=FORM_EXTRA)
        self._place = place

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is not None:
            self._current_part.file.file.close()
            self._current_part.file.file = self._place.open()


async def parse_form(headers: Headers, pieces: AsyncGenerator[bytes], place: UploadFolder) -> FormData:
    """The parts of a ``multipart/form-data`` body."""
    try:
        return await _ToDisk(headers, pieces, place).parse()
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        raise Problem(
            400, f"the form is malformed ({_reason(error)}); send multipart/form-data with a part 'image'"
        ) from None


def _reason(error: Exception) -> str:
    message: str = getattr(error, "message", "")
    said = (str(error.__cause__) if error.__cause__ is not None else message).rstrip(".")
    if "header size" in said:
        return "the name of a file, or another header of a part, is too long: give a shorter one"
    return said or "it cannot be read"


def file_of(form: FormData, name: str) -> BinaryIO:
    part = form.get(name)
    if not isinstance(part, UploadFile):
        raise Problem(422, f"the form has no file {name!r}; add it, as in curl -F {name}=@image.png")
    return part.file


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
                408, f"only {size} bytes arrived in {seconds:.0f} s; send the image faster, or a smaller one"
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
    return Problem(413, f"the body has {size} bytes or more, the limit is {most}; send a smaller image")


def check_image(path: Path, most: int) -> tuple[int, int]:
    """Width and height, before it is turned upright.

    Raises :class:`Problem` for what is not an image, is too large, or is something else as well.
    """
    with path.open("rb") as file:
        size = _size(file, most)
        file.seek(0)
        other = other_kind(_edges(file))
    if other is not None:
        raise Problem(422, f"the image is {other} as well; save it anew in an image editor", code="bad_image")
    return size


def check_mask(image: tuple[int, int], mask: tuple[int, int]) -> None:
    """Raise :class:`Problem` for a mask that cannot be one of the image, whichever way up the two are."""
    if sorted(image) != sorted(mask):
        raise Problem(
            422,
            f"the mask has {mask[0]}×{mask[1]} pixels and the image {image[0]}×{image[1]}; give one of its size",
            code="bad_image",
        )


def _size(file: BinaryIO, most: int) -> tuple[int, int]:
    try:
        return check_header(file, most)[1:]
    except ImageTooLargeError as error:
        raise Problem(413, to_problem(error)[1]) from None
    except ImageError as error:
        raise Problem(422, to_problem(error)[1], code="bad_image") from None


def _edges(file: BinaryIO) -> bytes:
    """The beginning and the end of a file: what :func:`other_kind` looks at."""
    head = file.read(_HEAD)
    file.seek(max(_HEAD, file.seek(0, os.SEEK_END) - _TAIL))
    return head + file.read(_TAIL)


def other_kind(data: bytes) -> str | None:
    """What else a file is read as by programs that look elsewhere in it than an image's reader does."""
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
