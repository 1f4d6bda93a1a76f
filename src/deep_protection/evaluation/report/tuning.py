"""What came of the grid of :mod:`experiment.tune`: a table, and recovery against CPU seconds."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import mean
from typing import Any

from deep_protection.errors import OptionError
from deep_protection.evaluation.accuracy import bootstrap_interval
from deep_protection.evaluation.experiment.store import read_rows
from deep_protection.evaluation.panel import figure_class
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.images import write_atomically

SHIPPED = "adam 0.01, swish, 16×3"
COLOURS = {"adam": "#c62828", "rmsprop": "#1565c0", "momentum": "#2e7d32"}
STYLES = {"swish": "-", "relu": "--", "leaky": ":"}
WIDTHS = {8: "#fb8c00", 16: "#c62828", 32: "#6a1b9a"}
DEPTHS = {2: ":", 3: "-", 4: "--"}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Course:
    """One setting: iterations, mean over the attacks of top-1 and of the true class's probability, CPU seconds."""

    about: Row
    iterations: list[int]
    top1: list[float]
    chance: list[float]
    cpu_seconds: list[float]
    right: list[dict[str, float]]
    """At every checkpoint: image to the share of attacks under which its first answer is right."""

    @property
    def best(self) -> int:
        """Place of the checkpoint with the most right answers, the true class's probability deciding among equals."""
        return max(range(len(self.iterations)), key=lambda index: (self.top1[index], self.chance[index]))


def courses(folder: Path) -> dict[str, Course]:
    """Setting to its course, on images that the classifier gets right untouched."""
    rows = [row for row in read_rows(folder, "results") if row["clean_correct"]]
    if not rows:
        raise OptionError(f"{folder} holds no results yet; run: deep-protection experiment tune --out {folder}")
    found: dict[str, dict[int, list[Row]]] = {}
    for row in rows:
        found.setdefault(row["defence"], {}).setdefault(row["iterations_run"], []).append(row)
    made = {}
    for name, points in found.items():
        order = sorted(points)
        made[name] = Course(
            points[order[0]][0],
            order,
            [_over_attacks(points[count], "top1_correct") for count in order],
            [_over_attacks(points[count], "probability_true") for count in order],
            [mean(row["cpu_seconds"] for row in points[count]) for count in order],
            [_by_image(points[count]) for count in order],
        )
    return made


def _by_image(rows: list[Row]) -> dict[str, float]:
    images = sorted({row["image"] for row in rows})
    return {image: mean(float(row["top1_correct"]) for row in rows if row["image"] == image) for image in images}


def _lead(course: Course, shipped: Course | None) -> str:
    """Points of top-1 over the shipped setting, each at its best, on the images of both; 95 % by paired bootstrap."""
    if shipped is None or course is shipped:
        return ""
    own, other = course.right[course.best], shipped.right[shipped.best]
    gains = [100 * (own[image] - other[image]) for image in own if image in other]
    low, high = bootstrap_interval(gains)
    return f"{round(mean(gains)):+d} ({round(low):+d} to {round(high):+d})"


def _over_attacks(rows: list[Row], what: str) -> float:
    attacks = {row["attack"] for row in rows}
    return mean(mean(float(row[what]) for row in rows if row["attack"] == attack) for attack in attacks)


def table(folder: Path) -> Table:
    """Every setting at 50 iterations and at its own best checkpoint, best first."""
    found = courses(folder)
    lines = []
    for name, course in sorted(found.items(), key=lambda item: -item[1].chance[item[1].best]):
        half = course.iterations.index(50) if 50 in course.iterations else len(course.iterations) - 1
        best = course.best
        lines.append(
            [
                f"**{name}** (shipped)" if name == SHIPPED else name,
                f"{100 * course.top1[half]:.0f}",
                f"{course.chance[half]:.3f}",
                f"{course.cpu_seconds[half]:.2f}",
                str(course.iterations[best]),
                f"{100 * course.top1[best]:.0f}",
                f"{course.chance[best]:.3f}",
                f"{course.cpu_seconds[best]:.2f}",
                _lead(course, found.get(SHIPPED)),
            ]
        )
    heading = [
        "setting",
        "top-1 at 50",
        "p(true)",
        "CPU s",
        "best at",
        "top-1",
        "p(true)",
        "CPU s",
        "top-1 over the shipped",
    ]
    return Table(heading, lines)


def write_tuning(folder: Path) -> list[Path]:
    """``tune.md`` and ``tune.png`` from the rows in ``folder``."""
    found = courses(folder)
    images = {row["image"] for row in read_rows(folder, "results") if row["clean_correct"]}
    attacks = {row["attack"] for row in read_rows(folder, "results")}
    text = (
        f"# Optimiser, activation, learning rate, width and depth of `fast`: {folder.resolve().name}\n\n"
        f"{len(images)} images under {', '.join(sorted(attacks))}, oblivious; mean over the attacks. Maps of the "
        "outermost scale × number of scales. The best checkpoint is picked by the true label: it compares settings, it "
        "protects nobody.\n\n" + block_markdown(table(folder)) + "\n![Recovery against CPU seconds](tune.png)\n"
    )
    files = {"tune.md": text.encode(), "tune.png": _draw(found)}
    for name, content in files.items():
        write_atomically(content, folder / name)
    return [folder / name for name in files]


def _draw(found: dict[str, Course]) -> bytes:
    figure = figure_class()(figsize=(13, 5.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.set_title("optimiser (colour), activation (line), learning rate; 16 maps × 3 scales")
    right.set_title("width and depth; Adam, swish")
    for name, course in sorted(found.items(), key=lambda item: item[0] == SHIPPED):
        about, shipped = course.about, name == SHIPPED
        width = 2.6 if shipped else 0.9
        if (about["width"], about["depth"]) == (16, 3):
            colour = "black" if shipped else COLOURS[about["optimiser"]]
            left.plot(course.cpu_seconds, course.chance, STYLES[about["activation"]], color=colour, linewidth=width)
        if about["optimiser"] == "adam" and about["activation"] == "swish":
            colour = "black" if shipped else WIDTHS[about["width"]]
            right.plot(course.cpu_seconds, course.chance, DEPTHS[about["depth"]], color=colour, linewidth=width)
    seen = {value for course in found.values() for value in course.about.values() if isinstance(value, str)}
    sizes = {("width", course.about["width"]) for course in found.values()}
    sizes |= {("depth", course.about["depth"]) for course in found.values()}
    for name, colour in COLOURS.items():
        if name in seen:
            left.plot([], [], color=colour, label=name)
    for name, style in STYLES.items():
        if name in seen:
            left.plot([], [], style, color="#777777", label=name)
    for maps, colour in WIDTHS.items():
        if ("width", maps) in sizes:
            right.plot([], [], color=colour, label=f"{maps} maps")
    for scales, style in DEPTHS.items():
        if ("depth", scales) in sizes:
            right.plot([], [], style, color="#777777", label=f"{scales} scales")
    for panel in (left, right):
        panel.plot([], [], color="black", linewidth=2.6, label="shipped")
        panel.set_xlabel("CPU seconds an image")
        panel.grid(alpha=0.25)
        panel.legend(fontsize=8)
    left.set_ylabel("probability of the true class, mean over attacks")
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
