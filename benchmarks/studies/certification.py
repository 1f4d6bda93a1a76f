"""Certified accuracy of the bare classifier under noise, and behind denoisers that nobody trained.

    python -m benchmarks certify --images DIR --denoisers none,tv,dct --sigma 0.12 --samples 1000

All images in the fixed random order, those too that the classifier gets wrong untouched. A row is written as soon as
its image is done, and the same command goes on from there.
"""

import time
from collections import defaultdict
from pathlib import Path
from statistics import mean, median
from textwrap import indent

import torch

from benchmarks import RESULTS, rows
from benchmarks.rows import Row
from deep_protection.attacks import POSTER
from deep_protection.certification import Smoothing, certify_each
from deep_protection.classifiers import load_classifier
from deep_protection.evaluation import wilson_interval
from deep_protection.evaluation.experiment.images import labelled_images
from deep_protection.evaluation.experiment.store import read_rows
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.evaluation.report.rows import attack_title

ROWS = RESULTS / "certification/rows.jsonl"
WHOLE = 100
"""Images of the table."""
RADII = (0.05, 0.1, 0.25, 0.5)
TITLES = {"none": "none", "tv": "total variation", "dct": "cosines of patches (`dct`)", "fast": "`fast`, 30 iterations"}
INDENT = 12 * " "
"""Of the page's HTML where the short table stands."""
_SETTINGS = ("classifier", "denoiser", "sigma", "samples", "alpha", "selection", "views", "seed", "radius")


def run(
    images: str,
    denoisers: list[str],
    sigma: float,
    samples: int,
    alpha: float,
    limit: int,
    out: Path,
    *,
    views: bool = False,
    radius: float | None = None,
) -> None:
    """Image by image, every denoiser in turn, so that what is there at any moment is of the same images."""
    torch.set_num_threads(1)  # what is counted is work, not waiting for another thread
    model = load_classifier("lite0")
    every = {
        name: Smoothing(sigma=sigma, samples=samples, alpha=alpha, denoiser=name, views=views, radius=radius, batch=8)
        for name in denoisers
    }
    known = {_key(row) for row in rows.read(out)}
    for image in labelled_images(images, model, limit):
        for settings in every.values():
            row: Row = {"image": image.name, "classifier": model.name, **settings.about()}
            if _key(row) in known:
                continue
            begin = time.process_time()
            pixels = iter([image.pixels(model)])
            [found] = certify_each(pixels, 1, model, settings, device=torch.device("cpu"))
            row |= {
                "label": image.label,
                "prediction": found.prediction,
                "candidate": found.candidate,
                "count": found.counts.get(found.candidate, 0),
                "certified": found.radius,
                "cpu_seconds": round(time.process_time() - begin, 2),
            }
            rows.append(out, [row])


def _key(row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in ("image", *_SETTINGS))


def certified() -> str:
    """Share of all images that are right and certified, at each radius."""
    found: dict[tuple[object, ...], dict[float | None, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows.read(ROWS):
        found[tuple(row[name] for name in _SETTINGS[:-1])][row["radius"]].append(row)
    if not found:
        return "Not measured yet.\n"
    lines, counts = [], []
    for key in sorted(found, key=lambda each: (each[2], list(TITLES).index(str(each[1])), each[6])):
        asked = found[key]
        whole = asked.get(None)
        every = [own for _, own in sorted(asked.items(), key=lambda pair: pair[0] or 0)]
        first = every[0][0]
        cells = ["–" if whole is None else share([row["prediction"] == row["label"] for row in whole])]
        cells += [_certified_at(radius, asked) for radius in RADII]
        abstained = "–" if whole is None else f"{100 * mean(row['prediction'] is None for row in whole):.0f}"
        spent = " / ".join(f"{median(row['cpu_seconds'] for row in own):.0f}" for own in every)
        counts += [len(own) for own in every]
        title = TITLES[first["denoiser"]] + (", two views" if first["views"] else "")
        about = f"{first['sigma']:g}", f"{first['samples']:,}"
        lines.append([title, *about, *cells, abstained, str(min(map(len, every))), spent])
    heading = ("denoiser", "σ", "N", "right", *(f"at {radius:g}" for radius in RADII), "abstains", "n", "CPU s")
    fewest = min(counts)
    told = f"\nOf {fewest} of {WHOLE} images so far: the intervals say how little that is.\n" if fewest < WHOLE else ""
    shown = [n for n, _ in enumerate(heading) if any(line[n] != "–" for line in lines)]
    table = Table([heading[n] for n in shown], [[line[n] for n in shown] for line in lines])
    return block_markdown(table) + told


def _certified_at(radius: float, asked: dict[float | None, list[Row]]) -> str:
    """From where this radius was asked for, or all; what holds at a larger one holds here, and of smaller ones nothing
    follows.
    """
    known = asked.get(radius) or asked.get(None)
    if known:
        return share(_held(known, radius))
    larger = [mean(_held(own, radius)) for at, own in asked.items() if at is not None and at > radius]
    return f"≥ {100 * max(larger):.0f}" if larger else "–"


def _held(own: list[Row], radius: float) -> list[bool]:
    return [row["prediction"] == row["label"] and row["certified"] >= radius for row in own]


AIMS = {0.1: 72, 0.25: 52, 0.5: 20}
"""Percent of all images that was to be right and certified at a radius."""


def aims() -> str:
    """What was aimed at, and the most that was reached with any noise, behind a denoiser and bare."""
    found: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows.read(ROWS):
        found[tuple(row[name] for name in _SETTINGS)].append(row)
    lines = []
    for radius, asked in AIMS.items():
        best: dict[bool, tuple[int, float]] = {}
        for own in found.values():
            first = own[0]
            if len(own) < WHOLE or radius > (first["radius"] or radius):
                continue
            held = sum(_held(own, radius))
            is_bare = first["denoiser"] == "none"
            best[is_bare] = max(best.get(is_bare, (0, 0.0)), (held, first["sigma"]))
        cells = [f"{best[bare][0]} (σ {best[bare][1]:g})" if bare in best else "–" for bare in (False, True)]
        lines.append([f"right and certified at {radius:g}", f"≥ {asked}", *cells])
    return block_markdown(Table(["of 100 photographs", "asked", "behind `dct`, two views", "bare"], lines))


SHORT = {"the classifier alone": ("none", False), "behind <code>dct</code>, two views": ("dct", True)}
"""What the page shows."""


def certified_short() -> str:
    """Bare and behind what does best, at the radii that were asked for by themselves: HTML, for the page."""
    settings = {"samples": 1000, "alpha": 0.001, "classifier": "lite0", "seed": 0}
    known = [row for row in rows.read(ROWS) if row["radius"] and settings.items() <= row.items()]
    lines = []
    for radius, sigma in sorted({(row["radius"], row["sigma"]) for row in known}):
        asked = {"radius": radius, "sigma": sigma}
        of = [
            [r for r in known if asked.items() <= r.items() and (r["denoiser"], r["views"]) == m]
            for m in SHORT.values()
        ]
        if all(len(own) == WHOLE for own in of):
            cells = "".join(f"<td>{100 * sum(_held(own, radius)) / WHOLE:.0f}&nbsp;%</td>" for own in of)
            lines.append(f'<tr><th scope="row">{radius:g}, σ {sigma:g}</th>{cells}</tr>')
    about = (
        f"Of {WHOLE} photographs, those that are right and certified; lite0, 1,000 draws, wrong one time in a thousand "
        "at the most. The filter’s strength was chosen on these photographs. Distances are over all pixels in [0, 1]: "
        "an attack of 4/255 may go as far as 6.1."
    )
    heading = "".join(f'<th scope="col">{title}</th>' for title in SHORT)
    body = "\n    ".join(lines)
    table = f"""
<table>
  <caption>{about}</caption>
  <thead><tr><th scope="col">L2 radius, noise</th>{heading}</tr></thead>
  <tbody>
    {body}
  </tbody>
</table>
"""
    return indent(table.strip() + "\n", INDENT) + INDENT


def share(right: list[bool]) -> str:
    """In percent, with the 95 % interval."""
    low, high = wilson_interval(sum(right), len(right)) or (0.0, 1.0)
    return f"{100 * sum(right) / len(right):.0f} ({100 * low:.0f}–{100 * high:.0f})"


def attack_sizes() -> str:
    """How far attacks that fool the bare classifier go, and how many of them stay within a radius."""
    found: dict[str, list[float]] = defaultdict(list)
    for row in read_rows(RESULTS / "protection", "results"):
        if row["attack"] in POSTER and row["defence"] == "none" and row["attack_success"] and row["l2"] > 0:
            found[row["attack"]].append(row["l2"])
    lines = []
    for attack in POSTER:
        sizes = found[attack]
        within = (f"{100 * sum(size <= radius for size in sizes) / len(sizes):.0f}" for radius in RADII)
        lines.append([attack_title(attack), f"{median(sizes):.2f}", *within, str(len(sizes))])
    heading = ("attack", "median L2", *(f"within {radius:g}, %" for radius in RADII), "n")
    return block_markdown(Table(heading, lines))


TABLES = {
    "certified": certified,
    "certified_aims": aims,
    "certified_short": certified_short,
    "attack_sizes": attack_sizes,
}
