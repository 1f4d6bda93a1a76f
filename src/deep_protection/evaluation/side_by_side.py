"""One figure and one report: images beside each other, and under each what a classifier says of it."""

from io import BytesIO
from pathlib import Path
from typing import Any

from torch import Tensor

from deep_protection.classifiers import Prediction
from deep_protection.evaluation.panel import figure_class
from deep_protection.evaluation.real_world import ADVERSARIAL, ORIGINAL, RealWorld
from deep_protection.images import to_pillow, write_atomically
from deep_protection.quiet import warnings_silenced

AMPLIFICATION = 10
"""How many times as strong the perturbation is shown, around mid-grey."""
_SAME, _OTHER = "#1a7f37", "#8a8a8a"


def draw_side_by_side(found: RealWorld, path: Path) -> None:
    """Write the figure. Answers that the original got too are green."""
    columns = list(found.images)
    columns.insert(2, "")  # the perturbation, of which nothing is asked
    figure = figure_class()(figsize=(2.5 * len(columns), 4.6), dpi=110, layout="constrained")
    figure.suptitle(
        f"{found.classifier}; perturbation made on {found.surrogate}, towards {found.target}, {found.epsilon:g}/255",
        fontsize=11,
        parse_math=False,
    )
    known = {each.label for each in found.answers[ORIGINAL]}
    axes = figure.subplots(2, len(columns), height_ratios=(3, 2), squeeze=False)
    for name, above, below in zip(columns, *axes, strict=True):
        below.set_axis_off()
        if name:
            _show(above, found.images[name], name)
            _bars(below, found.answers[name], known)
        else:
            change = found.images[ADVERSARIAL] - found.images[ORIGINAL]
            _show(above, (change * AMPLIFICATION + 0.5).clamp(0, 1), f"perturbation ×{AMPLIFICATION}")
    buffer = BytesIO()
    with warnings_silenced():  # a service may name things in letters that the font lacks
        figure.savefig(buffer, format="png")
    write_atomically(buffer.getvalue(), path)


def markdown(found: RealWorld, image: str) -> str:
    """The report: what came of it, the figure in the file ``image``, the table."""
    names = list(found.images)
    lines = [
        f"# A perturbed image before {_plain(found.classifier)}",
        "",
        *(f"- {_plain(sentence)}" for sentence in found.verdict()),
        "",
        f"![{', '.join(names)}]({image})",
        "",
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(names)}",
    ]
    for rank in range(max(map(len, found.answers.values()))):
        cells = [found.answers[name][rank] if rank < len(found.answers[name]) else None for name in names]
        shown = ("" if each is None else f"{_plain(each.label)} {each.probability:.1%}" for each in cells)
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _show(axis: Any, pixels: Tensor, title: str) -> None:
    axis.imshow(to_pillow(pixels))
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title(title, fontsize=10)


def _bars(axis: Any, answers: list[Prediction], known: set[str]) -> None:
    axis.set_xlim(0, 1)
    axis.set_ylim(max(4.6, len(answers) - 0.4), -0.6)
    for rank, each in enumerate(answers):
        colour = _SAME if each.label in known else _OTHER
        axis.barh(rank, each.probability, color=colour, alpha=0.35)
        label = each.label if len(each.label) <= 24 else f"{each.label[:23]}…"
        axis.text(0.02, rank, f"{label}  {each.probability:.0%}", va="center", fontsize=8, parse_math=False)


def _plain(text: str) -> str:
    """Text that means nothing to Markdown: labels come from elsewhere."""
    for sign in "\\`*_[]|":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
