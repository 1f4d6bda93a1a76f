"""The figure of ``benchmarks.paper_run``, drawn from its rows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure


def plot(out: Path) -> None:
    """Write ``trajectory.png`` next to ``trajectory.jsonl``, ``run.json`` and ``pictures.npz``."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in (out / "trajectory.jsonl").read_text().splitlines()]
    run: dict[str, Any] = json.loads((out / "run.json").read_text())
    iterations = [row["iteration"] for row in rows]
    pictures = np.load(out / "pictures.npz")
    shown = [("adversarial", "adversarial"), *((key, f"iteration {key}") for key in pictures if key != "adversarial")]

    figure = Figure(figsize=(11, 8.2), dpi=110, layout="constrained")
    grid = figure.add_gridspec(3, len(shown), height_ratios=(1.05, 1, 1))
    for column, (key, title) in enumerate(shown):
        axis = figure.add_subplot(grid[0, column])
        axis.imshow(pictures[key].transpose(1, 2, 0))
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()

    quality = figure.add_subplot(grid[1, :])
    quality.plot(iterations, [row["psnr_input"] for row in rows], label="to the attacked input")
    quality.plot(iterations, [row["psnr_clean"] for row in rows], label="to the clean picture")
    quality.set_ylabel("PSNR, dB")
    quality.legend(loc="lower right")

    belief = figure.add_subplot(grid[2, :], sharex=quality)
    belief.plot(iterations, [row["probability_true"] for row in rows], color="#1a7f37", label=f"{run['label']} (true)")
    belief.plot(
        iterations,
        [row["probability_attacked"] for row in rows],
        color="#c62828",
        label=f"{run['attacked_as']} (attack)",
    )
    belief.set_ylabel("probability")
    belief.set_xlabel("iteration")
    belief.legend(loc="center right")
    for axis in (quality, belief):
        axis.grid(alpha=0.3)
    figure.suptitle(
        f"paper preset on one picture under {run['attack']}: {rows[-1]['iteration']} iterations, "
        f"{rows[-1]['seconds'] / 60:.0f} min on {run['threads']} threads",
        fontsize=11,
    )
    figure.savefig(out / "trajectory.png")
