"""Which files a command reads, and where its results go: nothing vanishes, nothing is overwritten."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from deep_protection import ImageError, OptionError, OutputError
from deep_protection.cli.extract_text import extract_text_command
from deep_protection.cli.masks import Masks
from deep_protection.cli.plan import find_images, plan
from deep_protection.cli.purify import purify_command
from deep_protection.cli.restore import denoise_command, inpaint_command
from deep_protection.images import as_image, encode, format_for, read_image, write_atomically

RED, BLUE = (255, 0, 0), (0, 0, 255)
LONG = "n" * 250


def drawn(path: Path, colour: tuple[int, int, int] = RED, kind: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), colour).save(path, kind)
    return path


def seen(path: Path) -> object:
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((16, 16))


# Outputs.


def test_maps_of_like_names_each_have_their_results(tmp_path: Path) -> None:
    drawn(tmp_path / "in" / "a" / "b_c.png", RED)
    drawn(tmp_path / "in" / "a_b" / "c.png", BLUE)
    out = tmp_path / "out"
    done = extract_text_command([str(tmp_path / "in")], out, ocr=False, stop="fixed:1", workers=1, quiet=True)
    assert done == 0
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*.without-text.png"))
    assert made == ["a/b_c.png.without-text.png", "a_b/c.png.without-text.png"]
    with pytest.raises(OptionError, match="would both be written to"):
        extract_text_command([str(drawn(tmp_path / each / "c.png")) for each in ("x", "y")], out, ocr=False)


def test_results_beside_their_maps_are_not_read_as_maps(tmp_path: Path) -> None:
    sheet = drawn(tmp_path / "sheet.png")
    for _ in range(2):
        extract_text_command([str(tmp_path)], tmp_path, ocr=False, stop="fixed:1", workers=1, quiet=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {sheet.name, "sheet.png.text.png", "sheet.png.without-text.png"}


@pytest.mark.parametrize("of", ["input", "output"])
def test_a_result_does_not_replace_what_a_link_leads_to_when_it_is_read_or_made_too(tmp_path: Path, of: str) -> None:
    one, two = drawn(tmp_path / "in" / "1.png"), drawn(tmp_path / "in" / "2.png", BLUE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.png").symlink_to(two if of == "input" else tmp_path / "out" / "2.png")
    with pytest.raises(OptionError, match="is read too" if of == "input" else "would both be written to"):
        plan([str(tmp_path / "in")], str(tmp_path / "out"))
    assert (seen(one), seen(two)) == (RED, BLUE)


def test_a_result_does_not_replace_another_image_that_is_read(tmp_path: Path) -> None:
    moving, beside = drawn(tmp_path / "a.gif", kind="GIF"), drawn(tmp_path / "a.gif.png", BLUE)
    with pytest.raises(OptionError, match="is read too"):
        plan([str(moving), str(beside)], str(tmp_path))
    (tmp_path / "link.png").symlink_to(beside)
    with pytest.raises(OptionError, match="is read too"):
        plan([str(beside)], str(tmp_path / "link.png"))


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link, target = tmp_path / "link.png", tmp_path / "far" / "target.png"
    link.symlink_to(target)
    for content in (b"new", b"newer"):  # the target is made where it is not there yet
        write_atomically(content, link)
        assert link.is_symlink()
        assert target.read_bytes() == content


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OutputError, match="not a file that can be replaced"):
        write_atomically(b"x", tmp_path / "pipe.png")
    assert (tmp_path / "pipe.png").is_fifo()


LEFT: dict[str, tuple[str, str]] = {
    "CMYK": ("given.jpg", "left.png"),
    "YCbCr": ("given.tif", "left.png"),
    "LAB": ("given.tif", "left.webp"),
    "P": ("given.gif", "left.jpg"),
    "1": ("given.png", "left.jpg"),
}


@pytest.mark.parametrize("mode", LEFT)
def test_what_is_left_as_it_is_is_written_in_the_format_that_was_asked_for(tmp_path: Path, mode: str) -> None:
    given, left = (tmp_path / name for name in LEFT[mode])
    coloured = Image.new("RGB", (32, 32), RED)
    lab = Image.new("LAB", (32, 32), (130, 20, 20))  # Pillow converts nothing to it
    (lab if mode == "LAB" else coloured.convert("P").convert(mode)).save(given)
    Image.new("L", (32, 32)).save(tmp_path / "black.png")
    assert inpaint_command([str(given)], str(left), mask=tmp_path / "black.png", quiet=True) == 0
    restored = encode(as_restored(given), format_for(left))
    assert left.read_bytes() == restored


def as_restored(path: Path) -> Image.Image:
    image = as_image(path)
    made: Image.Image = image.to_original(image.pixels)
    return made


# One bad name or file does not stop the rest.


def test_a_name_that_would_be_too_long_stops_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn(tmp_path / "in" / f"{LONG}.gif", kind="GIF")
    drawn(tmp_path / "in" / "good.png")
    for command in (purify_command, denoise_command):
        out = tmp_path / command.__name__
        assert command([str(tmp_path / "in")], str(out), stop="fixed:1", workers=1, quiet=True) == 1
        assert [path.name for path in out.iterdir()] == ["good.png"]
        assert "is too long" in capsys.readouterr().err
    out = tmp_path / "maps"
    extract_text_command([str(tmp_path / "in")], out, ocr=False, stop="fixed:1", workers=1, quiet=True)
    assert {path.name for path in out.iterdir()} == {"good.png.text.png", "good.png.without-text.png"}


def test_a_folder_that_cannot_be_made_stops_only_its_own_images(tmp_path: Path) -> None:
    drawn(tmp_path / "in" / "deep" / "b.png")
    drawn(tmp_path / "in" / "a.png")
    out = tmp_path / "out"
    out.mkdir()
    (out / "deep").write_text("in the way")
    assert purify_command([str(tmp_path / "in")], str(out), stop="fixed:1", workers=1, quiet=True) == 1
    assert (out / "a.png").exists()
    (out / "deep").unlink()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write into"):  # nowhere: that is one error, not one an image
        purify_command([str(tmp_path / "in")], str(tmp_path / "file" / "out"), stop="fixed:1", quiet=True)


def test_names_too_long_for_any_file_are_only_not_there(tmp_path: Path) -> None:
    good = drawn(tmp_path / "good.png")
    arguments = [str(good), str(tmp_path / f"{LONG}{LONG}.png")]
    assert purify_command(arguments, str(tmp_path / "out"), stop="fixed:1", workers=1, quiet=True) == 1
    assert (tmp_path / "out" / "good.png").exists()
    item = plan(arguments, str(tmp_path / "out")).items[1]
    with pytest.raises(ImageError, match="has no mask"):
        Masks(tmp_path).of(item)


# Folders.


def test_images_are_taken_by_what_they_hold_and_the_rest_is_counted(tmp_path: Path) -> None:
    folder, far = tmp_path / "in", tmp_path / "far"
    for name in ("edge.jfif", "3f2a9c", "IMG_1.HEIC", "new.jxl", "B.JPG", "odd.dat"):
        drawn(folder / name, kind="JPEG")
    drawn(far / "linked.png")
    (folder / "link").symlink_to(far)
    (folder / "loop").symlink_to(folder)
    drawn(folder / ".hidden.png")
    (folder / "notes.txt").write_text("no image")
    drawn(folder / "raw.NEF", kind="TIFF")  # of a camera: what could be read is a preview
    found = find_images([str(folder)])
    taken = ["3f2a9c", "B.JPG", "IMG_1.HEIC", "edge.jfif", "new.jxl", "odd.dat", "link/linked.png"]
    assert [each.name for each in found.images] == taken
    assert {Path(name).name for name in found.left_out} == {".hidden.png", "loop", "notes.txt", "raw.NEF"}
    (note,) = found.notes
    assert "2 that are no images (notes.txt, raw.NEF)" in note
    assert "1 hidden (.hidden.png)" in note
    assert find_images([str(far)]).notes == ()


HEADS = {"HEIC": b"\0\0\0\x18ftypheic" + bytes(500), "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(500)}


@pytest.mark.parametrize("kind", HEADS)
def test_a_kind_that_is_not_read_is_an_error_not_a_gap(tmp_path: Path, kind: str) -> None:
    (tmp_path / "photo").write_bytes(HEADS[kind])
    (source,) = find_images([str(tmp_path)]).sources
    with pytest.raises(ImageError, match=f"is {kind}, which is not read; save it as JPEG or PNG"):
        read_image(source)


def test_what_was_left_out_stands_in_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn(tmp_path / "in" / "a.jfif", kind="JPEG")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    for _ in range(2):  # in place: what was made is not made again
        purify_command([str(tmp_path / "in")], str(tmp_path / "in"), stop="fixed:1", workers=1, as_json=True)
        said = capsys.readouterr()
        told = json.loads(said.out)
        assert [Path(row["input"]).name for row in told["results"]] == ["a.jfif"]
        assert str(tmp_path / "in" / "notes.txt") in told["left_out"]
        assert "1 that are no images (notes.txt)" in said.err.replace("\n", " ")
