"""Damaged files are read right or refused in one clear error, and whoever tries them sees it when they are not."""

import logging
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from benchmarks import rows
from benchmarks.studies.inputs import fuzz as file_fuzz
from benchmarks.studies.inputs.mutations import MUTATIONS
from benchmarks.studies.inputs.seeds import png_chunk, seeds
from benchmarks.studies.inputs.trial import Trial
from PIL import Image

import deep_protection as dp
from deep_protection import ImageError
from deep_protection.images import as_image, read_image


def test_twenty_files_sound_and_damaged(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    file_fuzz.run(out, range(91, 2091, 100), 3, 180, tmp_path / "faults")
    found = [row for row in rows.read(out) if "n" in row]
    assert len(found) == 20
    assert [row for row in found if file_fuzz.is_at_fault(row)] == []
    assert {file_fuzz.worst(row) for row in found} == {"right", "refused"}
    assert not (tmp_path / "faults").exists()
    file_fuzz.run(out, range(91, 2091, 100), 3, 180, tmp_path / "faults")
    assert len([row for row in rows.read(out) if "n" in row]) == 20, "what is done is not done again"


def test_every_kind_of_damage_is_done_and_is_the_same_every_time() -> None:
    known = seeds()
    made = [file_fuzz.damaged(known, 0, number) for number in range(800)]
    again = seeds()
    assert made[::50] == [file_fuzz.damaged(again, 0, number) for number in range(0, 800, 50)]
    assert {mutation for _, mutation, _ in made} == {file_fuzz.SOUND, *MUTATIONS}
    assert sum(data != given.data for given, _, data in made) > 600


def test_what_is_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge itself: a sound file that is refused, a raw error, a process that dies."""
    trial = Trial(tmp_path)
    told: dict[str, str] = {}
    trial.judge(1, b"no image", ".png", is_sound=True, tell=told.__setitem__)
    assert told["purify"] == "sound, but refused: unknown"
    monkeypatch.setattr(dp, "purify", lambda *_, **__: 1 / 0)
    image = BytesIO()
    Image.new("RGB", (9, 7)).save(image, "PNG")
    trial.judge(1, image.getvalue(), ".png", is_sound=True, tell=told.__setitem__)
    assert told["purify"].startswith("raw: ZeroDivisionError")
    monkeypatch.setattr(dp, "inpaint", lambda path, *_, **__: Image.open(path).rotate(90, expand=True))
    trial.judge(1, image.getvalue(), ".png", is_sound=True, tell=told.__setitem__)
    assert told["inpaint"].startswith("wrong:")
    assert file_fuzz.is_at_fault({"n": 1, **told})


# What was found so, one test a kind.


def test_a_palette_that_is_missing_is_no_palette_made_up() -> None:
    head = struct.pack(">IIBBBBB", 4, 4, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(20))), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks)
    with pytest.raises(ImageError, match="no palette; get the file again"):
        as_image(data)


@pytest.mark.parametrize("kind", ["bytes", "path", "opened"])
def test_a_png_with_damaged_content_is_refused(kind: str, tmp_path: Path) -> None:
    """Pillow tells of it once only, and a PNG decodes itself when it is asked for its EXIF data."""
    buffer = BytesIO()
    Image.effect_noise((24, 18), 90).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[content.find(b"IDAT") + 4] ^= 1
    path = tmp_path / "damaged.png"
    path.write_bytes(content)
    with Image.open(path) as opened, pytest.raises(ImageError, match="truncated or damaged"):
        as_image({"bytes": bytes(content), "path": path, "opened": opened}[kind])


def cut_off() -> bytes:
    """A packed TIFF whose end is missing: libtiff says so on standard error by itself."""
    buffer = BytesIO()
    Image.effect_noise((24, 18), 90).save(buffer, "TIFF", compression="tiff_lzw")
    content = bytearray(buffer.getvalue())
    place = content.find(struct.pack("<HHI", 273, 4, 1))
    struct.pack_into("<I", content, place + 8, len(content) - 9)
    return bytes(content)


def many_samples() -> bytes:
    """A TIFF with more values a pixel than Pillow decodes, which it says in its log too."""
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "TIFF")
    content = bytearray(buffer.getvalue())
    place = content.find(struct.pack("<HHI", 277, 3, 1))
    struct.pack_into("<H", content, place + 8, 2048)
    return bytes(content)


@pytest.mark.parametrize("make", [cut_off, many_samples])
def test_decoders_print_nothing(
    make: Callable[[], bytes], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("PIL"), "propagate", False)  # as where nobody handles it

    def left_alone() -> str:
        with suppress(Exception), Image.open(BytesIO(make())) as opened:
            opened.load()
        return "".join(capfd.readouterr())

    assert left_alone()
    with pytest.raises(ImageError):
        read_image(make())
    assert capfd.readouterr() == ("", "")
    assert left_alone(), "what others read is as loud as before"
