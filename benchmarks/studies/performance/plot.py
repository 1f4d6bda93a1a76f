"""Accuracy against CPU seconds, one curve a method."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.rows import RESULTS
from benchmarks.studies.performance.summary import ATTACKS, TITLES, Point, length, recovery

COLOURS = {"published": "#444444", "dipdefend": "#b8860b", "fast": "#c62828", "thorough": "#1565c0", "paper": "#6a1b9a"}


def plot(out: Path = RESULTS / "recovery.png") -> None:
    """Draw ``recovery.png`` from the committed rows."""
    points = recovery(out.parent)
    figure = Figure(figsize=(15, 7.6), dpi=110, layout="constrained")
    figure.suptitle("Right answers (top-1) against CPU seconds an image; ● where a method ends by itself", fontsize=12)
    *panels, corner = figure.subplots(2, 3, sharex=True, sharey=True).flatten()
    for panel, (attack, title) in zip(panels, ATTACKS.items(), strict=True):
        panel.set_title(title)
        panel.set_xscale("log")
        panel.set_ylim(-0.03, 1.03)
        panel.grid(alpha=0.25)
        methods = [method for method in TITLES if any((method, attack) == key[:2] for key in points)]
        for method in methods:
            curve = sorted(
                (iteration, point)
                for (name, under, iteration), point in points.items()
                if (name, under) == (method, attack)
            )
            _draw(panel, method, curve)
        panel.set_xlabel("CPU seconds an image")
        panel.set_ylabel("top-1")
        panel.tick_params(labelbottom=True)
    lines = {line.get_label(): line for panel in panels for line in panel.get_lines() if line.get_label()[0] != "_"}
    corner.axis("off")
    corner.legend(lines.values(), lines.keys(), loc="center", fontsize=10)
    figure.savefig(out)


def _draw(panel: Any, method: str, curve: list[tuple[int, Point]]) -> None:
    name = TITLES[method].replace("*", "").replace("`", "")
    end = next((point for iteration, point in curve if iteration == length(method)), None)
    colour = COLOURS.get(method)
    if colour is None:  # a baseline: a point
        point = curve[0][1]
        panel.plot([max(point.cpu_seconds, 1e-4)], [point.top1], "x", color="#777777")
        panel.annotate(
            name, (max(point.cpu_seconds, 1e-4), point.top1), fontsize=6.5, xytext=(3, 3), textcoords="offset points"
        )
        return
    panel.plot(
        [point.cpu_seconds for _, point in curve],
        [point.top1 for _, point in curve],
        color=colour,
        label=name,
    )
    if end is not None:
        panel.plot([end.cpu_seconds], [end.top1], "o", color=colour)
