"""ROC curves, attack by attack: the detector beside others."""

from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.studies.detection import tables
from deep_protection.evaluation.report.rows import CLEAN, attack_title

STYLES = {
    "fit": ("ours", "#c62828", "-"),
    "quick": ("ours, no fit", "#ef6c00", "-"),
    "feature_squeezing": ("feature squeezing", "#1565c0", "--"),
    "jpeg_shift": ("JPEG 50, L1 shift", "#2e7d32", "--"),
    "second_opinion": ("second classifier, L1", "#6a1b9a", ":"),
}


def plot(out: Path = Path("docs/results/detection/roc.png")) -> None:
    """Draw ``roc.png`` from the committed rows."""
    figure = Figure(figsize=(13, 8.4), dpi=110, layout="constrained")
    figure.suptitle("Attacked images caught against clean ones flagged; dotted: 5 % false positives", fontsize=12)
    *panels, corner = figure.subplots(2, 5, sharex=True, sharey=True).flatten()
    for panel, attack in zip(panels, tables.attacks(), strict=False):
        panel.set_title(attack_title(attack), fontsize=9)
        panel.grid(alpha=0.25)
        panel.axvline(tables.RATE, color="#999999", linestyle=":", linewidth=1)
        for method, (label, colour, style) in STYLES.items():
            clean, own = tables.scores(method, CLEAN), tables.scores(method, attack)
            cuts = sorted({*clean, *own}, reverse=True)
            flagged = [0.0, *(sum(score >= cut for score in clean) / len(clean) for cut in cuts)]
            caught = [0.0, *(sum(score >= cut for score in own) / len(own) for cut in cuts)]
            panel.plot(flagged, caught, style, color=colour, label=label, linewidth=1.4)
        panel.set_xlabel("clean flagged", fontsize=8)
        panel.set_ylabel("attacked caught", fontsize=8)
    for empty in (*panels[len(tables.attacks()) :], corner):
        empty.axis("off")
    lines = panels[0].get_lines()[1:]
    corner.legend(lines, [line.get_label() for line in lines], loc="center", fontsize=10)
    figure.savefig(out)
