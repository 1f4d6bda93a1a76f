"""The table of certificates that Cohen's code writes and its plots read, filled line by line and gone on with.

Beside it lies a JSON file with what it was made by, so that no line of other settings or images gets in.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import floor
from pathlib import Path
from typing import Any, Self

from deep_protection.certification._certify import Certificate
from deep_protection.errors import OptionError, OutputError
from deep_protection.images import write_atomically

HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime"
ABSTAINS = UNKNOWN = -1
"""What stands for no answer, and for a label that is not known."""
_PLACES = 6


@dataclass(frozen=True, slots=True)
class CertifiedRow:
    """One line: https://github.com/locuslab/smoothing."""

    idx: int
    """The image's place among all."""
    label: int
    predict: int
    radius: float
    correct: bool
    """Whether ``predict`` is ``label``, whatever the radius."""
    seconds: float

    @classmethod
    def of(cls, idx: int, label: int, certificate: Certificate) -> Self:
        """A certificate as a line: no radius is rounded up."""
        predict = ABSTAINS if certificate.prediction is None else certificate.prediction
        radius = floor(certificate.radius * 10**_PLACES) / 10**_PLACES
        return cls(idx, label, predict, radius, predict == label != UNKNOWN, certificate.seconds)

    @classmethod
    def read(cls, line: str) -> Self:
        """Raises :class:`ValueError` where it is none."""
        idx, label, predict, radius, correct, spent = line.split("\t")
        days, _, clock = spent.rpartition(", ")
        hours, minutes, seconds = clock.split(":")
        whole = timedelta(
            days=int(days.split()[0]) if days else 0, hours=int(hours), minutes=int(minutes), seconds=float(seconds)
        )
        return cls(int(idx), int(label), int(predict), float(radius), correct == "1", whole.total_seconds())

    def written(self) -> str:
        """With the line's end."""
        values = (self.idx, self.label, self.predict, f"{self.radius:.{_PLACES}f}", int(self.correct))
        return "\t".join(map(str, (*values, timedelta(seconds=self.seconds)))) + "\n"


def certified_accuracy(rows: Sequence[CertifiedRow], radius: float) -> float:
    """The share of images that are right and certified at ``radius``; at 0 those that are right and no abstention."""
    return sum(row.correct and row.radius >= radius for row in rows) / len(rows)


class CertifiedTable:
    """The file. Lines that are there are kept; a last one that was cut off is not there."""

    def __init__(self, path: Path, settings: Mapping[str, Any], images: Sequence[str]) -> None:
        """``settings`` and the names of all ``images``, in order, say what the lines are of.

        Raises:
            OptionError: what is there was made by others. OutputError: the file cannot be read or written.
        """
        self.path, self.rows = path, dict[int, CertifiedRow]()
        about = {"settings": dict(settings), "images": list(images)}
        beside = path.with_name(f"{path.name}.json")
        try:
            if path.exists() or beside.exists():
                self._compare(beside, about)
            else:
                write_atomically(json.dumps(about, indent=1).encode(), beside)
            if path.exists():
                self._read()
            else:
                write_atomically(f"{HEADER}\n".encode(), path)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{path} cannot be used ({error.strerror}); choose another --out") from None

    def add(self, row: CertifiedRow) -> None:
        """Write a line; it is in the file when this returns."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(row.written())
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written to ({error.strerror})") from None
        self.rows[row.idx] = row

    def _compare(self, beside: Path, about: dict[str, Any]) -> None:
        try:
            known = json.loads(beside.read_text(encoding="utf-8"))
            before, images = known["settings"], known["images"]
        except (OSError, ValueError, KeyError, TypeError):
            raise OptionError(
                f"{self.path} is there, and {beside.name} beside it does not say what it was made by; choose another "
                "--out"
            ) from None
        for name, value in about["settings"].items():
            if before.get(name) != value:
                raise OptionError(
                    f"{self.path} was made with {name} {before.get(name)}, and {value} is asked for; choose another "
                    "--out"
                )
        if images != about["images"]:
            raise OptionError(
                f"{self.path} was made of {len(images)} images, which are not the {len(about['images'])} given now; "
                "choose another --out"
            )

    def _read(self) -> None:
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        lines = whole.splitlines()
        if lines[:1] != [HEADER]:
            raise OutputError(f"{self.path} does not begin with the header of such a table; choose another --out")
        for number, line in enumerate(lines[1:], 2):
            try:
                row = CertifiedRow.read(line)
            except (ValueError, IndexError):
                raise OutputError(
                    f"line {number} of {self.path} is no line of such a table; choose another --out"
                ) from None
            self.rows.setdefault(row.idx, row)
        if whole != text:
            write_atomically(whole.encode(), self.path)
