"""One figure: original, adversarial, perturbation and restored image side by side, with what the classifier says."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from torch import Tensor

from deep_protection.classifiers import Prediction
from deep_protection.images import to_pillow, write_atomically
from deep_protection.optional import import_optional

_RIGHT, _WRONG = "#1a7f37", "#c62828"


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One attacked image, ``3×H×W`` each, with the classifier's first answer to each."""

    title: str
    label: int
    clean: Tensor
    adversarial: Tensor
    restored: Tensor
    answers: tuple[Prediction, Prediction, Prediction]
    """For clean, adversarial and restored."""


def draw_panel(rows: list[PanelRow], path: Path, *, heading: str, amplification: int = 10) -> None:
    """Write the figure; the perturbation is shown ``amplification`` times as strong around mid-grey."""
    figure = figure_class()(figsize=(10.4, 2.86 * len(rows) + 0.62), dpi=110, layout="constrained")
    figure.suptitle(heading, fontsize=12)
    axes = figure.subplots(len(rows), 4, squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        perturbation = ((row.adversarial - row.clean) * amplification + 0.5).clamp(0, 1)
        _show(line[0], row.clean, "original", row.answers[0], row.label)
        _show(line[1], row.adversarial, "adversarial", row.answers[1], row.label)
        _show(line[2], perturbation, f"perturbation ×{amplification}", None, row.label)
        _show(line[3], row.restored, "restored", row.answers[2], row.label)
        line[2].set_xlabel(row.title, fontsize=9)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(buffer.getvalue(), path)


def figure_class() -> Any:
    """Matplotlib's bare Figure, not pyplot: no global state, no window system. Raises when it is not installed."""
    return import_optional("matplotlib.figure", needed_for="a figure", extra="plots").Figure


def _show(axis: Any, pixels: Tensor, title: str, answer: Prediction | None, label: int) -> None:
    axis.imshow(to_pillow(pixels))
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(title, fontsize=10)
    if answer is not None:
        colour = _RIGHT if answer.index == label else _WRONG
        axis.set_xlabel(f"{answer.label}  {answer.probability:.0%}", fontsize=10, color=colour)
        for side in axis.spines.values():
            side.set_color(colour)
            side.set_linewidth(2.5)
