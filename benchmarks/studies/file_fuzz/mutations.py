"""Damage to files: blind, and by somebody who knows how the file is built."""

import random
import re
import struct
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Literal

from benchmarks.studies.file_fuzz.seeds import HEIGHT, WIDTH, Seed, png_chunk

Chance = random.Random
Order = Literal["little", "big"]
Place = tuple[int, int]
"""First byte and first byte behind."""

_SIDES = (0, 1, 2, 7, HEIGHT, WIDTH, 25, 48, 255, 4000, 32_767, 65_535, 100_000, 2**31 - 1, 2**31, 2**32 - 1)
_ODD = (0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 64, 127, 128, 254, 255)
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_TIFF_KINDS = (254, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 284, 296, 317, 320, 322, 323, 338, 339, 34675)
"""Tags that say how values are kept and shown."""
_DICOM_KINDS = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "WindowCenter"),
    *("WindowWidth", "RescaleSlope", "RescaleIntercept", "VOILUTFunction", "PixelAspectRatio", "PixelData"),
)
_DICOM_VALUES = (
    *(
        "",
        "0",
        "1",
        "-1",
        "8",
        "12",
        "16",
        "32",
        "1e300",
        "nan",
        "inf",
        "MONOCHROME1",
        "RGB",
        "YBR_FULL",
        "PALETTE COLOR",
    ),
    *("SIGMOID", "LINEAR_EXACT", "words", "1\\2", "\\"),
)


def flip(seed: Seed, other: Seed, chance: Chance) -> bytes:
    """A few bits, half of the time near the beginning, where most stands that decides how a file is read."""
    del other
    content = bytearray(seed.data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        most = min(len(content), chance.choice((64, 256, len(content), len(content))))
        content[chance.randrange(most)] ^= 1 << chance.randrange(8)
    return repaired(bytes(content), chance)


def overwrite(seed: Seed, other: Seed, chance: Chance) -> bytes:
    """A number of 1, 2 or 4 bytes by one at the edge of what it can be."""
    del other
    content = bytearray(seed.data)
    for _ in range(chance.randint(1, 2)):
        size = chance.choice((1, 2, 4))
        value = chance.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 2 ** (8 * size - 1) - 1))
        start = chance.randrange(min(len(content), chance.choice((64, 512, len(content)))))
        content[start : start + size] = value.to_bytes(size, chance.choice(("little", "big")))
    return repaired(bytes(content), chance)


def cut(seed: Seed, _: Seed, chance: Chance) -> bytes:
    """The end is missing, or zeros as in a download that broke off."""
    at = chance.randrange(len(seed.data))
    return seed.data[:at] + (bytes(len(seed.data) - at) if chance.random() < 0.3 else b"")


def hole(seed: Seed, _: Seed, chance: Chance) -> bytes:
    """Some bytes of the middle are missing, doubled or of something else."""
    first = chance.randrange(len(seed.data))
    behind = min(len(seed.data), first + chance.randint(1, 64))
    middle = chance.choice((b"", 2 * seed.data[first:behind], chance.randbytes(behind - first), b"\xff" * 40))
    return repaired(seed.data[:first] + middle + seed.data[behind:], chance)


def splice(seed: Seed, other: Seed, chance: Chance) -> bytes:
    """The beginning of one file and the end of another."""
    return seed.data[: chance.randrange(len(seed.data))] + other.data[chance.randrange(len(other.data)) :]


def append(seed: Seed, other: Seed, chance: Chance) -> bytes:
    """Something behind the end that is none of the file's."""
    return seed.data + chance.choice((chance.randbytes(200), other.data, bytes(500), b"<html>not found</html>"))


def sides(seed: Seed, _: Seed, chance: Chance) -> bytes:
    """Another width or height, wherever the file names them."""
    if seed.kind == "ppm":
        numbers = [match.span() for match in re.finditer(rb"\d+", seed.data[2:40])][:2]
        first, behind = chance.choice(numbers)
        return seed.data[: 2 + first] + str(chance.choice(_SIDES)).encode() + seed.data[2 + behind :]
    content = bytearray(seed.data)
    value = chance.choice(_SIDES)
    places = _named(seed.data, chance.choice((WIDTH, HEIGHT)))
    for first, size, order in chance.sample(places, min(len(places), chance.choice((1, 1, 2, 8)))):
        content[first : first + size] = (value % 2 ** (8 * size)).to_bytes(size, order)
    return repaired(bytes(content), chance, always=True)


def _named(data: bytes, side: int) -> list[tuple[int, int, Order]]:
    """Where a side stands in the file's first part: start, length and order of bytes."""
    found: list[tuple[int, int, Order]] = []
    ways: tuple[tuple[int, Order], ...] = ((4, "big"), (4, "little"), (2, "big"), (2, "little"))
    for size, order in ways:
        pattern = side.to_bytes(size, order)
        found += [(match.start(), size, order) for match in re.finditer(re.escape(pattern), data[:1024])]
    return found


def kinds(seed: Seed, _: Seed, chance: Chance) -> bytes:
    """Other bits, another type, another packing than the values have."""
    data, content = seed.data, bytearray(seed.data)
    value = chance.choice(_ODD)
    if seed.kind == "png":
        content[chance.randint(24, 28)] = value
    elif seed.kind == "jpeg":
        frame = next((first for first, _ in pieces(data) if data[first + 1] in (0xC0, 0xC1, 0xC2)), 0)
        content[min(len(data) - 1, frame + chance.choice((1, 4, 9, 10, 11, 12, 13, 14)))] = value
    elif seed.kind == "tiff":
        return _other_tag(data, chance)
    elif seed.kind == "dicom":
        return _other_element(data, chance)
    elif seed.kind == "bmp":
        content[chance.choice((10, 14, 26, 28, 30, 46, 50))] = value
    elif seed.kind == "ppm":
        return b"P" + chance.choice((b"1", b"2", b"3", b"4", b"5", b"6", b"f", b"F", b"7", b"0CP")) + data[2:]
    else:
        content[chance.randrange(min(len(data), 96))] = value
    return repaired(bytes(content), chance, always=True)


def _other_tag(data: bytes, chance: Chance) -> bytes:
    """A TIFF that gives one of its tags another value, type or count, twice, or under another number."""
    entries = _tags(data)
    if not entries:
        return flip(Seed("tiff", data, ""), Seed("", b"", ""), chance)
    order = "<" if data[:2] == b"II" else ">"
    content = bytearray(data)
    telling = [entry for entry in entries if struct.unpack_from(f"{order}H", data, entry)[0] in _TIFF_KINDS]
    for _ in range(chance.choice((1, 1, 2))):
        entry = chance.choice(telling or entries)
        match chance.randrange(5):
            case 0:
                struct.pack_into(f"{order}H", content, entry, chance.choice(_TIFF_KINDS))
            case 1:
                struct.pack_into(f"{order}H", content, entry + 2, chance.choice((1, 2, 3, 4, 5, 7, 11, 12, 16, 99)))
            case 2:
                struct.pack_into(f"{order}I", content, entry + 4, chance.choice((0, 1, 2, 3, 5, 999, 2**31, 2**32 - 1)))
            case _:
                value = chance.choice((*_ODD, 32_773, 34_712, 50_000, 65_535))
                struct.pack_into(f"{order}H", content, entry + 8, value)
    return bytes(content)


def _tags(data: bytes) -> list[int]:
    """Where the entries of a classic TIFF's first directory begin; none where it is no such file."""
    with suppress(struct.error, KeyError):
        order = {b"II*\0": "<", b"MM\0*": ">"}[data[:4]]
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        return [start + 2 + 12 * number for number in range(count) if start + 14 + 12 * number <= len(data)]
    return []


def _other_element(data: bytes, chance: Chance) -> bytes:
    """A DICOM with an element empty, missing or of a value that it should not have."""
    import pydicom

    dataset = pydicom.dcmread(BytesIO(data), force=True)
    for _ in range(chance.choice((1, 1, 2, 3))):
        name = chance.choice(_DICOM_KINDS)
        with suppress(Exception):
            if chance.random() < 0.3:
                del dataset[name]
                continue
            value = chance.choice(_DICOM_VALUES)
            number = chance.choice((None, *_SIDES, *_ODD))
            wanted = pydicom.datadict.dictionary_VR(pydicom.datadict.tag_for_keyword(name))
            if wanted == "US":
                setattr(dataset, name, number if number is None else number % 65_536)
            elif name == "PixelData":
                dataset.PixelData = dataset.PixelData[: chance.randrange(len(dataset.PixelData))]
            else:
                # Checked values cannot be wrong; raw ones can.
                tag = pydicom.tag.Tag(name)
                dataset[tag] = pydicom.dataelem.RawDataElement(tag, wanted, len(value), value.encode(), 0, False, True)
    with suppress(Exception):
        dataset.save_as(buffer := BytesIO(), enforce_file_format=False)
        return buffer.getvalue()
    return flip(Seed("dicom", data, ""), Seed("", b"", ""), chance)


def parts(seed: Seed, other: Seed, chance: Chance) -> bytes:
    """A chunk, segment, box or tag left out, doubled, moved, or one of another file put in."""
    data, found = seed.data, pieces(seed.data)
    if len(found) < 2:
        return hole(seed, other, chance)
    first, behind = chance.choice(found)
    piece = data[first:behind]
    match chance.randrange(4):
        case 0:
            return data[:first] + data[behind:]
        case 1:
            return data[:behind] + piece * chance.choice((1, 1, 5)) + data[behind:]
        case 2:
            rest = data[:first] + data[behind:]
            at = min(len(rest), chance.choice(found)[0])
            return rest[:at] + piece + rest[at:]
        case _:
            strange = pieces(other.data) or [(0, min(40, len(other.data)))]
            begin, end = chance.choice(strange)
            return data[:behind] + other.data[begin:end] + data[behind:]


def pieces(data: bytes) -> list[Place]:
    """The parts that a file is built of, behind its head: for kinds that are built of such; none for others."""
    found: list[Place] = []
    at = 0
    with suppress(struct.error):
        if data.startswith(_PNG):
            at = 8
            while at < len(data):
                found.append((at, at + 12 + struct.unpack_from(">I", data, at)[0]))
                at = found[-1][1]
        elif data.startswith(_JPEG):
            at = 2
            while data[at : at + 1] == b"\xff" and data[at + 1] not in (0xD9, 0xDA):
                found.append((at, at + 2 + struct.unpack_from(">H", data, at + 2)[0]))
                at = found[-1][1]
            found.append((at, len(data)))
        elif data.startswith(b"RIFF"):
            at = 12
            while at < len(data):
                size = struct.unpack_from("<I", data, at + 4)[0]
                found.append((at, at + 8 + size + size % 2))
                at = found[-1][1]
        elif data[4:8] in (b"ftyp", b"jP  "):
            while at < len(data):
                size = struct.unpack_from(">I", data, at)[0]
                found.append((at, at + size if size else len(data)))
                at = max(at + 8, found[-1][1])
        else:
            found = [(entry, entry + 12) for entry in _tags(data)]
    return [(first, min(behind, len(data))) for first, behind in found if first < len(data)]


def repaired(data: bytes, chance: Chance, *, always: bool = False) -> bytes:
    """A PNG with check sums that are right again: without, no damage gets farther than to them. Others as they are."""
    if not data.startswith(_PNG) or not (always or chance.random() < 0.7):
        return data
    made = [png_chunk(data[first + 4 : first + 8], data[first + 8 : behind - 4]) for first, behind in pieces(data)]
    return data[:8] + b"".join(made)


def several(seed: Seed, other: Seed, chance: Chance) -> bytes:
    """Two or three kinds of damage, one after the other."""
    for mutate in chance.sample([flip, overwrite, hole, sides, kinds, parts, append], chance.choice((2, 2, 3))):
        with suppress(Exception):  # what is damaged already may be too much so for the next one
            seed = Seed(seed.name, mutate(seed, other, chance), seed.suffix)
    return seed.data


MUTATIONS: dict[str, Callable[[Seed, Seed, Chance], bytes]] = {
    "flip": flip,
    "overwrite": overwrite,
    "cut": cut,
    "hole": hole,
    "splice": splice,
    "append": append,
    "sides": sides,
    "kinds": kinds,
    "parts": parts,
    "several": several,
}
