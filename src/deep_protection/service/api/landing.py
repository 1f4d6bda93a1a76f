"""Pictures on their way in: written to the disk as they come, so that memory holds no more than a piece of each."""

import asyncio
import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from deep_protection.service.api.errors import Problem
from deep_protection.service.api.uploads import FORM_EXTRA, MOST_FIELDS


class Landing:
    """A folder for the pictures of one request. Raises ``OSError`` where the disk is full or refuses."""

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
        """Where the file lies now, as a picture of a job."""
        await asyncio.to_thread(file.close)
        return await asyncio.to_thread(Path(file.name).replace, self.folder / f"in.{name}")

    def remove(self) -> None:
        for file in self._opened:
            file.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@asynccontextmanager
async def landing(where: Path) -> AsyncIterator[Landing]:
    """What nobody has taken from it is deleted at the end."""
    made = Landing(where / secrets.token_hex(16))
    try:
        yield made
    finally:
        await asyncio.to_thread(made.remove)


def sealed(path: Path) -> str:
    """Force a file to the disk and give its SHA-256."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


class _ToDisk(MultiPartParser):
    """Puts files where they are to lie, and not into the system's temporary folder, which may be small or closed."""

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes], place: Landing) -> None:
        super().__init__(headers, stream, max_files=2, max_fields=MOST_FIELDS, max_part_size=FORM_EXTRA)
        self._place = place

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is not None:
            self._current_part.file.file.close()
            self._current_part.file.file = self._place.open()


async def parse_form(headers: Headers, pieces: AsyncGenerator[bytes], place: Landing) -> FormData:
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
        raise Problem(422, f"the form has no file {name!r}; add it, as in curl -F {name}=@picture.png")
    return part.file
