"""What was read on maps: the tables of docs/maps.md."""

from collections.abc import Callable
from statistics import mean

from benchmarks import ROOT
from benchmarks.rows import Row, read
from benchmarks.studies.maps import painting
from benchmarks.studies.maps.score import SCORES
from benchmarks.studies.maps.synthetic import ROWS
from deep_protection.evaluation.accuracy import wilson_interval
from deep_protection.evaluation.report.document import Table, block_markdown

TITLES = {
    "sheet": "rapidocr on the sheet",
    "black-hat": "rapidocr behind a black-hat of 15 px",
    "sauvola": "rapidocr behind Sauvola's threshold",
    "less median": "rapidocr on image − median of 21 px",
    "residual": "rapidocr on the residual's layer",
    "together": "sheet and layers (`extract-text`)",
    "as read": "the same, as read, before the vocabulary",
}


def _rows(method: str, *, tiles: bool) -> list[Row]:
    return [
        row
        for row in read(ROOT / SCORES)
        if row["method"] == method and row["truth"] and ("_x" in row["sheet"]) == tiles
    ]


def words() -> str:
    """Words of the seven tiles together, and of the whole sheet."""
    lines = []
    for method, title in TITLES.items():
        tiles, sheets = _rows(method, tiles=True), _rows(method, tiles=False)
        if not tiles:
            continue  # not measured yet
        (sheet,) = sheets
        lines.append([title, *_figures(tiles), *_figures([sheet])[:3], f"{sheet['cpu_seconds']:.0f}"])
    heading = [
        "",
        "tiles: exact",
        "within one edit",
        "read",
        "precision",
        "sheet: exact",
        "within one",
        "read",
        "CPU s",
    ]
    return block_markdown(Table(heading, lines))


def _figures(rows: list[Row]) -> list[str]:
    truth, exact, near, said = (sum(row[key] for row in rows) for key in ("truth", "exact", "within_one", "read"))
    return [
        f"{exact} of {truth}{_interval(exact, truth) if len(rows) > 1 else ''}",
        str(near),
        str(said),
        f"{100 * near / max(1, said):.0f} %",
    ]


def _interval(right: int, of: int) -> str:
    interval = wilson_interval(right, of)
    return "" if interval is None else f" ({100 * interval[0]:.0f}–{100 * interval[1]:.0f} %)"


def tiles() -> str:
    """Tile by tile: exact / within one edit / read, of all."""
    shown = ("sheet", "residual", "together")
    lines = []
    for name in sorted({row["sheet"] for row in _rows("sheet", tiles=True)}):
        found = {row["method"]: row for row in _rows_of(name)}
        cells = [f"{found[m]['exact']} / {found[m]['within_one']} / {found[m]['read']}" for m in shown]
        lines.append([name.removesuffix(".png"), str(found["sheet"]["truth"]), *cells])
    return block_markdown(Table(["tile", "words", *(TITLES[method] for method in shown)], lines))


def _rows_of(sheet: str) -> list[Row]:
    return [row for row in read(ROOT / SCORES) if row["sheet"] == sheet]


def sweep() -> str:
    """The residual's layer read straight, iteration by iteration, over the tiles."""
    swept = sorted(
        {row["method"] for row in read(ROOT / SCORES) if row["method"].startswith("residual@")},
        key=lambda name: int(name.partition("@")[2]),
    )
    lines = []
    for method in swept:
        rows = _rows(method, tiles=True)
        lines.append([method.partition("@")[2], *_figures(rows)])
    chosen = [
        int(row["method"].partition("@")[2])
        for row in read(ROOT / SCORES)
        if row["method"].startswith("chosen@") and row["truth"] and "_x" in row["sheet"]
    ]
    lines.append([f"legibility: {mean(chosen):.0f} in the mean, {min(chosen)} to {max(chosen)}", "", "", "", ""])
    return block_markdown(Table(["iterations", "exact", "within one edit", "read", "precision"], lines))


def boxes() -> str:
    """Sheets of which only the places of words are known."""
    lines = []
    for method in ("sheet", "residual", "together"):
        rows = _boxes_only(method)
        found, known = (sum(row[key] for row in rows) for key in ("boxes_found", "boxes"))
        lines.append([TITLES[method], f"{found} of {known}{_interval(found, known)}"])
    return block_markdown(Table(["", "boxes found, IoU ≥ 0.5"], lines))


def synthetic() -> str:
    """Sheets that were drawn with their words."""
    lines = []
    for kind, title in (("plan", "black plans"), ("topographic", "coloured sheets"), ("names", "names a letter off")):
        for method in ("sheet", "together", "as read"):
            rows = [row for row in read(ROOT / ROWS) if row["method"] == method and row["sheet"].startswith(kind)]
            if not rows:
                continue
            found, known, seconds = (sum(row[key] for row in rows) for key in ("boxes_found", "boxes", "cpu_seconds"))
            name = f"{title}: {TITLES[method]}"
            lines.append([name, *_figures(rows), f"{found} of {known}", f"{seconds / len(rows):.0f}"])
    heading = ["", "exact", "within one edit", "read", "precision", "boxes found", "CPU s a sheet"]
    return block_markdown(Table(heading, lines))


def times() -> str:
    """CPU seconds of the whole command beside the reader's alone."""
    lines = []
    kinds: dict[str, Callable[[str], list[Row]]] = {
        "seven tiles, black, 640×640": lambda method: _rows(method, tiles=True),
        "three tiles, coloured, 640×640": _boxes_only,
        "the whole sheet, 1512×1512": lambda method: _rows(method, tiles=False),
    }
    for title, rows_of in kinds.items():
        reader, whole = (sum(row["cpu_seconds"] for row in rows_of(method)) for method in ("sheet", "together"))
        lines.append([title, f"{reader:.1f}", f"{whole:.0f}", f"{whole / reader:.1f}"])
    return block_markdown(Table(["CPU s", "rapidocr", "`extract-text`", "times"], lines))


def _boxes_only(method: str) -> list[Row]:
    """Sheets of which only the places of words are known."""
    return [row for row in read(ROOT / SCORES) if row["method"] == method and row["boxes"] and not row["truth"]]


TABLES: dict[str, Callable[[], str]] = {
    "map_words": words,
    "map_tiles": tiles,
    "map_sweep": sweep,
    "map_boxes": boxes,
    "map_synthetic": synthetic,
    "map_times": times,
    "map_painting": painting.table,
}
