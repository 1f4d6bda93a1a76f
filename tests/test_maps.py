"""Lettering out of drawn maps, with the real reader: straight, set wide between roads, across contours."""

import csv
import json
import tracemalloc
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from typer.testing import CliRunner

import deep_protection as dp
from deep_protection.cli.app import app
from deep_protection.fitting import Downsampling, FitTask, Masking, Recipe, fit
from deep_protection.images import as_image
from deep_protection.images.convert import to_rgb
from deep_protection.maps import (
    Legibility,
    Word,
    dark_ink,
    deep_image_residual,
    extract,
    to_csv,
    to_geojson,
    to_json,
    window,
)
from deep_protection.maps.bands import Band, letters_between
from deep_protection.maps.chains import Mark, chains, marks_of, straightened
from deep_protection.maps.legibility import separability
from deep_protection.maps.lettering import Sizes, darker, enlarged, layer, lettering, threshold
from deep_protection.maps.library import opencv
from deep_protection.maps.reader import Line, Reader
from deep_protection.maps.words import agreed, covers, together, words_in
from deep_protection.stopping import Fixed, psnr

PAPER, BLACK, BROWN = (240, 238, 220), (30, 30, 30), (190, 120, 70)
TITLE = (40, 30, 200, 70)
"""Where the word of :func:`drawn_map` stands."""
WITH_TITLE = (0, 0, 240, 110)
"""A part of the map with that word, contours and a line: a quarter of the time."""


def letter_image(letter: str, size: int) -> Image.Image:
    font = ImageFont.load_default(size)
    made = Image.new("L", (2 * size, 2 * size), 0)
    ImageDraw.Draw(made).text((size, size), letter, 255, font, anchor="mm")
    return made


def set_wide(sheet: Image.Image, text: str, start: tuple[float, float], step: tuple[float, float], size: int) -> None:
    """Letters along a straight line, each turned into its direction."""
    angle = np.degrees(np.arctan2(step[1], step[0]))
    for number, letter in enumerate(text):
        x, y = start[0] + number * step[0], start[1] + number * step[1]
        turned = letter_image(letter, size).rotate(-angle, Image.Resampling.BICUBIC)
        sheet.paste(BLACK, (round(x) - size, round(y) - size), turned)


@pytest.fixture(scope="module")
def drawn_map() -> Image.Image:
    """400×300: a word, a street name set wide between the edges of its road, brown contours, black boundaries."""
    sheet = Image.new("RGB", (400, 300), PAPER)
    pen = ImageDraw.Draw(sheet)
    for radius in range(20, 120, 12):
        pen.ellipse((300 - radius, 90 - radius, 300 + radius, 90 + radius), outline=BROWN, width=2)
    pen.line((20, 160, 380, 205), BLACK, 2)
    pen.line((20, 192, 380, 237), BLACK, 2)
    pen.line((230, 0, 210, 180), BLACK, 2)
    pen.text((46, 32), "Castle", BLACK, ImageFont.load_default(34))
    set_wide(sheet, "STREET", (60, 181), (32, 4), 20)
    return sheet


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


@pytest.fixture(scope="module")
def found(drawn_map: Image.Image) -> dp.ExtractedText:
    return dp.extract_text(drawn_map, workers=1)


def ink_of(sheet: Image.Image) -> NDArray[np.float32]:
    ink: NDArray[np.float32] = 1 - np.asarray(sheet, np.float32).max(axis=2) / 255
    return ink


def test_words_are_read_straight_and_along_a_road(found: dp.ExtractedText) -> None:
    read = {word.text.casefold(): word for word in found.words}
    assert {"castle", "street"} <= set(read)
    left, top, right, bottom = read["castle"].box
    assert left < 60
    assert right > 130
    assert 20 < top < bottom < 80
    assert abs(read["castle"].angle) < 10
    assert 0 < read["street"].angle < 15
    assert all(0 <= word.confidence <= 1 for word in found.words)


def test_the_map_without_text_lost_its_words_and_nothing_else(drawn_map: Image.Image, found: dp.ExtractedText) -> None:
    left = found.without_text
    assert (left.size, left.mode) == (drawn_map.size, "RGB")
    before, after = ink_of(drawn_map.crop(TITLE)), ink_of(left.crop(TITLE))
    assert (after > 0.5).sum() < 0.05 * (before > 0.5).sum()
    places = np.zeros((300, 400), bool)
    for word in found.words:
        x0, y0, x1, y1 = word.box
        places[max(0, int(y0) - 5) : int(y1) + 6, max(0, int(x0) - 5) : int(x1) + 6] = True
    assert (np.asarray(left)[~places] == np.asarray(drawn_map)[~places]).all()


def test_the_text_layer_holds_letters_and_no_contours_or_roads(drawn_map: Image.Image, found: dp.ExtractedText) -> None:
    assert (found.text_layer.size, found.text_layer.mode) == (drawn_map.size, "RGBA")
    opacity = np.asarray(found.text_layer)[..., 3] / 255
    sheet = np.asarray(drawn_map).astype(int)
    brown = (sheet == BROWN).all(axis=2)
    black = (sheet == BLACK).all(axis=2)
    title = np.zeros_like(black)
    title[TITLE[1] : TITLE[3], TITLE[0] : TITLE[2]] = True
    road = black.copy()
    road[:, 40:360] = False
    assert opacity[black & title].mean() > 0.6
    assert opacity[brown].mean() < 0.05
    assert opacity[road].mean() < 0.2


def test_the_overlay_frames_words(drawn_map: Image.Image, found: dp.ExtractedText) -> None:
    changed = (np.asarray(found.overlay) != np.asarray(drawn_map)).any(axis=2)
    assert changed.any()
    assert changed.mean() < 0.2


@pytest.mark.campaign
def test_a_sheet_in_windows_gives_the_words_of_the_whole(
    drawn_map: Image.Image, found: dp.ExtractedText, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "WINDOW", 300)
    monkeypatch.setattr(extract, "OVERLAP", 200)
    monkeypatch.setattr(window, "TURNED", (0.0, 1.0))
    words = dp.extract_text(drawn_map, workers=1).words
    wanted = next(word for word in found.words if word.text == "Castle")
    (castle,) = [word for word in words if word.text == "Castle"]
    assert covers(castle, wanted, 0.8)


def test_lines_are_cut_out_and_letters_between_them_stay(drawn_map: Image.Image) -> None:
    ink = ink_of(drawn_map)
    letters = lettering(ink)
    assert letters.shape == (600, 800)
    shown = layer(ink, letters)
    assert shown.shape == ink.shape
    assert shown[:, :20].max() == 0
    assert shown[170:200, 50:70].max() > 0.5
    assert not lettering(np.zeros((40, 50), np.float32)).any()
    assert layer(np.zeros((40, 50), np.float32), np.zeros((80, 100), bool)).max() == 0


def test_chains_go_along_letters_set_wide_and_are_read(reader: Reader) -> None:
    sheet = Image.new("RGB", (300, 200), PAPER)
    set_wide(sheet, "CHURCH", (60, 150), (30, -18), 22)
    ink = ink_of(sheet)
    marks = marks_of(lettering(ink))
    (chain,) = chains(marks)
    assert len(chain) == 6
    texts = []
    for numbers in (chain, chain[::-1]):
        strip = straightened([marks[number] for number in numbers], enlarged(ink))
        assert strip.image.shape[0] == 48
        texts.append(reader.recognise(strip.image)[0])
    assert "CHURCH" in texts
    assert strip.corners.shape == (4, 2)


@pytest.mark.parametrize("is_tall", [False, True])
def test_a_narrow_strip_is_read_and_takes_no_more_than_a_sheet(
    reader: Reader, is_tall: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine enlarges the shorter side to hundreds of pixels: a strip of 10×960 took gigabytes."""
    strip = Image.new("RGB", (240, 22), PAPER)
    ImageDraw.Draw(strip).text((80, 11), "Castle", BLACK, ImageFont.load_default(18), anchor="lm")
    shown = strip.transpose(Image.Transpose.ROTATE_270) if is_tall else strip
    asked: list[tuple[int, ...]] = []
    engine = reader._engine

    def watched(image: NDArray[np.uint8], **options: bool) -> object:
        if options["use_det"]:
            asked.append(image.shape)
        return engine(image, **options)

    monkeypatch.setattr(reader, "_engine", watched)
    (line,) = reader.read(np.asarray(shown))
    assert line.text == "Castle"
    along, across = line.corners.T[::-1] if is_tall else line.corners.T
    assert 70 < along.min() < 90
    assert 120 < along.max() < 160
    assert -4 <= across.min() < across.max() <= 26
    reader.read(np.asarray(shown.resize((1, 480) if is_tall else (480, 1))))
    assert all(max(height, width) <= 4 * min(height, width) for height, width, _ in asked)


def street(bend: float, *, has_sides: bool) -> Image.Image:
    """CHURCH set wide along a falling, bent line, and the sides of its street, which cut into heads and feet."""
    sheet = Image.new("RGB", (380, 260), PAPER)
    places = [(50 + 50 * number, 60 + 20 * number + bend * (number - 2.5) ** 2) for number in range(6)]
    for number, (letter, (x, y)) in enumerate(zip("CHURCH", places, strict=True)):
        angle = np.degrees(np.arctan2(20 + 2 * bend * (number - 2.5), 50))
        turned = letter_image(letter, 34).rotate(-angle, Image.Resampling.BICUBIC)
        sheet.paste(BLACK, (round(x) - 34, round(y) - 34), turned)
    if has_sides:
        ends = [(0, 0), *places, (380, 0)]
        ends[0] = (places[0][0] - 40, places[0][1] + 40 * (places[0][1] - places[1][1]) / 50)
        ends[-1] = (places[-1][0] + 40, places[-1][1] + 40 * (places[-1][1] - places[-2][1]) / 50)
        for side in (-12, 12):
            ImageDraw.Draw(sheet).line([(x - 0.35 * side, y + side) for x, y in ends], BLACK, 3)
    return sheet


@pytest.mark.parametrize("bend", [0.0, 2.0])
@pytest.mark.parametrize("aside", [0, 4])
def test_a_band_reads_letters_that_touch_the_sides_of_their_street(reader: Reader, bend: float, aside: int) -> None:
    """And on over the end of the chain that told of it, which may lie a little to one side."""
    letters = sorted(marks_of(darker(enlarged(ink_of(street(bend, has_sides=False))))), key=lambda mark: mark.centre[0])
    assert len(letters) == 6
    ink = enlarged(ink_of(street(bend, has_sides=True)))
    assert len(marks_of(darker(ink))) < 6, "they hang together by the lines"
    chain = [replace(mark, centre=mark.centre + np.array([0, aside]), rows=mark.rows + aside) for mark in letters[:-1]]
    shown = letters_between(Band.through(chain, 1), ink, threshold(ink))
    assert shown is not None
    image, corners = shown
    assert reader.recognise(image)[0] == "CHURCH"
    assert (image[..., 0] < 128).mean(axis=1).max() < 0.6, "the sides of the street are gone"
    frame = np.array(corners, np.float32)
    assert all(opencv().pointPolygonTest(frame, (mark.centre / 2).tolist(), measureDist=False) > 0 for mark in letters)


def test_a_band_of_the_faintest_print_is_still_an_image() -> None:
    letters = marks_of(darker(enlarged(ink_of(street(0.0, has_sides=False)))))
    faint = 0.02 * enlarged(ink_of(street(0.0, has_sides=True)))
    shown = letters_between(Band.through(letters, 0), faint, threshold(faint))
    assert shown is not None
    assert shown[0].shape[0] == 48


def stippled(across: int, down: int, apart: float = 24.0) -> list[Mark]:
    """Marks of like size, nearly in rows and columns."""
    random = np.random.default_rng(0)
    none, sizes = np.zeros(0, np.int64), random.uniform(9, 14, across * down)
    places = [np.array([apart * x, apart * y]) + random.normal(0, 2, 2) for y in range(down) for x in range(across)]
    return [Mark(none, none, place, float(size)) for place, size in zip(places, sizes, strict=True)]


def test_a_stippled_sheet_takes_no_more_memory_than_it_has_marks() -> None:
    marks = stippled(60, 50)
    tracemalloc.start()
    found = chains(marks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found
    assert peak < 150e6  # one table of all pairs has 72 MB, and there were five


def test_no_chain_is_another_over_again() -> None:
    found = [set(chain) for chain in chains(stippled(12, 6))]
    assert len(found) > 5
    for number, one in enumerate(found):
        assert not any(len(one & other) > 0.6 * len(one) for other in found[:number])


def test_a_dashed_line_is_not_read(reader: Reader) -> None:
    """Its strip is longer than any word's, and the engine fails on such."""
    assert reader.recognise(np.full((48, 7570, 3), 255, np.uint8)) == ("", 0.0)


def test_a_band_without_gaps_is_no_word() -> None:
    letters = marks_of(darker(enlarged(ink_of(street(0.0, has_sides=False)))))
    assert letters_between(Band.through(letters, 0), np.ones((520, 760), np.float32), 0.5) is None


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_sheet_that_lies_on_its_side_or_head_is_read(reader: Reader, turn: int) -> None:
    sheet = Image.new("RGB", (320, 120), "white")
    ImageDraw.Draw(sheet).text((20, 40), "MILL POND", fill="black", font=ImageFont.load_default(size=28))
    lying = np.asarray(sheet.rotate(turn, expand=True))
    mill, pond = sorted(
        (word for line in reader.read(lying) for word in words_in(line, "sheet")), key=lambda word: word.text
    )
    assert (mill.text, pond.text) == ("MILL", "POND")
    for word in (mill, pond):
        assert abs((word.angle + turn + 180) % 360 - 180) < 5  # turned the other way, as pixels count
    ahead = np.array(pond.box[:2]) - np.array(mill.box[:2])
    assert np.argmax(np.abs(ahead)) == (turn // 90) % 2
    assert (ahead[np.argmax(np.abs(ahead))] > 0) == (turn in (0, 270))


def test_a_map_on_transparent_ground_is_read_as_on_paper(reader: Reader) -> None:
    sheet = Image.new("RGBA", (320, 120))  # the ground is black where nobody sees it
    ImageDraw.Draw(sheet).text((20, 40), "MILL POND", fill="black", font=ImageFont.load_default(size=28))
    seen = to_rgb(as_image(sheet).on_paper)
    assert [line.text for line in reader.read(seen)] == ["MILL POND"]


def test_a_turned_and_stretched_reading_comes_back_to_its_place(reader: Reader) -> None:
    sheet = Image.new("RGB", (300, 300), PAPER)
    word = Image.new("L", (300, 300), 0)
    ImageDraw.Draw(word).text((150, 150), "Anchorage", 255, ImageFont.load_default(34), anchor="mm")
    sheet.paste(BLACK, (0, 0), word.rotate(25, Image.Resampling.BICUBIC))
    lines = reader.read(np.asarray(sheet), turned=25, stretched=1.4)
    (line,) = [line for line in lines if line.text == "Anchorage"]
    assert np.allclose(line.corners.mean(axis=0), 150, atol=12)
    (found,) = words_in(line, "sheet")
    assert abs(found.angle + 25) < 5


def word(text: str, left: float = 0.0, confidence: float = 0.95, source: str = "layer") -> Word:
    corners = ((left, 0.0), (left + 50, 0.0), (left + 50, 10.0), (left, 10.0))
    return Word(text, corners, confidence, source)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([[[word("HEAD")], [word("HEA")]], [[word("HEAD")]]], ["HEAD"]),
        ([[[word("HEA")], [word("HEA")]], [[word("HEAD")]]], ["HEAD"]),
        ([[[word("tree")], [word("tree")], [word("tree")]], [[]]], []),  # one layer alone
        ([[[word("HEAD")]], [[word("POST")]], [[word("2")]]], []),
        ([[[word("FISH")], [word("KFISHST", confidence=0.7)]], [[word("AFISH", confidence=0.7)]]], ["FISH"]),
        ([[[word("XIII"), word("Schifffahrt", 100)]] * 2, [[word("XIII"), word("Schifffahrt", 100)]]], ["Schifffahrt"]),
        ([[[word("Leeee")], [word("eeee")]], [[word("Leeee")]]], []),  # trees, in any number of readings
        ([[[word("HEAD", confidence=0.5)], [word("HEA", confidence=0.5)]], [[word("HEAD", confidence=0.5)]]], []),
        ([[[word("HEAD")], [word("HEAD")]], [[word("HEAD", left=400)]]], []),
        ([], []),
    ],
)
def test_words_count_when_readings_agree(layers: list[list[list[Word]]], expected: list[str]) -> None:
    assert [each.text for each in agreed(layers)] == expected


def test_the_layer_adds_only_where_the_sheet_said_nothing() -> None:
    sheet = [word("Inn", source="sheet")]
    assert together(sheet, [word("Jnn"), word("Mill", left=200)]) == [*sheet, word("Mill", left=200)]


def test_single_characters_give_way_to_a_word_of_the_layer() -> None:
    sheet = [word("S", source="sheet"), word("Mill", left=100, source="sheet"), word("4", left=200, source="sheet")]
    assert together(sheet, [word("STREET"), word("Nill", left=100)]) == [sheet[1], sheet[2], word("STREET")]


def test_words_share_a_line_by_their_letters() -> None:
    line = Line("Corn Mill", np.array([[0.0, 0], [90, 0], [90, 10], [0, 10]]), 0.9)
    first, second = words_in(line, "sheet")
    assert (first.text, second.text) == ("Corn", "Mill")
    assert first.box == (0, 0, 40, 10)
    assert second.box == (50, 0, 90, 10)


def test_words_go_out_as_json_csv_and_geojson() -> None:
    words = [word('"B.M." 38·2', confidence=0.5), word("Köln", left=7)]
    told = json.loads(to_json(words, "sheet.png", (100, 50)))
    assert (told["image"], told["width"], told["height"]) == ("sheet.png", 100, 50)
    assert [each["text"] for each in told["words"]] == [each.text for each in words]
    rows = list(csv.DictReader(StringIO(to_csv(words))))
    assert [row["text"] for row in rows] == [each.text for each in words]
    assert float(rows[1]["left"]) == 7
    outline = json.loads(to_geojson(words))["features"][1]["geometry"]["coordinates"][0]
    assert outline[0] == outline[-1]
    assert len(outline) == 5


def test_legibility_ends_early_and_takes_what_stands_out(drawn_map: Image.Image) -> None:
    pixels = as_image(drawn_map).pixels
    recipe = Recipe(generator="fast", checkpoint_every=5)
    trajectory = fit(FitTask(target=pixels, recipe=recipe, rule=Legibility(limit=60), seed=1, keep_outputs=True))
    shown = [separability(dark_ink(pixels - trajectory.outputs[index])) for index in range(len(trajectory))]
    assert trajectory.chosen == int(np.argmax(shown))
    assert trajectory.iterations_run < 60
    assert separability(torch.full((4, 4), 0.3)) == 0
    assert separability(torch.tensor([0.0, 0, 1, 1])) == pytest.approx(1)


def test_the_residual_and_the_drawing_are_the_sheet(drawn_map: Image.Image) -> None:
    pixels = as_image(drawn_map).pixels
    residual = deep_image_residual(pixels, stop="fixed:5", workers=1)
    drawn = pixels - residual
    assert residual.shape == pixels.shape
    assert drawn.min() >= -1e-6
    assert drawn.max() <= 1 + 1e-6
    assert dark_ink(residual)[30:70, 40:170].max() > 0.3


def test_brown_is_no_ink_and_black_is() -> None:
    residual = torch.tensor([[-0.2, -0.8], [-0.5, -0.8], [-0.7, -0.8]]).reshape(3, 1, 2)
    assert dark_ink(residual)[0].tolist() == pytest.approx([0.2, 0.8])


def test_holes_are_drawn_from_around_them(photograph: Image.Image) -> None:
    pixels = as_image(photograph.resize((96, 96))).pixels
    known = torch.ones(96, 96, dtype=torch.bool)
    known[40:48, 20:70] = False
    holes = Masking(known)
    guess = holes.initial_estimate(pixels * known)
    assert torch.allclose(guess * known, pixels * known)
    assert (guess[:, ~known] > 0).all()
    recipe = Recipe(generator="fast", ema_decay=0.9)
    task = FitTask(target=pixels * known, recipe=recipe, rule=Fixed(50), seed=0, operator=holes)
    trajectory = fit(task)
    restored = torch.where(known, pixels, trajectory.restored)
    grey = torch.where(known, pixels, torch.full_like(pixels, 0.5))
    assert psnr(restored, pixels) > psnr(grey, pixels) + 1
    assert trajectory[-1].psnr == pytest.approx(psnr(trajectory.restored * known, pixels * known), abs=1e-3)
    assert Masking(torch.zeros(5, 7)).initial_estimate(torch.zeros(3, 5, 7)).shape == (3, 5, 7)


def test_an_image_is_drawn_larger_than_it_was_seen(photograph: Image.Image) -> None:
    pixels = as_image(photograph.resize((64, 48))).pixels
    shrunk = Downsampling(2)
    recipe = Recipe(generator="fast")
    trajectory = fit(FitTask(target=shrunk(pixels[None])[0], recipe=recipe, rule=Fixed(30), seed=0, operator=shrunk))
    assert trajectory.restored.shape == pixels.shape
    assert trajectory.target.shape == (3, 24, 32)


def test_detail_and_an_operator_exclude_each_other() -> None:
    recipe = dp.PRESETS["fast"].recipe
    with pytest.raises(dp.OptionError, match="operator"):
        FitTask(target=torch.zeros(3, 8, 8), recipe=recipe, rule=Fixed(1), seed=0, operator=Downsampling(2))


def test_sizes_decide_what_is_a_letter(drawn_map: Image.Image) -> None:
    ink = ink_of(drawn_map)
    ring = Image.new("RGB", (120, 120), PAPER)
    ImageDraw.Draw(ring).regular_polygon((60, 60, 45), 8, outline=BLACK, width=2)  # sides of 34 px
    assert not lettering(ink_of(ring), Sizes(line=25)).any()
    assert lettering(ink_of(ring), Sizes(line=45, largest=85)).any()
    assert lettering(ink, Sizes(smallest=50)).sum() < lettering(ink).sum()


def test_the_command_writes_everything_and_goes_on_where_it_was(
    drawn_map: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "TURNED", (0.0, 1.0))
    sheet, broken, out = tmp_path / "sheet.png", tmp_path / "broken.png", tmp_path / "out"
    drawn_map.crop(WITH_TITLE).save(sheet)
    broken.write_bytes(sheet.read_bytes()[:300])
    first = CliRunner().invoke(app, ["extract-text", str(sheet), str(broken), "-o", str(out), "--json"])
    assert first.exit_code == 0 or first.return_value == 1
    told = json.loads(first.stdout)["results"]
    assert [each["status"] for each in told] == ["done", "failed"]
    assert "Castle" in [each["text"] for each in told[0]["words"]]
    names = {"text.png", "words.json", "words.csv", "words.geojson", "overlay.png", "without-text.png"}
    assert {path.name for path in out.iterdir()} == {f"sheet.png.{name}" for name in names}
    again = CliRunner().invoke(app, ["extract-text", str(sheet), "-o", str(out), "--json"])
    assert [each["status"] for each in json.loads(again.stdout)["results"]] == ["skipped"]


def test_the_command_works_without_reading(drawn_map: Image.Image, tmp_path: Path) -> None:
    part = drawn_map.crop(WITH_TITLE)
    part.save(tmp_path / "sheet.png")
    CliRunner().invoke(app, ["extract-text", str(tmp_path / "sheet.png"), "-o", str(tmp_path / "out"), "--no-ocr"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"sheet.png.text.png", "sheet.png.without-text.png"}
    with Image.open(tmp_path / "out" / "sheet.png.without-text.png") as left:
        assert (ink_of(left.crop(TITLE)) > 0.5).sum() < 0.2 * (ink_of(part.crop(TITLE)) > 0.5).sum()


def test_the_command_refuses_standard_input(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["extract-text", "-", "-o", str(tmp_path / "out")])
    assert isinstance(refused.exception, dp.OptionError)
    assert not (tmp_path / "out").exists()


def test_reading_can_be_cancelled(drawn_map: Image.Image) -> None:
    with pytest.raises(dp.CancelledError):
        dp.extract_text(drawn_map, is_cancelled=lambda: True, workers=1)


def test_what_reading_an_image_found_is_told() -> None:
    first, second = (Image.new("RGB", (40, 30), shade) for shade in ("white", "grey"))
    first.save(buffer := BytesIO(), "GIF", save_all=True, append_images=[second])
    (note,) = dp.extract_text(buffer.getvalue(), ocr=False, stop="fixed:1", workers=1).notes
    assert "2 frames; only the first is used" in note
