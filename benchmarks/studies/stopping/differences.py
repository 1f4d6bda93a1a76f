"""How much of a difference between two stop rules the images can tell: paired bootstrap over images."""

from collections import defaultdict
from statistics import mean

from benchmarks.studies.stopping.tables import by_rule
from deep_protection.attacks import POSTER
from deep_protection.evaluation.accuracy import bootstrap_interval
from deep_protection.evaluation.report.document import Table, block_markdown

PAIRS = (
    ("stable:4", "fixed:40"),
    ("stable:4", "fixed:50"),
    ("stable:6", "fixed:70"),
    ("self:0.03", "fixed:40"),
    ("self:0.04", "fixed:40"),
    ("emv:20", "fixed:50"),
)


def differences() -> str:
    """Mean top-1 over the eight attacks, in points, with its 95 % interval."""
    lines = []
    for first, second in PAIRS:
        own: dict[str, list[float]] = defaultdict(list)
        for (attack, image), row in by_rule()[first].items():
            if attack in POSTER:
                other = by_rule()[second][attack, image]
                own[image].append(float(row["top1_correct"]) - float(other["top1_correct"]))
        lines.append([f"`{first}` − `{second}`", *gain(own)])
    return block_markdown(Table(["difference", "points", "95 % interval"], lines))


def gain(of_images: dict[str, list[float]]) -> tuple[str, str]:
    """Mean of the images' means of differences between 0 and 1, in points, and its 95 % interval."""
    # In one order, or the draws differ.
    gains = [100 * mean(of_images[image]) for image in sorted(of_images)]
    low, high = bootstrap_interval(gains)
    return f"{mean(gains):+.1f}", f"{low:+.1f} to {high:+.1f}"
