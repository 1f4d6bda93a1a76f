"""What a map's words are filtered, framed and painted over by, with the real reader on drawn sheets."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.studies.maps.synthetic import SIDE, draw
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from typer.testing import CliRunner

import deep_protection as dp
from deep_protection.cli.app import app
from deep_protection.errors import CancelledError
from deep_protection.images import as_image
from deep_protection.maps.outlines import outlined
from deep_protection.maps.painting import flat_ground, ink_of_words, painted_over
from deep_protection.maps.reader import Line, Reader
from deep_protection.maps.scripts import SCRIPTS, belongs, check_script, sifted
from deep_protection.maps.upright import as_it_lay, quarters_turned
from deep_protection.maps.words import Word, covers, is_borne_out, merged, together

PAPER, BLACK, BROWN = (240, 238, 220), (30, 30, 30), (190, 120, 70)


def placed(text: str, box: tuple[float, float, float, float], confidence: float = 0.95) -> Word:
    left, top, right, bottom = box
    return Word(text, ((left, top), (right, top), (right, bottom), (left, bottom)), confidence, "sheet")


def written(text: str, size: tuple[int, int], place: tuple[int, int], ink: object, ground: object) -> Image.Image:
    sheet = Image.new("RGB", size, ground)  # type: ignore[arg-type]
    ImageDraw.Draw(sheet).text(place, text, ink, ImageFont.load_default(30))  # type: ignore[arg-type]
    return sheet


@pytest.fixture(scope="module")
def plain() -> Image.Image:
    """320×200: two words on paper, one over the other."""
    sheet = written("Mill Pond", (320, 200), (60, 50), BLACK, PAPER)
    ImageDraw.Draw(sheet).text((90, 130), "Quarry", BLACK, ImageFont.load_default(30))
    return sheet


@pytest.mark.parametrize(
    ("text", "script", "expected"),
    [
        ("Köln", "latin", True),
        ("38·2", "latin", True),
        ("昌", "latin", False),
        ("昌", "chinese", True),
        ("ヨ", "chinese", False),
        ("ヨ", "japanese", True),
        ("Mill", "japanese", True),
        ("Ωμέγα", "latin", False),
        ("Ωμέγα", "greek", True),
        ("B昌", "latin", False),
        ("昌", "any", True),
        ("Ａ", "latin", True),  # a broad A
    ],
)
def test_a_word_is_of_a_script_by_its_letters(text: str, script: str, expected: bool) -> None:
    assert belongs(text, check_script(script)) is expected


def test_words_that_are_left_out_are_told() -> None:
    words = [
        placed("Mill", (0, 0, 9, 9)),
        placed("昌", (0, 0, 9, 9)),
        placed("4", (0, 0, 9, 9)),
        placed("F", (0, 0, 9, 9)),
    ]
    kept, (note,) = sifted([*words, placed("△", (0, 0, 9, 9)), placed("R", (0, 0, 9, 9), 0.6)], [], "latin")
    assert [word.text for word in kept] == ["Mill", "F"]
    assert "1 with letters of other scripts" in note
    assert "3 of a single sign" in note
    assert sifted(words, [], "any") == (words, ())
    assert sifted(words[:1], [], "latin") == (words[:1], ())
    trees = [placed("Q", (9 * number, 0, 9 * number + 9, 9)) for number in range(6)]
    assert sifted(trees, [], "latin")[0] == []


def test_an_unknown_script_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(dp.OptionError, match="latin, greek"):
        dp.extract_text(Image.new("RGB", (20, 20)), script="klingon")  # type: ignore[arg-type]
    made = CliRunner().invoke(app, ["extract-text", str(tmp_path), "-o", str(tmp_path / "out"), "--script", "klingon"])
    assert isinstance(made.exception, dp.OptionError)
    assert not (tmp_path / "out").exists()
    assert {"latin", "any"} <= set(SCRIPTS)


def test_words_in_another_script_are_read_if_asked_for(plain: Image.Image) -> None:
    found = dp.extract_text(plain, script="any", stop="fixed:1", workers=1)
    assert {"Mill", "Pond", "Quarry"} <= {word.text for word in found.words}
    assert not found.notes


def test_an_unsure_word_needs_a_witness() -> None:
    unsure, sure = placed("Qany", (0, 0, 50, 10), 0.6), placed("Mill", (100, 0, 150, 10), 0.8)
    assert is_borne_out(sure, [])
    assert not is_borne_out(unsure, [[[placed("Mill", (0, 0, 50, 10)), placed("Qany", (300, 0, 350, 10))]]])
    assert is_borne_out(unsure, [[[placed("Qany", (0, 0, 50, 10))]]])
    kept, (note,) = sifted([sure], [unsure], "latin")
    assert kept == [sure]
    assert "1 that were read once" in note
    assert sifted([sure], [unsure], "any") == ([sure, unsure], ())


def test_a_word_cut_short_gives_way_to_the_whole() -> None:
    part, whole = placed("ANE", (10, 0, 50, 10), 0.99), placed("LANE", (0, 0, 50, 10), 0.95)
    assert together([part], [whole]) == [whole]
    assert together([part], [placed("ANXEL", (0, 0, 50, 10), 0.95)]) == [part]
    meth, chap = placed("Meth.", (0, 0, 50, 10)), placed("Chap.", (60, 0, 110, 10))
    assert together([meth, chap], [placed("MethChap", (0, 0, 110, 10), 0.99)]) == [meth, chap], "two are not one"
    assert merged([part], [whole]) == [whole]
    assert merged([whole], [part]) == [whole]


def test_words_that_cross_do_not_cover_each_other() -> None:
    """Their upright boxes do."""
    rising = Word("Mill", ((0, 90), (90, 0), (95, 5), (5, 95)), 0.9, "layer")
    assert not covers(rising, placed("Pond", (60, 60, 90, 90)), 0.3)
    assert covers(rising, rising, 0.9)


def test_words_are_framed_by_their_ink() -> None:
    sheet = written("Mill Pond", (320, 120), (60, 40), BLACK, PAPER)
    ink = np.asarray(sheet.convert("L")) < 128
    columns = np.flatnonzero(ink.any(axis=0))
    gap = int(np.argmax(np.diff(columns)))
    line = Line("Mill Pond", np.array([[40.0, 25], [230, 25], [230, 90], [40, 90]]), 0.9)
    mill, pond = outlined(line, ink, "sheet")
    assert (mill.text, pond.text) == ("Mill", "Pond")
    assert mill.box[0] == pytest.approx(columns[0], abs=2)
    assert mill.box[2] == pytest.approx(columns[gap] + 1, abs=2)
    assert pond.box[0] == pytest.approx(columns[gap + 1], abs=2)
    assert pond.box[2] == pytest.approx(columns[-1] + 1, abs=2)
    rows = np.flatnonzero(ink.any(axis=1))
    assert mill.box[1] == pytest.approx(rows[0], abs=2)
    bare = outlined(line, np.zeros_like(ink), "sheet")
    assert [word.box[1::2] for word in bare] == [(25, 90), (25, 90)]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turned_sheet_gives_the_words_of_the_upright_one(plain: Image.Image, quarters: int) -> None:
    turned = np.rot90(np.asarray(plain), -quarters)
    found = dp.extract_text(np.ascontiguousarray(turned), stop="fixed:1", workers=1)
    assert sorted(word.text for word in found.words) == ["Mill", "Pond", "Quarry"]
    assert found.text_layer.size == (turned.shape[1], turned.shape[0])
    seen = np.asarray(found.text_layer)[..., 3] > 128
    for word in found.words:
        left, top, right, bottom = (round(value) for value in word.box)
        assert seen[top:bottom, left:right].mean() > 0.1
        assert abs((word.angle - 90 * quarters + 180) % 360 - 180) < 10
    assert (np.asarray(found.without_text) > 150).all(), "the words are gone where they stood"


def test_which_way_a_sheet_lies_is_seen_from_most_of_its_letters() -> None:
    level = Line("Goldhanger", np.array([[0.0, 0], [90, 0], [90, 10], [0, 10]]), 0.9)
    hanging = Line("Street", np.array([[10.0, 0], [10, 60], [0, 60], [0, 0]]), 0.9)
    assert quarters_turned([]) == 0
    assert quarters_turned([level, hanging]) == 0
    assert quarters_turned([hanging, hanging]) == 1
    assert quarters_turned([hanging]) == 0, "too few letters"
    word = placed("Mill", (10, 20, 40, 30))
    for quarters in range(4):
        size = (100, 200)
        turned = np.rot90(np.arange(100 * 200).reshape(size), quarters)
        (x, y), *_ = as_it_lay(word, quarters, size).corners
        assert (
            turned[20, 10]
            == np.arange(100 * 200).reshape(size)[min(99, int(y - 0.5 * (quarters in (2, 3)))), :][
                min(199, int(x - 0.5 * (quarters in (1, 2))))
            ]
        )


def test_lettering_on_transparent_ground_is_read() -> None:
    for ink in ((0, 0, 0, 255), (255, 255, 255, 255)):
        sheet = Image.new("RGBA", (320, 120))
        ImageDraw.Draw(sheet).text((60, 40), "Mill Pond", ink, ImageFont.load_default(30))
        found = dp.extract_text(sheet, stop="fixed:1", workers=1)
        assert sorted(word.text for word in found.words) == ["Mill", "Pond"]
        assert found.without_text.mode == "RGBA"


@pytest.mark.parametrize(("ink", "ground"), [(BLACK, PAPER), ("white", (12, 14, 20)), ("white", (40, 70, 120))])
def test_flat_ground_is_painted_in_its_own_colour(ink: object, ground: object) -> None:
    """And nothing of the word is left, dark on light or light on dark."""
    sheet = written("Quarry", (240, 120), (60, 40), ink, ground)
    clean = np.asarray(Image.new("RGB", (240, 120), ground)).astype(int)  # type: ignore[arg-type]
    found = dp.extract_text(sheet, stop="fixed:1", workers=1)
    assert [word.text for word in found.words] == ["Quarry"]
    assert np.abs(np.asarray(found.without_text).astype(int) - clean).max() <= 2


def test_a_line_through_a_word_stays() -> None:
    sheet = written("Quarry", (300, 120), (90, 40), BLACK, PAPER)
    ImageDraw.Draw(sheet).line((0, 50, 300, 70), BLACK, 2)
    hidden, through = ink_of_words(np.asarray(sheet), [placed("Quarry", (88, 38, 190, 80))])
    only = Image.new("RGB", (300, 120), PAPER)
    ImageDraw.Draw(only).line((0, 50, 300, 70), BLACK, 2)
    line = np.asarray(only)[..., 0] < 128
    letters = (np.asarray(sheet)[..., 0] < 128) & ~line
    assert hidden[letters].mean() > 0.85  # but for what touches the line
    assert hidden[line].mean() < 0.1
    assert not hidden[:, :80].any()
    assert not (hidden & through).any()
    assert through[line].mean() > 0.3
    expected = np.asarray(only).astype(int)
    with_lines, without = (painted_over(as_image(sheet), hidden, each) for each in (through, None))
    apart = [np.abs(np.asarray(each).astype(int) - expected)[hidden].mean() for each in (with_lines, without)]
    assert apart[0] < 0.5 * apart[1], "the line's black does not run into what is filled"


def test_contours_under_a_word_are_not_taken_for_it() -> None:
    sheet = Image.new("RGB", (300, 120), PAPER)
    pen = ImageDraw.Draw(sheet)
    for x in range(0, 300, 12):
        pen.line((x, 0, x + 20, 120), BROWN, 2)
    pen.text((90, 40), "Quarry", BLACK, ImageFont.load_default(30))
    hidden, _ = ink_of_words(np.asarray(sheet), [placed("Quarry", (85, 35, 195, 85))])
    pixels = np.asarray(sheet).astype(int)
    assert hidden[pixels.sum(axis=2) < 120].mean() > 0.95
    brown = (pixels == BROWN).all(axis=2)
    assert hidden[brown].mean() < 0.1


def test_flat_is_what_varies_no_more_than_grain() -> None:
    random = np.random.default_rng(0)
    ground = np.full((80, 160, 3), 0.8, np.float32) + random.normal(0, 0.01, (80, 160, 1)).astype(np.float32)
    ground[::4, 80:] = 0.2  # ruled
    hidden = torch.zeros(80, 160, dtype=torch.bool)
    hidden[38:42, 20:40] = hidden[38:42, 110:140] = True
    mean, is_flat = flat_ground(torch.from_numpy(ground).movedim(-1, 0), hidden)
    assert is_flat[38:42, 20:40].all()
    assert not is_flat[:, 110:].any()
    assert not is_flat[~hidden].any()
    assert float((mean[:, 38:42, 20:40] - 0.8).abs().max()) < 0.01


def test_flat_ground_is_filled_evenly_and_a_line_is_led_on() -> None:
    sheet = Image.new("RGB", (700, 96), PAPER)  # of two tiles
    pen = ImageDraw.Draw(sheet)
    pen.line((0, 20, 700, 20), BROWN, 5)
    clean = np.asarray(sheet).copy()
    hidden = np.zeros((96, 700), bool)
    hidden[60:70, 20:660] = True
    for left in (40, 340):
        hidden[12:30, left : left + 4] = True
    given = clean.copy()
    given[hidden] = 0
    made: NDArray[np.uint8] = np.asarray(painted_over(as_image(Image.fromarray(given)), hidden))
    assert (made[~hidden] == clean[~hidden]).all()
    assert (made[60:70] == clean[60:70]).all()
    assert np.abs(made[18:23].astype(int) - BROWN).mean() < 12
    assert np.abs(made[12:14].astype(int) - PAPER).mean() < 12
    with pytest.raises(CancelledError):
        painted_over(as_image(sheet), hidden, is_cancelled=lambda: True)


def test_wide_and_narrow_places_are_filled_too() -> None:
    random = np.random.default_rng(0)
    sheet = random.integers(150, 250, (40, 1300, 3), dtype=np.uint8)
    hidden = np.zeros((40, 1300), bool)
    hidden[:, 300:1000] = True  # all of a tile
    made = np.asarray(painted_over(as_image(Image.fromarray(sheet)), hidden)).astype(int)
    assert np.abs(made[hidden] - 200).max() < 50
    assert (made[:, 450:850].std(axis=(0, 1)) < 5).all()
    line = sheet[:1, :60]
    made = np.asarray(painted_over(as_image(Image.fromarray(line)), hidden[:1, 270:330])).astype(int)
    assert (made[0, 30:] > 140).all()


@pytest.mark.campaign
def test_a_coloured_sheet_gains_on_the_bare_reader(tmp_path: Path) -> None:
    draw(tmp_path, range(7, 8))
    file = tmp_path / "topographic_7.png"
    bare = {word for line in Reader().read(np.asarray(Image.open(file).convert("RGB"))) for word in line.text.split()}
    found = {word.text for word in dp.extract_text(str(file), workers=1).words}
    truth = {entry["text"] for entry in json_of(tmp_path)["topographic_7.png"] if len(entry["text"]) > 2}
    assert len(found & truth) >= len(bare & truth) + 3


def test_drawn_sheets_say_where_their_words_stand(tmp_path: Path) -> None:
    draw(tmp_path, range(1))
    for name, entries in json_of(tmp_path).items():
        with Image.open(tmp_path / name) as sheet:
            assert sheet.size == (SIDE, SIDE)
            ink = np.asarray(sheet.convert("RGB")).max(axis=2) < 175  # small letters are soft
        assert len(entries) > 8
        for entry in entries:
            left, top, right, bottom = entry["bbox"]
            assert ink[top:bottom, left:right].mean() > 0.03, entry


def json_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    made: dict[str, list[dict[str, Any]]] = json.loads((folder / "ground_truth.json").read_text())
    return made
