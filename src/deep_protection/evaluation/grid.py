"""One figure: attacks beside each other, each photograph bare over protected, and under each what is said of it."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from torch import Tensor

from deep_protection.classifiers import Prediction
from deep_protection.evaluation.panel import figure_class
from deep_protection.images import to_pillow, write_atomically

AMPLIFICATION = 10
"""How many times as strong a perturbation is shown, around mid-grey."""
_RIGHT, _WRONG, _INK, _QUIET = "#1a7f37", "#c62828", "#24292f", "#57606a"
_SIDE, _GAP = 3.0, 0.16
"""Inches: an image, and between two columns."""
_LEFT, _TOP, _ANSWER, _TOLD, _FOOT = 0.36, 0.46, 0.46, 0.3, 0.34
"""Inches: for the rows' names, for the headings, under an image for the answer, under that for how it came about, and
for the line at the foot."""
_INSET = 0.3
"""Side of the square that shows the perturbation in its corner, as a part of an image's."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One image, ``3×H×W`` each, before the classifier alone and before the protected one."""

    label: int
    given: Tensor
    perturbation: Tensor | None
    """None where nobody attacked."""
    alone: Prediction
    seen: Tensor
    """What the protection shows for it: the restored image, or the one that was given."""
    protected: Prediction
    told: str
    """How the last answer came about."""


def draw_grid(headings: list[str], photographs: list[list[Pair]], path: Path, *, foot: str) -> None:
    """Write the figure: a column for each of ``headings``, two rows for each of ``photographs``."""
    row = _SIDE + _ANSWER
    pair = 2 * row + _TOLD
    width, height = _LEFT + len(headings) * (_SIDE + _GAP), _TOP + len(photographs) * pair + _FOOT
    figure = figure_class()(figsize=(width, height), dpi=96, facecolor="white")

    def write(x: float, y: float, text: str, **how: Any) -> None:
        """At ``x`` inches from the left, ``y`` from the top."""
        placed: dict[str, Any] = {"ha": "center", "va": "center", "color": _INK, "parse_math": False} | how
        figure.text(x / width, 1 - y / height, text, **placed)

    def show(x: float, y: float, pixels: Tensor, answer: Prediction, label: int) -> Any:
        axis = figure.add_axes((x / width, 1 - (y + _SIDE) / height, _SIDE / width, _SIDE / height))
        colour = _RIGHT if answer.index == label else _WRONG
        _image(axis, pixels, colour, 4)
        said = answer.label if len(answer.label) <= 22 else f"{answer.label[:21]}…"
        text = f"{said} {answer.probability:.0%}"
        write(x + _SIDE / 2, y + _SIDE + _ANSWER * 0.46, text, fontsize=15, fontweight="bold", color=colour)
        return axis

    for place, heading in enumerate(headings):
        write(_LEFT + place * (_SIDE + _GAP) + _SIDE / 2, _TOP / 2, heading, fontsize=16)
    for number, pairs in enumerate(photographs):
        top = _TOP + number * pair
        for name, y in (("classifier alone", top), ("protected", top + row)):
            write(_LEFT / 2, y + _SIDE / 2, name, rotation=90, fontsize=15)
        for place, each in enumerate(pairs):
            x = _LEFT + place * (_SIDE + _GAP)
            axis = show(x, top, each.given, each.alone, each.label)
            if each.perturbation is not None:
                rows, columns = (round(side * (1 - _INSET)) for side in each.perturbation.shape[1:])
                square = (each.perturbation[:, rows:, columns:] * AMPLIFICATION + 0.5).clamp(0, 1)
                _image(axis.inset_axes((0.985 - _INSET, 0.015, _INSET, _INSET)), square, "white", 2)
            show(x, top + row, each.seen, each.protected, each.label)
            write(x + _SIDE / 2, top + 2 * row + _TOLD * 0.2, each.told, fontsize=12, color=_QUIET)
    write(width / 2, height - _FOOT / 2, foot, fontsize=12, color=_QUIET)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(buffer.getvalue(), path)


def _image(axis: Any, pixels: Tensor, frame: str, line: float) -> None:
    axis.imshow(to_pillow(pixels), aspect="auto")
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_color(frame)
        side.set_linewidth(line)
