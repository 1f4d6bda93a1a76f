"""Letters that words lack, words a letter off a vocabulary, and words further on in a street, with the real reader."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from typer.testing import CliRunner

import deep_protection as dp
from deep_protection.cli.app import app
from deep_protection.errors import OptionError
from deep_protection.maps.again import completed, looks
from deep_protection.maps.chains import marks_of
from deep_protection.maps.lettering import darker, enlarged, threshold
from deep_protection.maps.reader import Reader
from deep_protection.maps.streets import beyond, on
from deep_protection.maps.vocabulary import (
    Vocabulary,
    corrected,
    distance,
    find_vocabulary,
    generic,
    read_vocabulary,
    split_words,
    told_of,
)
from deep_protection.maps.words import Word, merged

PAPER, BLACK = (240, 238, 220), (30, 30, 30)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def placed(text: str, box: tuple[float, float, float, float], confidence: float = 0.95) -> Word:
    left, top, right, bottom = box
    return Word(text, ((left, top), (right, top), (right, bottom), (left, bottom)), confidence, "layer")


@pytest.fixture(scope="module")
def street() -> tuple[NDArray[np.uint8], list[tuple[float, float, float, float]]]:
    """FISH STREET set wide on 560×80 pixels, and the box of each letter."""
    sheet, font = Image.new("RGB", (560, 80), PAPER), ImageFont.load_default(30)
    pen, boxes = ImageDraw.Draw(sheet), []
    for number, letter in enumerate("FISH STREET"):
        place = (50 + 44 * number, 40)
        if letter != " ":
            pen.text(place, letter, BLACK, font, anchor="mm")
            boxes.append(pen.textbbox(place, letter, font, anchor="mm"))
    return np.asarray(sheet), boxes


def framed(text: str, boxes: list[tuple[float, float, float, float]]) -> Word:
    return placed(text, (boxes[0][0] - 1, boxes[0][1] - 1, boxes[-1][2] + 1, boxes[-1][3] + 1))


def test_a_letter_that_a_frame_cuts_off_is_found(reader: Reader) -> None:
    image = Image.new("RGB", (220, 60), PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(30)
    pen.text((40, 12), "STREET", BLACK, font)
    sheet, (left, top, right, bottom) = np.asarray(image), pen.textbbox((40, 12), "STREET", font)
    begin = left + pen.textlength("S", font)
    short, whole = placed("TREET", (begin, top, right, bottom)), placed("STREET", (left, top, right, bottom))
    made = completed(reader, sheet, short, [])
    assert made.text == "STREET"
    assert abs(made.box[0] - left) < 8
    assert made.box[2] == pytest.approx(right, abs=4)
    assert made.source == "layer"
    assert made.read_as is None
    assert completed(reader, sheet, whole, []) == whole
    assert completed(reader, sheet, short, [placed("S", (left, top, begin, bottom))]) == short


def test_a_word_goes_on_along_its_street(
    reader: Reader, street: tuple[NDArray[np.uint8], list[tuple[float, float, float, float]]]
) -> None:
    sheet, boxes = street
    ink = enlarged((1 - sheet.max(axis=2).astype(np.float32) / 255).astype(np.float32))
    marks = sorted(marks_of(darker(ink)), key=lambda mark: mark.centre[0])
    assert len(marks) == 10
    word = framed("STREET", boxes[4:])
    assert on(marks[4:], [word]) == word
    assert on(marks[:4], [word]) is None
    assert on(marks[4:], [replace(word, confidence=0.5)]) is None
    (found,) = beyond(reader, marks[4:], word, ink, threshold(ink))
    assert found.text == "FISH"
    left, _, right, _ = found.box
    assert abs(left - boxes[0][0]) < 45
    assert abs(right - boxes[3][2]) < 45


@pytest.mark.parametrize(
    ("text", "heard", "expected"),
    [
        ("CHUROH", [("URCH", 0.99)], "CHURCH"),
        ("TREET", [("STREET", 0.95)], "STREET"),
        ("Schoole", [("School", 0.99)], "School"),
        ("hurch", [("Church", 0.99)], "Church"),
        ("CHUROH", [("URCH", 0.8)], "CHUROH"),  # not sure
        ("CHUROH", [("UROH", 0.99)], "CHUROH"),  # says the same
        ("Lone", [("Lone", 1.0)], "Lone"),
        ("Hull", [("Hall", 0.95), ("Hill", 0.95)], "Hull"),  # one of two
        ("Mill", [("Hill", 0.99)], "Mill"),  # is a word itself
        ("Farn2", [("Farm", 0.99)], "Farn2"),
    ],
)
def test_a_word_a_letter_off_is_that_which_a_sure_reading_says(
    text: str, heard: list[tuple[str, float]], expected: str
) -> None:
    box = (10.0, 10.0, 90.0, 30.0)
    word = placed(text, box)
    asked = []

    def again() -> list[tuple[str, float]]:
        asked.append(1)
        return heard

    made = corrected(word, [], again, generic())
    assert (made.text, made.read_as) == (expected, None if expected == text else text)
    assert made.corners == word.corners
    assert corrected(word, [placed(said, box, sure) for said, sure in heard], list, generic()) == made
    assert bool(told_of([made])) is (made.read_as is not None)
    assert not asked or generic().near("".join(filter(str.isalpha, text.casefold())))


def test_a_place_is_looked_at_again_only_where_a_word_of_the_vocabulary_is_near() -> None:
    def never() -> list[tuple[str, float]]:
        raise AssertionError("looked at")

    for text in ("Goldhanger", "Church", "S", "38.2", "Inn"):
        assert corrected(placed(text, (0, 0, 50, 10)), [], never, generic()).text == text


def test_what_is_told_names_both_spellings() -> None:
    (told,) = told_of([replace(placed("STREET", (0, 0, 50, 10)), read_as="TREET"), placed("Mill", (0, 20, 50, 30))])
    assert "STREET (read TREET)" in told
    assert "Mill" not in told


def test_a_word_of_the_vocabulary_outlives_what_another_window_read() -> None:
    box = (0.0, 0.0, 60.0, 10.0)
    spelt = replace(placed("CHURCH", box, 0.8), read_as="CHUROH")
    for first, second in ((spelt, placed("CHUROH", box, 1.0)), (placed("CHUROH", box, 1.0), spelt)):
        assert merged([first], [second]) == [spelt]


def test_distances_are_letters_changed() -> None:
    assert [distance(*pair) for pair in (("mill", "mill"), ("mill", "mil"), ("mill", "hills"), ("", "abc"))] == [
        0,
        1,
        2,
        3,
    ]


def test_the_vocabulary_is_asked_for_by_name_or_by_words(tmp_path: Path) -> None:
    assert find_vocabulary("none", "latin") is None
    assert find_vocabulary("generic", "greek") is None
    assert find_vocabulary("generic", "latin") == generic()
    own = find_vocabulary(["Goldhanger Creek", "Inn"], "latin")
    assert own is not None
    assert own.words == generic().words | {"goldhanger"}
    assert find_vocabulary(["Goldhanger"], "any") == Vocabulary(frozenset({"goldhanger"}))
    file = tmp_path / "gazetteer.txt"
    file.write_text("# Essex\nGoldhanger\nTolleshunt Major\n", encoding="utf-8")
    assert read_vocabulary(file) == ["Goldhanger", "Tolleshunt", "Major"]


@pytest.mark.parametrize("content", [None, b"", b"Inn\n", b"\xff\xfe\x00S"])
def test_a_vocabulary_that_cannot_be_used_is_refused_before_anything_is_done(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "words.txt"
    if content is not None:
        file.write_bytes(content)
    command = ["extract-text", str(tmp_path), "-o", str(tmp_path / "out"), "--vocabulary", str(file)]
    made = CliRunner().invoke(app, command)
    assert made.exit_code != 0
    assert "vocabulary" in str(made.exception) + made.output
    assert not (tmp_path / "out").exists()
    for wrong in ("klingon", ["Inn"], []):
        with pytest.raises(OptionError, match="vocabulary"):
            dp.extract_text(Image.new("RGB", (20, 20)), vocabulary=wrong)


def test_a_gazetteer_corrects_what_the_reader_saw_otherwise(reader: Reader) -> None:
    """The same place, looked at again, bears out the name; a name that nothing bears out is left."""
    image = Image.new("RGB", (260, 60), PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(30)
    pen.text((40, 12), "Tollesbury", BLACK, font)
    box = pen.textbbox((40, 12), "Tollesbury", font)
    sheet = np.asarray(image)
    for text, expected in (("Tolleshury", "Tollesbury"), ("Goldhangor", "Goldhangor")):
        word = placed(text, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
        names = Vocabulary.of(["Tollesbury", "Goldhanger"])
        assert corrected(word, [], partial(looks, reader, sheet, word), names).text == expected


@pytest.mark.parametrize(
    "text", ["Goldhanger, Tolleshunt", "Goldhanger;Tolleshunt", " Goldhanger\nTolleshunt ", "Goldhanger，Tolleshunt"]
)
def test_words_are_parted_however_they_are_written(text: str, tmp_path: Path) -> None:
    assert split_words(text) == ["Goldhanger", "Tolleshunt"]
    (tmp_path / "words.txt").write_text(text, encoding="utf-8")
    assert read_vocabulary(tmp_path / "words.txt") == ["Goldhanger", "Tolleshunt"]


@pytest.mark.parametrize("text", ["", " , ", "Inn", "none, generic", "Goldhanger none"])
def test_words_that_say_nothing_or_two_things_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="vocabulary must be generic, none or words"):
        split_words(text)
    assert split_words(" None ") == "none"
