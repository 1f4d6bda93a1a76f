"""The figures of a report."""

from io import BytesIO
from typing import Any

from deep_protection.evaluation.panel import figure_class
from deep_protection.evaluation.report.document import Figure
from deep_protection.evaluation.report.rows import CLEAN, Rows, attack_title
from deep_protection.evaluation.report.stops import best_count, courses, oracle_stops


def stop_histogram(rows: Rows, defence: str) -> Figure:
    """The oracle's stops over all attacked images, as the poster has them, and the fixed count beside them."""
    points = rows.trajectories[defence]
    hurt = [fit for (_, attack, _), fit in points.items() if attack != CLEAN] or list(points.values())
    iterations = [point["iteration"] for point in hurt[0]]
    figure = figure_class()(figsize=(9, 3.4), dpi=110, layout="constrained")
    for axis, k in zip(figure.subplots(1, 2), (5, 1), strict=True):
        stops = oracle_stops(hurt, k)
        counts = [stops.count(iteration) for iteration in iterations]
        axis.bar(
            range(len(iterations) + 1), [*counts, stops.count(None)], color=["#1565c0"] * len(counts) + ["#c62828"]
        )
        every = max(1, len(iterations) // 10)
        axis.set_xticks(
            [*range(0, len(iterations), every), len(iterations)], [*map(str, iterations[::every]), "never"], fontsize=8
        )
        best, share = best_count(courses(rows, defence), k)
        axis.axvline(iterations.index(best), color="#444", linestyle="--", linewidth=1)
        axis.set_title(f"top-{k}: best fixed count {best}, {share:.0%} right there", fontsize=10)
        axis.set_xlabel("oracle's stop, iterations", fontsize=9)
        axis.set_ylabel("attacked images", fontsize=9)
    return Figure(f"stops-{defence}.png", f"Where the oracle stops: {defence}, all attacks", _png(figure))


def accuracy_along(rows: Rows, defence: str) -> Figure:
    """Right answers against iterations, one curve an attack."""
    figure = figure_class()(figsize=(11, 3.9), dpi=110, layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    found = courses(rows, defence)
    for attack in (CLEAN, *rows.attacks):
        if attack not in found:
            continue
        for axis, values in zip(axes, (found[attack].top1, found[attack].top5), strict=True):
            style: dict[str, Any] = {"color": "black", "linestyle": "--"} if attack == CLEAN else {}
            axis.plot(found[attack].iterations, values, marker=".", label=attack_title(attack), **style)
    for axis, name in zip(axes, ("top-1", "top-5"), strict=True):
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("iterations", fontsize=9)
        axis.set_ylim(0, 1.02)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("right answers", fontsize=9)
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return Figure(f"course-{defence}.png", f"Right answers against iterations: {defence}", _png(figure))


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
