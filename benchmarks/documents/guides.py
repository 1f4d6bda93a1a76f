"""The short tables of README.md and docs/guides: four defences, what protecting costs, AutoAttack, times by size."""

from statistics import mean, median, quantiles

from benchmarks import RESULTS, ROOT
from benchmarks.documents.experiments import ANSWERED, COLUMNS, PROTECTION, experiment, measured
from benchmarks.rows import read
from benchmarks.studies.maps.score import SCORES
from benchmarks.studies.restoration.times import SIZES
from deep_protection.attacks import POSTER
from deep_protection.evaluation import BASELINES
from deep_protection.evaluation.report import Rows, recovery
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.evaluation.report.rows import CLEAN, Row, attack_title, score

PROTECTED, QUICK, NOTHING = "protected", "protected-quick", "none"
TITLES = {QUICK: "`quick=True`: no fit", PROTECTED: "**protected**"}
SHEET, TILE = "1512×1512", "640×640"
"""Pixels of the map sheet and of its tiles."""


def in_short() -> str:
    """Four rows: the protection, without a fit, the filter that is best in the mean of the attacks, and nothing."""
    rows = Rows(RESULTS / PROTECTION, attacks=measured(RESULTS / PROTECTION), defences=ANSWERED)
    whole = recovery(rows)
    places = [list(whole.heading).index(name) for name in COLUMNS]
    by_name = {group.name: line for group, line in zip(rows.groups, whole.lines, strict=True)}
    lines = []
    for name in (PROTECTED, QUICK, _best_filter(), NOTHING):
        cells = [by_name[name][place] for place in places]
        if name in BASELINES and name != NOTHING:
            cells[0] += ", the best filter"
        lines.append(cells)
    return block_markdown(Table(COLUMNS, lines))


def _best_filter() -> str:
    rows = experiment(PROTECTION)

    def right(name: str) -> float:
        return mean(score(_rows(rows, name, attack)).top1 for attack in POSTER)

    return max((name for name in BASELINES if name != NOTHING), key=right)


def _rows(rows: Rows, defence: str, attack: str) -> list[Row]:
    return [row for row in rows.results if (row["defence"], row["attack"]) == (defence, attack)]


def costs() -> str:
    """Seconds an image and for a thousand, of all images of the experiment, attacked or not."""
    everything = experiment(PROTECTION).everything
    lines = []
    for name, title in TITLES.items():
        for what, attacks in (("not attacked", (CLEAN,)), ("attacked", POSTER)):
            own = [row for row in everything if row["defence"] == name and row["attack"] in attacks]
            cpu, wall = ([row[key] for row in own] for key in ("cpu_seconds", "seconds"))
            lines.append(
                [
                    f"{title}, {what}",
                    str(len(own)),
                    f"{median(cpu):.2f} / {_p95(cpu):.2f}",
                    f"{median(wall):.2f} / {_p95(wall):.2f}",
                    f"{1000 * mean(cpu) / 60:.0f} min",
                ]
            )
    heading = ("", "answers", "CPU s: median / p95", "wall s: median / p95", "1,000 images on one core")
    return f"{block_markdown(Table(heading, lines))}\n{_on_a_gpu()}\n"


def _p95(values: list[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[94]


def _on_a_gpu() -> str:
    head, *found = read(RESULTS / "speed/gpu.jsonl")
    best = {row["what"]: row["images_a_second"] for row in found if "batch" in row}  # the largest batch comes last
    quick, protected = (1000 / best[what] for what in ("protect, quick", "protect"))
    card = head["machine"]["gpu"].removeprefix("NVIDIA ")
    return f"On an {card}, in batches of 64, 1,000 images take {protected:.0f} s, with `quick=True` {quick:.0f} s."


def autoattack() -> str:
    """The row that papers ask for, with clean images under it: every defence on the same images."""
    found = experiment(PROTECTION)
    names = (NOTHING, "jpeg25", "median3", "tv", QUICK, PROTECTED)
    images = {row["image"] for row in _rows(found, PROTECTED, "autoattack")}
    lines = []
    for attack in ("autoattack", CLEAN):
        cells = []
        for name in names:
            own = [row for row in _rows(found, name, attack) if row["image"] in images]
            low, high = score(own).interval
            cells.append(f"{100 * score(own).top1:.0f} ({100 * low:.0f}–{100 * high:.0f})")
        lines.append([attack_title(attack), *cells[:-1], f"**{cells[-1]}**", str(len(images))])
    titles = [BASELINES[name].title for name in names if name in BASELINES]
    return block_markdown(Table(["", *titles, "`quick`", "protected", "n"], lines))


def times() -> str:
    """CPU seconds by size: photographs restored, other restorations, maps read."""
    lines = [
        _time("purify", f"{row['size']}×{row['size']}", row["cpu_seconds_an_image"], row["size"] ** 2)
        for row in read(RESULTS / "speed/scale.jsonl")
        if row.get("what") == "size" and row["size"] >= 224
    ]
    restored = {(row["task"], row["size"]): row["cpu_seconds"] for row in read(RESULTS / "restoration/times.jsonl")}
    lines += [
        _time(task, f"{width}×{height}", restored[task, size], width * height)
        for task in ("denoise", "dejpeg", "inpaint", "upscale")
        for size, (width, height) in SIZES.items()
        if (task, size) in restored and size in ("512²", "12 MP")
    ]
    maps = [row for row in read(ROOT / SCORES) if row["method"] == "together"]
    tiles = [row["cpu_seconds"] for row in maps if "_x" in row["sheet"]]
    lines.append(["extract-text", TILE, f"{min(tiles):.0f}–{max(tiles):.0f}", ""])
    (sheet,) = (row["cpu_seconds"] for row in maps if "full" in row["sheet"])
    width, height = map(int, SHEET.split("×"))
    lines.append(_time("extract-text", SHEET, sheet, width * height))
    return block_markdown(Table(("command", "pixels", "CPU s", "s a megapixel, at that rate"), lines))


def _time(command: str, size: str, seconds: float, pixels: int | None = None) -> list[str]:
    rate = f"{1e6 * seconds / pixels:.0f}" if pixels else ""
    return [command, size, f"{seconds:.1f}" if seconds < 100 else f"{seconds:.0f}", rate]


TABLES = {"in_short": in_short, "costs": costs, "autoattack": autoattack, "times": times}
