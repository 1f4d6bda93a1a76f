"""Whether a result can be written where it is to go, found out before it is made."""

import errno
import os
import secrets
from pathlib import Path

from deep_protection.errors import OutputError


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether something is there; False for names that no file can have, for which pathlib raises."""
    return os.path.exists(path)  # noqa: PTH110


def is_folder(path: str | os.PathLike[str]) -> bool:
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: str | os.PathLike[str]) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether a pipe, a socket or a device is there: whoever opens one may wait for ever."""
    return exists(path) and not is_file(path) and not is_folder(path)


def place_error(folder: Path, *, make: bool = True) -> OutputError | None:
    """Why nothing can be written into ``folder``; None where something can. ``make`` makes it if it is not there."""
    probe = folder / f".{secrets.token_hex(8)}.probe"
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        return OutputError(f"cannot write into {folder} ({error.strerror}); choose another output")
    return None


def name_error(path: str | os.PathLike[str]) -> OutputError | None:
    """Why no file can have this name; None where one can."""
    if is_special(path):
        return OutputError(f"{path} is not a file that can be replaced; choose another output")
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            name = Path(path).name
            return OutputError(
                f"the result's name, {name[:20]}…{name[-20:]}, is too long; give the image a shorter one"
            )
    return None
