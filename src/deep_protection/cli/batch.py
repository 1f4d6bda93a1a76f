"""What commands that turn images into images share: reading ahead, writing each when done, telling how it went."""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from deep_protection.cli.console import duration, print_json, progress_bar, say_error, say_notes
from deep_protection.cli.given import content_of, image_of
from deep_protection.cli.places import exists, name_error, place_error
from deep_protection.cli.plan import STREAM, Item, Plan
from deep_protection.errors import DeepProtectionError, OutputError
from deep_protection.images import (
    ImageRecord,
    bytes_format,
    check_side,
    encode,
    format_for,
    from_pillow,
    without_missing,
    write_atomically,
)
from deep_protection.restoration import FitOptions, Preset, Purified, factor_of, purify_each, with_missing
from deep_protection.stopping import StopRule


@dataclass(frozen=True, slots=True)
class Left:
    """An image that is to be left as it is."""

    about: dict[str, Any] = field(default_factory=dict)
    """Why, for the results."""


Prepare = Callable[[ImageRecord], ImageRecord | Left]
"""What is to be restored of an image, if anything. An error is this image's alone."""
Missing = Callable[[Item], Tensor]
"""``H×W`` bool, true where an image has no pixels: what is to be restored of it, then."""


def whole(image: ImageRecord) -> ImageRecord:
    """All of it is to be restored."""
    return image


def restore_all(
    work: Plan,
    preset: Preset,
    rule: StopRule,
    *,
    seed: int,
    device: torch.device,
    workers: int | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    seconds: float | None = None,
    prepare: Prepare = whole,
    missing: Missing | None = None,
) -> int:
    """Restore every image of ``work`` that is not there yet; the exit code."""
    job = _Job(work, prepare, missing, quiet=quiet)
    say_notes(work.notes, quiet=quiet)
    todo = job.writable(job.without_existing(overwrite))
    with progress_bar("restoring", shown=not quiet) as progress:
        restored = purify_each(
            job.load(todo),
            len(todo),
            preset,
            rule,
            FitOptions(seed=seed, device=device, seconds=seconds, workers=workers, progress=progress),
        )
        for result in restored:
            job.save(result)
    return job.report(as_json=as_json)


class _Job:
    """What became of every image of one command."""

    def __init__(self, work: Plan, prepare: Prepare, missing: Missing | None, *, quiet: bool) -> None:
        self.work, self.prepare, self.missing, self.quiet = work, prepare, missing, quiet
        self.outcomes: list[dict[str, Any]] = []
        self._loaded: deque[tuple[Item, str]] = deque()

    def without_existing(self, overwrite: bool) -> list[Item]:
        """The images still to be done."""
        todo = []
        for item in self.work.items:
            if overwrite or item.target == STREAM or not exists(item.target):
                todo.append(item)
            elif self.work.into_folder:
                self.outcomes.append({"input": item.source, "output": item.target, "status": "skipped"})
            else:
                raise OutputError(f"{item.target} exists; add --overwrite or choose another output")
        return todo

    def writable(self, items: list[Item]) -> list[Item]:
        """Those whose results can be written: that is found out before hours of fitting, not after."""
        if not self.work.into_folder:
            for item in items:
                if item.target == STREAM:
                    continue
                error = place_error(Path(item.target).parent, make=False) or name_error(item.target)
                if error is not None:
                    raise error
            return items
        todo, failed = [], []
        refused: dict[Path, OutputError | None] = {}
        for item in items:
            parent = Path(item.target).parent
            if parent not in refused:
                refused[parent] = place_error(parent)
            error = refused[parent] or name_error(item.target)
            if error is None:
                todo.append(item)
            else:
                failed.append((item, error))
        if failed and not todo and all(refused.values()):
            raise failed[0][1]  # nowhere can anything be written
        for item, error in failed:
            self._fail(item, error)
        return todo

    def load(self, items: list[Item]) -> Iterator[ImageRecord]:
        """The images one by one, as they are wanted; bad ones are noted and left out."""
        for item in items:
            try:
                data = content_of(item.source)
                image, format_name, notes = image_of(item.source, data)
                missing = None if self.missing is None else self.missing(item)
                taken = from_pillow(image if missing is None else without_missing(image, missing), notes)
                record = self.prepare(taken) if missing is None else with_missing(taken, missing) or Left()
                if isinstance(record, ImageRecord):
                    factor = factor_of(record)
                    check_side(_format(item, format_name), factor * image.width, factor * image.height)
            except (DeepProtectionError, OSError) as error:
                self._fail(item, error)
                continue
            say_notes(record.notes if isinstance(record, ImageRecord) else taken.notes, quiet=self.quiet)
            if isinstance(record, Left):
                self._leave(item, data, taken, format_name, record)
                continue
            self._loaded.append((item, format_name))
            yield record

    def save(self, result: Purified) -> None:
        item, format_name = self._loaded.popleft()
        image: Image.Image = result.image
        self._write(item, lambda: encode(image, _format(item, format_name)), {"status": "restored", **result.summary()})

    def _leave(self, item: Item, data: bytes, image: ImageRecord, format_name: str, left: Left) -> None:
        """Write an image as it is: byte for byte, or as a restored one where another format was asked for."""

        def content() -> bytes:
            wanted = _format(item, format_name)
            return data if wanted == format_name else encode(image.to_original(image.pixels), wanted)

        self._write(item, content, {"status": "left", **left.about})

    def _write(self, item: Item, content: Callable[[], bytes], about: dict[str, Any]) -> None:
        try:
            data = content()
            if item.target == STREAM:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            else:
                Path(item.target).parent.mkdir(parents=True, exist_ok=True)
                write_atomically(data, item.target)
        except BrokenPipeError:
            raise
        except (DeepProtectionError, OSError) as error:
            self._fail(item, error)
            return
        self.outcomes.append({"input": item.source, "output": item.target, **about})

    def report(self, *, as_json: bool) -> int:
        """Print how it went; the exit code."""
        counts = {
            status: sum(outcome["status"] == status for outcome in self.outcomes)
            for status in ("restored", "left", "skipped", "failed")
        }
        if as_json:
            print_json({"results": self.outcomes, "summary": counts, "left_out": list(self.work.left_out)})
        elif not self.quiet and (counts["restored"] or counts["left"] or self.work.into_folder):
            spent = sum(outcome.get("seconds", 0.0) for outcome in self.outcomes)
            words = {"left": "left as they were", "skipped": "skipped", "failed": "failed"}
            others = "".join(f", {counts[status]} {told}" for status, told in words.items() if counts[status])
            plural = "" if counts["restored"] == 1 else "s"
            by_filters = all(outcome["fits"] == 0 for outcome in self.outcomes if outcome["status"] == "restored")
            how = "by filters alone" if counts["restored"] and by_filters else "of fitting"
            sys.stderr.write(f"{counts['restored']} image{plural} restored in {duration(spent)} {how}{others}\n")
        return 1 if counts["failed"] else 0

    def _fail(self, item: Item, error: Exception) -> None:
        message = str(error)
        say_error(message if item.source in message else f"{item.source}: {message}")
        self.outcomes.append({"input": item.source, "output": item.target, "status": "failed", "error": str(error)})


def _format(item: Item, read: str) -> str:
    """The format of a result: its suffix's, or that of the image when it goes to standard output."""
    return bytes_format(read) if item.target == STREAM else format_for(item.target)
