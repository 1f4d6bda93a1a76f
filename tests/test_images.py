import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageDraw, PngImagePlugin

import deep_protection as dp
from deep_protection import ImageError, OutputError
from deep_protection.images import (
    MAX_PIXELS,
    as_batch,
    as_image,
    check_side,
    encode,
    format_for,
    read_image,
    write_atomically,
)

RGB = Image.Resampling.BICUBIC


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=name, **options)
    return buffer.getvalue()


def unchanged(image: Any) -> Any:
    """In and straight out again, with nothing restored in between."""
    taken = as_batch(image)
    return taken.collate([record.to_original(record.pixels) for record in taken.records])


# Every type comes back as itself, with the very same values.

ARRAYS: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "uint8 H×W×3": lambda rgb: rgb,
    "uint8 H×W": lambda rgb: rgb[..., 0],
    "uint8 H×W×1": lambda rgb: rgb[..., :1],
    "uint8 H×W×4": lambda rgb: np.concatenate([rgb, rgb[..., :1]], axis=-1),
    "uint16 H×W×3": lambda rgb: rgb.astype(np.uint16) * 257,
    "float32": lambda rgb: rgb.astype(np.float32) / 255,
    "float64": lambda rgb: (rgb.astype(np.float32) / 255).astype(np.float64),
    "float16": lambda rgb: (rgb / 255).astype(np.float16),
    "batch N×H×W×3": lambda rgb: np.stack([rgb, rgb[::-1]]),
    "not contiguous": lambda rgb: rgb[::-1, ::2],
    "tensor uint8 3×H×W": lambda rgb: torch.from_numpy(rgb.copy()).permute(2, 0, 1),
    "tensor H×W": lambda rgb: torch.from_numpy(rgb.copy())[..., 0],
    "tensor 4×H×W": lambda rgb: torch.from_numpy(np.concatenate([rgb, rgb[..., :1]], -1)).permute(2, 0, 1),
    "tensor float": lambda rgb: torch.from_numpy(rgb.copy()).permute(2, 0, 1) / 255,
    "tensor bfloat16": lambda rgb: (torch.from_numpy(rgb.copy()).permute(2, 0, 1) / 255).bfloat16(),
    "tensor batch": lambda rgb: torch.from_numpy(rgb.copy()).permute(2, 0, 1).expand(3, -1, -1, -1) / 255,
    "tensor with gradient": lambda rgb: (torch.from_numpy(rgb.copy()).permute(2, 0, 1) / 255).requires_grad_(),
    "empty batch": lambda rgb: torch.zeros(0, 3, *rgb.shape[:2]),
}


@pytest.mark.parametrize("make", ARRAYS.values(), ids=ARRAYS)
def test_arrays_and_tensors_come_back_as_they_were(make: Callable[[Any], Any], small: Image.Image) -> None:
    given = make(np.array(small))
    back = unchanged(given)
    assert type(back) is type(given)
    assert back.dtype == given.dtype
    assert back.shape == given.shape
    assert (back == given).all()
    assert isinstance(back, np.ndarray) or not back.requires_grad


MODES = ["L", "LA", "RGB", "RGBA", "I;16", "I", "F"]


@pytest.mark.parametrize("mode", MODES)
def test_pillow_modes_come_back_as_they_were(mode: str, small: Image.Image) -> None:
    if mode in ("I;16", "I"):
        given = Image.fromarray(np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)).convert(mode)
    elif mode == "F":
        given = Image.fromarray(np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30))
    else:
        given = small.convert(mode)
        if "A" in mode:
            given.putalpha(Image.linear_gradient("L").resize(given.size))
    back = unchanged(given)
    assert (back.mode, back.size) == (given.mode, given.size)
    # Grey is the mean of three equal channels, which in floating point may differ in the last bit.
    assert np.allclose(np.array(back), np.array(given), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("mode", "expected"), [("P", "RGB"), ("1", "L"), ("CMYK", "RGB"), ("YCbCr", "RGB"), ("HSV", "RGB")]
)
def test_modes_that_cannot_hold_a_restored_image_come_back_in_one_that_can(
    mode: str, expected: str, small: Image.Image
) -> None:
    back = unchanged(small.convert(mode))
    assert (back.mode, back.size) == (expected, small.size)
    difference = np.array(back.convert("RGB")).astype(int) - np.array(small.convert(mode).convert("RGB"))
    assert np.abs(difference).max() <= 1


def test_transparent_palette_keeps_its_transparency(small: Image.Image) -> None:
    palette = small.convert("P")
    palette.info["transparency"] = palette.getpixel((0, 0))
    back = unchanged(palette)
    assert back.mode == "RGBA"
    assert back.getpixel((0, 0))[3] == 0


def logo(hidden: int) -> np.ndarray[Any, Any]:
    """A white disc with a soft edge on a transparent ground of a colour that nobody sees."""
    disc = Image.new("L", (160, 160))
    ImageDraw.Draw(disc).ellipse((30, 30, 130, 130), fill=255)
    soft = np.asarray(disc.resize((40, 40), Image.Resampling.BOX))
    rgba = np.dstack([np.full((40, 40, 3), 255, np.uint8), soft])
    rgba[soft == 0, :3] = hidden
    return rgba


LOGOS: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "array": lambda rgba: rgba,
    "tensor": lambda rgba: torch.from_numpy(rgba).permute(2, 0, 1),
    "float array": lambda rgba: rgba.astype(np.float32) / 255,
    "RGBA": Image.fromarray,
    "LA": lambda rgba: Image.fromarray(np.ascontiguousarray(rgba[..., 2:])),
}


@pytest.mark.parametrize("kind", LOGOS)
def test_hidden_colours_are_not_seen_and_come_back(kind: str) -> None:
    black, white = (as_image(LOGOS[kind](logo(hidden))) for hidden in (0, 255))
    assert torch.allclose(black.target, white.target)
    assert torch.allclose(black.on_paper, white.on_paper)
    given = LOGOS[kind](logo(7))
    assert np.array_equal(np.asarray(unchanged(given)), np.asarray(given))


def test_hidden_colours_do_not_bleed_into_edges() -> None:
    for made in (dp.purify(Image.fromarray(logo(0)), stop="fixed:60"), dp.purify(logo(0), stop="fixed:60")):
        seen = np.asarray(made)
        assert seen[seen[..., 3] > 0, :3].min() > 245


def test_an_image_of_which_nothing_is_seen_is_taken_as_it_is() -> None:
    blank = np.full((4, 5, 4), 90, np.uint8)
    blank[..., 3] = 0
    assert np.array_equal(unchanged(blank), blank)
    line = np.zeros((1, 9, 4), np.uint8)
    line[0, 4] = 255
    assert as_image(line).target.min() == 1


def test_equal_images_have_equal_pixels_whatever_their_type(small: Image.Image) -> None:
    array = np.array(small)
    forms = [
        small,
        array,
        torch.from_numpy(array).permute(2, 0, 1),
        encoded(small, "PNG"),
        array.astype(np.float32) / 255,
    ]
    first, *others = (as_image(form).pixels for form in forms)
    assert first.shape == (3, 30, 40)
    assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_bytes_come_back_as_bytes_of_the_same_format(name: str, small: Image.Image) -> None:
    back = unchanged(encoded(small, name))
    with Image.open(io.BytesIO(back)) as image:
        assert (image.format, image.size) == (name, small.size)


def test_exif_orientation_is_applied_once(small: Image.Image, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # to be seen turned by 90 degrees
    path = tmp_path / "turned.png"
    small.save(path, exif=turned)
    for back in (unchanged(path), Image.open(io.BytesIO(unchanged(path.read_bytes())))):
        assert back.size == (30, 40)
        assert back.getexif().get(0x0112, 1) == 1
        assert (np.array(back) == np.array(small.transpose(Image.Transpose.ROTATE_270))).all()


def test_a_colour_profile_is_put_back(small: Image.Image) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    back = Image.open(io.BytesIO(unchanged(encoded(small, "PNG", icc_profile=profile))))
    assert back.info["icc_profile"] == profile


DOTS: dict[str, Callable[[Image.Image], bytes]] = {
    "PNG": lambda image: encoded(image, "PNG", dpi=(300, 150)),
    "JPEG": lambda image: encoded(image, "JPEG", dpi=(300, 150)),
    "TIFF": lambda image: encoded(image, "TIFF", dpi=(300, 150)),
    "TIFF, centimetres": lambda image: encoded(
        image, "TIFF", resolution_unit=3, x_resolution=118.11, y_resolution=59.055
    ),
    "BMP": lambda image: encoded(image, "BMP", dpi=(300, 150)),
    "16-bit PNG": lambda image: encoded(
        Image.fromarray(np.array(image.convert("L")).astype(np.uint16) * 257), "PNG", dpi=(300, 150)
    ),
    "CMYK": lambda image: encoded(image.convert("CMYK"), "JPEG", dpi=(300, 150)),
    "palette": lambda image: encoded(image.convert("P"), "PNG", dpi=(300, 150)),
    "alpha": lambda image: encoded(image.convert("RGBA"), "PNG", dpi=(300, 150)),
}


@pytest.mark.parametrize("kind", DOTS)
def test_dots_an_inch_are_kept(kind: str, small: Image.Image) -> None:
    data = DOTS[kind](small)
    for made in (unchanged(data), encode(unchanged(Image.open(io.BytesIO(data))), "TIFF")):
        assert Image.open(io.BytesIO(made)).info["dpi"] == pytest.approx((300, 150), abs=0.5)


def test_dots_an_inch_turn_with_the_image(small: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(small, "PNG", exif=exif, dpi=(300, 150))
    assert Image.open(io.BytesIO(unchanged(turned))).info["dpi"] == pytest.approx((150, 300), abs=0.5)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "TIFF", "BMP"])
def test_none_are_made_up(name: str, small: Image.Image) -> None:
    with (
        Image.open(io.BytesIO(encoded(small, name))) as given,
        Image.open(io.BytesIO(unchanged(encoded(small, name)))) as made,
    ):
        assert made.info.get("dpi") == given.info.get("dpi")


def test_how_a_png_is_to_be_shown_is_kept(small: Image.Image) -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", 100_000))
    chunks.add(b"cHRM", struct.pack(">8I", *range(30_000, 30_008)))
    given = encoded(small, "PNG", pnginfo=chunks)
    with Image.open(io.BytesIO(unchanged(given))) as made:
        assert made.info["gamma"] == 1
        assert made.info["chromaticity"] == pytest.approx([each / 100_000 for each in range(30_000, 30_008)])


def test_sixteen_bit_png_keeps_its_bits() -> None:
    values = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    back = unchanged(encoded(Image.fromarray(values), "PNG"))
    assert (np.array(Image.open(io.BytesIO(back))) == values).all()


def test_the_first_frame_of_an_animation_is_used_and_said_so(small: Image.Image) -> None:
    frames = [small, Image.new("RGB", small.size, "red")]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    image = as_image(data)
    assert torch.equal(image.pixels, as_image(small).pixels)
    assert "2 frames; only the first is used" in image.notes[0]


def test_damaged_exif_does_not_matter(small: Image.Image) -> None:
    data = encoded(small, "PNG", exif=b"Exif\0\0this is no TIFF header")
    assert torch.equal(as_image(data).pixels, as_image(small).pixels)


def test_big_endian_arrays_are_numbers_like_any_other(small: Image.Image) -> None:
    values = np.array(small).astype(np.uint16) * 257
    assert torch.equal(as_image(values.astype(">u2")).pixels, as_image(values).pixels)


def png(width: int, height: int, bits: int, colours: int, rows: bytes) -> bytes:
    """A PNG file of packed rows, of kinds that Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


def tiff(values: np.ndarray[Any, Any], kind: int, *, planes: int = 1, twelve: bool = False) -> bytes:
    """An uncompressed little-endian TIFF of one strip, of kinds that Pillow does not write."""
    height, width, channels = values.shape
    data = (np.moveaxis(values, -1, 0) if planes == 2 else values).tobytes()
    if twelve:  # two values in three bytes
        data = bytes.fromhex("".join(f"{value:03x}" for value in values.ravel().tolist()))
    bits = struct.pack(f"<{channels}H", *[12 if twelve else 8 * values.itemsize] * channels)
    place = 8 + 2 + 12 * 9 + 4
    strips = channels if planes == 2 else 1
    starts = struct.pack(f"<{strips}I", *(place + 200 + len(data) // strips * n for n in range(strips)))
    counts = struct.pack(f"<{strips}I", *[len(data) // strips] * strips)
    beside, entries = b"", b""
    for tag, code, number, value in (
        (256, 4, 1, struct.pack("<I", width)),
        (257, 4, 1, struct.pack("<I", height)),
        (258, 3, channels, bits),
        (259, 3, 1, struct.pack("<H", 1)),
        (262, 3, 1, struct.pack("<H", kind)),
        (273, 4, strips, starts),
        (277, 3, 1, struct.pack("<H", channels)),
        (279, 4, strips, counts),
        (284, 3, 1, struct.pack("<H", planes)),
    ):
        if len(value) > 4:
            value, beside = struct.pack("<I", place + len(beside)), beside + value
        entries += struct.pack("<HHI", tag, code, number) + value.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<IH", 8, 9) + entries + b"\0" * 4 + beside.ljust(200, b"\0") + data


DEEP: dict[str, Callable[[], bytes]] = {
    "16 bits: PNG": lambda: png(4, 4, 16, 2, b"".join(b"\0" + bytes(range(24)) for _ in range(4))),
    "16 bits: PNG, grey and alpha": lambda: png(4, 4, 16, 4, b"".join(b"\0" + bytes(range(16)) for _ in range(4))),
    "16 bits: TIFF": lambda: tiff(np.arange(60, dtype=np.uint16).reshape(4, 5, 3), 2),
    "16 bits: PPM": lambda: b"P6 4 4 65535\n" + bytes(96),
    "12 bits: PPM": lambda: b"P6 4 4 4095\n" + bytes(96),
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_colour_says_that_eight_bits_are_used(kind: str) -> None:
    bits = kind.partition(" ")[0]
    assert f"has {bits} bits a colour; 8 are used" in as_image(DEEP[kind]()).notes[0]


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM", "JPEG2000", "AVIF"])
def test_no_image_of_eight_bits_is_said_to_have_more(name: str) -> None:
    for size in ((160, 16), (16, 216)):  # sizes stand beside the bits in what Pillow tells of a file
        assert as_image(encoded(Image.new("RGB", size), name)).notes == ()


def test_grey_tiff_that_is_white_at_zero_is_turned_round() -> None:
    values = np.arange(20, dtype=np.uint16).reshape(4, 5, 1) * 3000
    white, black = (np.array(read_image(tiff(each, kind))[0]) for each, kind in ((65535 - values, 0), (values, 1)))
    assert np.array_equal(white, black)
    assert np.array_equal(black, values[..., 0])


def test_grey_tiff_of_twelve_bits_is_as_bright_as_of_sixteen() -> None:
    values = np.arange(24, dtype=np.uint16).reshape(4, 6, 1) * 178
    values[-1, -1] = 4095
    read = as_image(tiff(values, 1, twelve=True))
    assert torch.allclose(read.pixels[0], torch.from_numpy(values[..., 0] / np.float32(4095)), atol=1e-5)
    assert read.notes == ()


DARK: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "array": lambda values: values,
    "tensor": lambda values: torch.from_numpy(values),
    "colours": lambda values: np.repeat(values[..., None], 3, axis=-1),
    "image": Image.fromarray,
    "PNG": lambda values: encoded(Image.fromarray(values), "PNG"),
}


@pytest.mark.parametrize("kind", DARK)
def test_twelve_bits_in_sixteen_are_said_to_count_as_nearly_black(kind: str) -> None:
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 65
    (note,) = as_image(DARK[kind](values)).notes
    assert "if it has 12 bits, multiply it by 65535 / 4095" in note
    for fine in (values * 16, values * 0):
        assert as_image(DARK[kind](fine)).notes == ()


def test_colours_in_planes_that_would_be_read_wrong_are_refused() -> None:
    values = np.arange(60, dtype=np.uint16).reshape(4, 5, 3)
    with pytest.raises(ImageError, match="interleaved"):
        as_image(tiff(values * 900, 2, planes=2))
    eight = tiff((4 * values).astype(np.uint8), 2, planes=2)
    assert np.array_equal(np.array(read_image(eight)[0]), (4 * values).astype(np.uint8))


def test_a_rounding_overshoot_is_clamped(small: Image.Image) -> None:
    pixels = np.array(small, dtype=np.float64) / 255
    pixels[0, 0] = (-1e-8, 1 + 1e-8, 0.5)
    assert as_image(pixels).pixels[:, 0, 0].tolist() == [0.0, 1.0, 0.5]


# What cannot be used is refused with one error that says what was got and what to do.


def bomb() -> bytes:
    """A valid PNG of a few kilobytes that says it decodes to 400 million pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def with_value(value: float) -> np.ndarray[Any, Any]:
    pixels = np.full((8, 8, 3), 0.5, np.float32)
    pixels[3, 3, 1] = value
    return pixels


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "empty bytes": (lambda: b"", "is empty; give"),
    "text": (lambda: b"this is no image at all", "not an image of a known format"),
    "bomb": (bomb, "20000×20000 = 400 million pixels, the limit is 80 million|too many pixels"),
    "NaN": (lambda: with_value(float("nan")), "1 values that are NaN or infinite"),
    "infinite": (lambda: with_value(float("inf")), "NaN or infinite"),
    "0 to 255 floats": (lambda: with_value(200.0), r"expected \[0, 1\]; divide by 255"),
    "normalised floats": (lambda: with_value(-1.5), "undo the normalisation first"),
    "two channels": (lambda: np.zeros((8, 8, 2), np.uint8), "has 2 channels"),
    "channels first array": (lambda: np.zeros((3, 8, 8), np.uint8), "np.moveaxis"),
    "channels last tensor": (lambda: torch.zeros(8, 8, 3), r"permute\(2, 0, 1\)"),
    "int64": (lambda: np.zeros((8, 8, 3), np.int64), "use uint8"),
    "bool tensor": (lambda: torch.zeros(3, 8, 8, dtype=torch.bool), "use uint8"),
    "a sort of TIFF that is not read": (lambda: b"II*\0" + bytes(99), "is TIFF, but damaged or of a sort"),
    "no rows": (lambda: np.zeros((0, 8, 3), np.uint8), "has no pixels"),
    "a number": (lambda: 7, "cannot use a int as an image"),
    "five axes": (lambda: torch.zeros(1, 1, 3, 8, 8), "expected one image"),
    "missing file": (lambda: "no/such/file.png", "does not exist"),
    "null in path": (lambda: "a\0b.png", "cannot be read"),
    "folder": (lambda: ".", "is a folder"),
    "address": (lambda: "https://example.org/a.png", "nothing is fetched"),
    "large integers": (lambda: Image.fromarray(np.full((8, 8), 70_000, np.int32)), "16-bit images hold 0 to 65535"),
    "EPS, which would start a program": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "known format"),
    "too many pixels": (lambda: np.broadcast_to(np.uint8(0), (MAX_PIXELS // 1000 + 1, 1000)), "the limit is"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_bad_images_are_refused_with_what_to_do(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        as_batch(make())


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "GIF"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(name: str, part: float, photograph: Image.Image) -> None:
    data = encoded(photograph.resize((120, 90), RGB), name)
    with pytest.raises(ImageError, match=r"truncated or damaged|not an image") as caught:
        as_batch(data[: int(len(data) * part)])
    assert "\n" not in str(caught.value)


def test_mutated_files_are_read_or_refused_but_never_crash(small: Image.Image) -> None:
    random = np.random.default_rng(0)
    for name in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"):
        original = np.frombuffer(encoded(small, name), np.uint8)
        for _ in range(60):
            mutated = original.copy()
            where = random.integers(0, len(mutated), size=random.integers(1, 12))
            mutated[where] = random.integers(0, 256, size=len(where))
            try:
                image = as_image(mutated.tobytes())
            except ImageError:
                continue
            assert torch.isfinite(image.pixels).all()


# Writing.


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".PNG"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "I;16", "F"])
def test_every_mode_can_be_written_to_every_format(suffix: str, mode: str, small: Image.Image, tmp_path: Path) -> None:
    if mode == "F":
        image = Image.fromarray(np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30))
    elif mode == "I;16":
        image = Image.fromarray(np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32))
    else:
        image = small.convert(mode)
    path = tmp_path / f"out{suffix}"
    write_atomically(encode(image, format_for(path)), path)
    back, name, _ = read_image(path)
    assert back.size == image.size
    assert name == format_for(path)
    assert np.abs(brightness(back) - brightness(image)).mean() < 0.02


def brightness(image: Image.Image) -> np.ndarray[Any, Any]:
    """``H×W`` in ``[0, 1]``, from any mode."""
    if image.mode == "F":
        return np.array(image)
    if image.mode == "I;16":
        return np.array(image) / 65535
    return np.array(image.convert("L")) / 255


def test_an_unknown_suffix_is_refused() -> None:
    with pytest.raises(OutputError, match=r"suffix \.xyz"):
        format_for("a.xyz")
    with pytest.raises(OutputError, match="no suffix"):
        format_for("a")


def test_an_image_too_long_for_a_format_is_refused() -> None:
    with pytest.raises(OutputError, match="cannot be written as WEBP"):
        encode(Image.new("L", (16_384, 1)), "WEBP")
    with pytest.raises(OutputError, match="write a PNG"):
        check_side("WEBP", 16_384, 1)


def test_an_unwritable_place_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose another output"):
        write_atomically(b"x", tmp_path / "missing" / "a.png")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match="choose another output"):
        write_atomically(b"x", tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_an_existing_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    write_atomically(b"new", path)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
