"""Sheets that nobody printed, with what stands on them: settings are chosen on these and judged on real ones.

Black ones are like large plans: streets between double lines with their names inside, hatched houses, trees, fields.
Coloured ones are like topographic sheets: brown contours in crowds, blue streams, black names set wide over them.
Only fonts that come with matplotlib are used, so they are the same on every machine.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

ROWS = Path("docs/results/maps/synthetic.jsonl")
SEEDS = range(100, 102)
"""Not those that settings were chosen on: 0 to 3."""
SIDE = 640
FINER = 2
"""Drawn so many times larger, then shrunk: lines are soft as a scan's."""
FONTS = ("STIXGeneral", "STIXGeneralItalic", "STIXGeneralBol", "cmr10", "cmss10", "DejaVuSerif", "DejaVuSans")
STREETS = ("HIGH STREET", "MILL LANE", "CHURCH ROAD", "BACK LANE", "KING STREET", "NORTH ROAD", "QUEEN STREET")
PLACES = (
    "School", "Chapel", "Smithy", "Mill", "Farm", "Cottages", "Vicarage", "Quarry", "Lodge", "Well", "Manor", "Hall",
    "Bridge", "Grange", "Ferry", "Kiln", "Pond", "Orchard", "Nursery", "Inn", "Old Barn", "Home Farm", "B.M. 38.2",
    "P.H.", "Windmill", "Gravel Pit", "Rectory", "Tannery",
)  # fmt: skip
NAMES = (
    "Summit", "Ranch", "Eagle Pass", "Bear Mt.", "Pine Ridge", "Cedar Spring", "Horse Flat", "Lone Peak", "Willow",
    "Granite", "Deer Lodge", "Stone Cabin", "B.M.", "Rock Spring", "Antelope", "Juniper",
)  # fmt: skip
CURVED = ("Cedar", "Canyon", "Valley", "Creek", "Coyote", "FORK", "EAST", "Badger", "Gulch", "Hollow", "SOUTH", "Mesa")
LOOKALIKES = (
    "Hull", "Bell", "Farr", "Lang", "Broad", "Chappel", "Stowe", "Crook", "March", "Wold", "Barns", "Dove", "Poole",
    "Towne", "Parke", "Locke", "Forde", "Milne", "Greek", "Hale", "Roads",
)  # fmt: skip
"""Each a letter off a word that maps in English call things by, and none of these."""
BLACK, GREY, BROWN, BLUE = (38, 34, 34), (96, 92, 88), (186, 130, 98), (112, 136, 170)

Curve = NDArray[np.float64]
"""``N×2``: places in pixels of the sheet, a pixel apart."""


@dataclass
class Drawing:
    """A sheet while it is drawn."""

    seed: int
    paper: tuple[int, int, int]
    truth: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.image = Image.new("RGB", (SIDE * FINER, SIDE * FINER), self.paper)
        self.pen = ImageDraw.Draw(self.image)
        self.taken = np.zeros((SIDE, SIDE), bool)

    def line(self, places: Curve, colour: tuple[int, int, int], width: float) -> None:
        points = [(x * FINER, y * FINER) for x, y in places]
        self.pen.line(points, colour, max(1, round(width * FINER)), joint="curve")

    def font(self, name: str, size: float) -> ImageFont.FreeTypeFont:
        from matplotlib import get_data_path

        return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size * FINER)

    def word(self, text: str, curve: Curve, font: ImageFont.FreeTypeFont, spacing: float) -> bool:
        """Set letter by letter along a curve, each turned into it, ``spacing`` heights of a capital from end to next.

        Nothing is drawn, and false returned, where the curve is too short or something is written already.
        """
        height = round(font.getbbox("H")[3] - font.getbbox("H")[1])
        way, set_letters = 0.0, []
        lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))]) * FINER
        for letter in text:
            wide = font.getlength(letter)
            at = int(np.searchsorted(lengths, way + wide / 2))
            if at >= len(curve) - 1:
                return False
            step = curve[min(at + 4, len(curve) - 1)] - curve[max(at - 4, 0)]
            set_letters.append((letter, curve[at] * FINER, np.degrees(np.arctan2(step[1], step[0]))))
            way += wide + spacing * height
        stencil = Image.new("L", self.image.size)
        for letter, (x, y), angle in set_letters:
            side = 4 * height
            glyph = Image.new("L", (side, side))
            ImageDraw.Draw(glyph).text((side // 2, side // 2 + height // 2), letter, 255, font, anchor="ms")
            glyph = glyph.rotate(-angle, Image.Resampling.BICUBIC)
            stencil.paste(255, (round(x) - side // 2, round(y) - side // 2), glyph)
        box = stencil.getbbox()
        if box is None:
            return False
        left, top, right, bottom = (round(value / FINER) for value in box)
        part = self.taken[max(0, top - 6) : bottom + 6, max(0, left - 6) : right + 6]
        if min(left, top) < 4 or max(right, bottom) > SIDE - 4 or part.any():
            return False
        part[:] = True
        self.image.paste(BLACK, (0, 0), stencil)
        self.truth.append({"text": text, "bbox": [left, top, right, bottom]})
        return True

    def words(self, text: str, curve: Curve, font: ImageFont.FreeTypeFont, spacing: float) -> None:
        """Several words, one after the other, on a curve."""
        height = round(font.getbbox("H")[3] - font.getbbox("H")[1])
        for each in text.split():
            if not self.word(each, curve, font, spacing):
                return
            wide = sum(font.getlength(letter) + spacing * height for letter in each) + (0.5 + spacing) * height
            gone = np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))
            curve = curve[int(np.searchsorted(gone, wide / FINER)) :]

    def finished(self) -> Image.Image:
        """Shrunk, a little out of focus, with the grain of paper and of a scan."""
        from scipy.ndimage import gaussian_filter

        values = np.asarray(self.image.resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
        values = gaussian_filter(values, (self.random.uniform(0.5, 1.0),) * 2 + (0,))
        stain = gaussian_filter(self.random.normal(0, 1, (SIDE, SIDE)), 60)
        values += (6 * stain / np.abs(stain).max())[..., None] + self.random.normal(0, 3, (SIDE, SIDE, 1))
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def curve_through(points: Curve) -> Curve:
    """A smooth curve through points, a pixel from place to place."""
    from scipy.interpolate import CubicSpline

    at = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    made: Curve = CubicSpline(at, points)(np.arange(0, at[-1]))
    return made


def beside(curve: Curve, away: float) -> Curve:
    """The curve so many pixels to the right of its direction."""
    step = np.gradient(curve, axis=0)
    step /= np.linalg.norm(step, axis=1, keepdims=True)
    return curve + away * np.column_stack([-step[:, 1], step[:, 0]])


def across(random: np.random.Generator, angle: float, bend: float) -> Curve:
    """A curve from one side of the sheet to another, by a place near its middle."""
    middle = random.uniform(0.25 * SIDE, 0.75 * SIDE, 2)
    ahead = np.array([np.cos(angle), np.sin(angle)])
    aside = np.array([-ahead[1], ahead[0]])
    return curve_through(
        np.array([middle + ahead * t * SIDE + aside * random.normal(0, bend) for t in np.linspace(-0.8, 0.8, 6)])
    )


def plan(seed: int) -> Drawing:
    """A black sheet: streets with names between their sides, houses, trees, fields and places."""
    sheet = Drawing(seed, (240, 238, 222))
    random = sheet.random
    for _ in range(7):
        sheet.line(across(random, random.uniform(0, np.pi), 30), BLACK, 1.2)
    turns = [random.uniform(-0.4, 0.4), random.uniform(-0.4, 0.4) + np.pi / 2, random.uniform(0.3, 1.2)]
    for number, turn in enumerate(turns):
        road, half = across(random, turn, 12), random.uniform(7, 9.5)
        for side in (-half, half):
            sheet.line(beside(road, side), BLACK, 1.4)
        inside = [place for place in road if place.min() > 20 and place.max() < SIDE - 20]
        start = random.integers(20, max(21, len(inside) // 3))
        way = road[int(np.argmax((road == inside[0]).all(axis=1))) :][start:]
        name = STREETS[(seed + 3 * number) % len(STREETS)]
        if abs(turn) > 1 and random.random() < 0.5:
            way = np.array(inside[::-1])[start:]  # read from below
        sheet.words(
            name,
            way,
            sheet.font(("cmss10", "DejaVuSans")[number % 2], random.uniform(13, 15)),
            random.uniform(0.7, 1.3),
        )
        for place in range(0, len(road), 34):
            x, y = beside(road, half + 9)[place] if random.random() < 0.5 else beside(road, -half - 9)[place]
            if random.random() < 0.45 and 10 < x < SIDE - 10 and 10 < y < SIDE - 10:
                house(sheet, (x, y), turn)
    for _ in range(40):
        text = PLACES[random.integers(len(PLACES))]
        if len(sheet.truth) < 22:
            free_words(sheet, text, FONTS[random.integers(len(FONTS))], random.uniform(16, 27), 0.02)
    left, top = random.uniform(0, SIDE / 2, 2)
    for x in np.arange(left, left + 260, 30):
        for y in np.arange(top, top + 260, 30):
            tree(sheet, x + random.normal(0, 3), y + random.normal(0, 3))
    return sheet


def names(seed: int) -> Drawing:
    """A black sheet of names that a vocabulary of generic words might spoil, between a few field boundaries."""
    sheet = Drawing(seed, (240, 238, 222))
    random = sheet.random
    for _ in range(7):
        sheet.line(across(random, random.uniform(0, np.pi), 30), BLACK, 1.2)
    for text in LOOKALIKES:
        free_words(sheet, text, FONTS[random.integers(len(FONTS))], random.uniform(14, 24), random.uniform(0.02, 0.2))
    return sheet


def house(sheet: Drawing, centre: tuple[float, float], turn: float) -> None:
    """A rectangle with hatching, on nobody's name."""
    wide, deep = sheet.random.uniform(8, 16), sheet.random.uniform(6, 9)
    forth, aside = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    x, y = int(centre[0]), int(centre[1])
    if sheet.taken[max(0, y - 12) : y + 12, max(0, x - 12) : x + 12].any():
        return
    corners = [
        np.array(centre) + a * wide * forth + b * deep * aside
        for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    ]
    sheet.line(np.array(corners), BLACK, 1.2)
    for at in np.arange(-wide, wide, 3.5):
        start = np.array(centre) + at * forth - deep * aside
        sheet.line(np.array([start, start + min(2 * deep, wide - at) * forth * 0.5 + 2 * deep * aside]), BLACK, 0.8)
    sheet.taken[y - 8 : y + 8, x - 8 : x + 8] = True


def tree(sheet: Drawing, x: float, y: float) -> None:
    """Three circles on a stem."""
    if (
        not (12 < x < SIDE - 12 and 12 < y < SIDE - 12)
        or sheet.taken[int(y) - 9 : int(y) + 9, int(x) - 9 : int(x) + 9].any()
    ):
        return
    for right, down in ((0, -5), (-3, -1), (3, -1)):
        box = [FINER * value for value in (x + right - 3, y + down - 3, x + right + 3, y + down + 3)]
        sheet.pen.ellipse(box, outline=BLACK, width=FINER)
    sheet.line(np.array([[x, y + 1], [x, y + 7]]), BLACK, 1)
    sheet.line(np.array([[x, y + 7], [x + 6, y + 7]]), BLACK, 1)


def free_words(sheet: Drawing, text: str, font: str, size: float, spacing: float) -> None:
    """Somewhere level where nothing is written yet."""
    for _ in range(20):
        x, y = sheet.random.uniform(10, SIDE - 90), sheet.random.uniform(20, SIDE - 20)
        before = len(sheet.truth)
        sheet.words(
            text,
            np.column_stack([np.arange(x, SIDE), np.full(len(np.arange(x, SIDE)), y)]),
            sheet.font(font, size),
            spacing,
        )
        if len(sheet.truth) > before:
            return


def topographic(seed: int) -> Drawing:
    """A coloured sheet: contours in crowds with their heights, streams, a road, a grid, and names set wide over all."""
    from scipy.ndimage import gaussian_filter
    from skimage.measure import find_contours

    sheet = Drawing(seed, (218, 202, 180))
    random = sheet.random
    land = np.zeros((SIDE, SIDE))
    for width, weight in ((70, 1.0), (25, 0.45), (10, 0.12)):
        land += weight * _unit(gaussian_filter(random.normal(0, 1, (SIDE, SIDE)), width))
    for number, level in enumerate(np.linspace(land.min(), land.max(), 42)):
        for contour in find_contours(land, level):
            sheet.line(contour[:, ::-1], BROWN, 1.8 if number % 5 == 0 else 0.9)
            if number % 5 == 0 and len(contour) > 200 and random.random() < 0.5:
                at = int(random.integers(len(contour) - 60))
                height(sheet, str(2000 + 250 * number // 5), contour[at, ::-1])
    for _ in range(2):
        sheet.line(across(random, random.uniform(0, np.pi), 40), BLUE, 1.4)
    road = across(random, random.uniform(0, np.pi), 50)
    for side in (-2, 2):
        sheet.line(beside(road, side), GREY, 1.1)
    for edge in (random.uniform(60, 280), random.uniform(320, 600)):
        sheet.line(np.array([[edge, 0], [edge + 4, SIDE]]), GREY, 1.0)
        sheet.line(np.array([[0, edge], [SIDE, edge + 3]]), GREY, 1.0)
    for number in range(6):
        text = CURVED[(seed + 5 * number) % len(CURVED)]
        font = ("STIXGeneralItalic" if text.isupper() else "cmss10", "DejaVuSans")[number % 2]
        for _ in range(10):
            way = across(random, random.choice([-1, 1]) * random.uniform(0.1, 1.1), 25)[
                int(random.integers(150, 420)) :
            ]
            if sheet.word(text, way, sheet.font(font, random.uniform(15, 24)), random.uniform(0.5, 1.1)):
                break
    for _ in range(7):
        free_words(
            sheet,
            NAMES[random.integers(len(NAMES))],
            FONTS[random.integers(len(FONTS))],
            random.uniform(16, 24),
            random.uniform(0.05, 0.2),
        )
    for letter in random.choice(list("FOREST"), 2, replace=False):
        free_words(sheet, str(letter), "STIXGeneralBol", 52, 0)
    return sheet


def height(sheet: Drawing, figures: str, place: Any) -> None:
    """A contour's height in its own colour: no word of the truth."""
    x, y = place * FINER
    sheet.pen.text((x, y), figures, BROWN, sheet.font("STIXGeneralItalic", 14), anchor="mm")


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    made: NDArray[np.float64] = values / values.std()
    return made


def run(out: Path = ROWS, seeds: range = SEEDS) -> None:
    """Sheets of ``seeds``, by the reader alone and by extract-text; rows of others than these are left alone."""
    from benchmarks.studies.maps.score import score
    from benchmarks.studies.maps.words import compare

    with TemporaryDirectory() as place:
        folder = Path(place)
        draw(folder, seeds)
        compare(folder, folder / "rows", ("sheet", "together"))
        score(folder, folder / "rows" / "words.parquet", out)


def draw(folder: Path, seeds: range) -> None:
    """A plan, a topographic sheet and one of names for each seed as PNG, with their ground_truth.json."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for seed in seeds:
        for kind, make in (("plan", plan), ("topographic", topographic), ("names", names)):
            made = make(seed)
            name = f"{kind}_{seed}.png"
            made.finished().save(folder / name)
            truth[name] = made.truth
    (folder / "ground_truth.json").write_text(json.dumps(truth))
