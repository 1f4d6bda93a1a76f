"""Small files of every kind that is read, and of every sort of that kind that cameras, scanners and programs write."""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin, features

from deep_protection.evaluation import imagenet_samples

WIDTH, HEIGHT = 24, 18
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of each pass of an interlaced PNG: first column and row, and steps along both."""
_PNG_BITS: dict[str, tuple[int, int]] = {"grey16": (16, 0), "rgb16": (16, 2), "greyalpha16": (16, 4), "rgba16": (16, 6)}

UNREAD = ("tiff-planes16", "tiff-half", "tiff-double", "tiff-rgb-float", "tiff-twelve-white-is-zero")
"""Sound files that are refused: Pillow does not read them, or reads them wrong."""

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Seed:
    """A sound file."""

    name: str
    """Its kind, then its sort: ``tiff-planes``."""
    data: bytes
    suffix: str

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]


def seeds() -> list[Seed]:
    """All of them, always in the same order."""
    image = imagenet_samples()[0][0].resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    made = [*_pngs(image), *_jpegs(image), *_tiffs(image), *_others(image), *_dicoms(image)]
    return [Seed(name, data, _SUFFIXES[name.partition("-")[0]]) for name, data in made]


_SUFFIXES = {
    "png": ".png",
    "jpeg": ".jpg",
    "tiff": ".tif",
    "webp": ".webp",
    "bmp": ".bmp",
    "gif": ".gif",
    "ppm": ".ppm",
    "jpeg2000": ".jp2",
    "avif": ".avif",
    "dicom": ".dcm",
}

Made = Iterator[tuple[str, bytes]]


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    image.save(buffer := BytesIO(), kind, **options)
    return buffer.getvalue()


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a photograph"
    return exif


def _profile() -> bytes:
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + bytes(12) + made[36:]  # without the time at which it was made: the same files every day


def _pngs(image: Image.Image) -> Made:
    for mode in ("1", "L", "LA", "RGB", "RGBA", "P"):
        yield f"png-{mode.lower()}", _saved(image.convert(mode), "PNG")
    for bits in (1, 2, 4):
        yield f"png-palette{bits}", _saved(image.quantize(2**bits), "PNG", bits=bits)
    yield "png-clear-palette", _saved(image.quantize(16), "PNG", transparency=bytes(range(0, 256, 16)))
    yield "png-clear-colour", _saved(image, "PNG", transparency=(10, 20, 30))
    told = PngImagePlugin.PngInfo()
    told.add(b"gAMA", struct.pack(">I", 45_455))
    told.add(b"cHRM", struct.pack(">8I", *range(30_000, 38_000, 1000)))
    told.add_text("Title", "a photograph")
    yield "png-told", _saved(image, "PNG", pnginfo=told, dpi=(300, 200), icc_profile=_profile(), exif=_turned(6))
    frames = [image.rotate(angle) for angle in (0, 90)]
    yield "png-moving", _saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    for name, (bits, colours) in _PNG_BITS.items():
        values = _sixteen(np.asarray(image.convert({0: "L", 2: "RGB", 4: "LA", 6: "RGBA"}[colours])))
        yield f"png-{name}", _png(values, bits, colours, interlaced=False)
        yield f"png-{name}-interlaced", _png(values, bits, colours, interlaced=True)
    yield "png-rgb-interlaced", _png(np.asarray(image), 8, 2, interlaced=True)
    yield "png-dot", _saved(image.resize((1, 1)), "PNG")
    yield "png-line", _saved(image.resize((150, 1)), "PNG")


def _sixteen(values: Array) -> Array:
    return values.astype(np.uint16) * 257


def _png(values: Array, bits: int, colours: int, *, interlaced: bool) -> bytes:
    """Sorts that Pillow does not write."""
    passes = [values[row::down, column::across] for column, row, across, down in _ADAM7] if interlaced else [values]
    kept = values.dtype.newbyteorder(">")
    rows = b"".join(b"\0" + row.astype(kept).tobytes() for each in passes for row in each if each.size)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colours, 0, 0, interlaced)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, content) for name, content in chunks)


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _jpegs(image: Image.Image) -> Made:
    for mode in ("L", "RGB", "CMYK"):
        yield f"jpeg-{mode.lower()}", _saved(image.convert(mode), "JPEG")
    yield "jpeg-progressive", _saved(image, "JPEG", progressive=True, subsampling=2)
    yield "jpeg-profile", _saved(image, "JPEG", icc_profile=_profile(), dpi=(72, 72))
    yield "jpeg-cmyk-profile", _saved(image.convert("CMYK"), "JPEG", icc_profile=_profile())
    for orientation in (3, 6, 8):
        yield f"jpeg-turned{orientation}", _saved(image, "JPEG", exif=_turned(orientation))
    yield "jpeg-restarts", _saved(image, "JPEG", restart_marker_blocks=1)
    yield "jpeg-phone", _saved(image, "MPO", save_all=True, append_images=[image.rotate(90)])


def _tiffs(image: Image.Image) -> Made:
    grey, colours = np.asarray(image.convert("L")), np.asarray(image)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "F", "I", "I;16"):
        yield f"tiff-{mode.lower()}", _saved(_in_mode(image, mode), "TIFF")
    for packing in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg", "tiff_adobe_deflate"):
        yield f"tiff-{packing.removeprefix('tiff_')}", _saved(image, "TIFF", compression=packing)
    yield "tiff-fax", _saved(image.convert("1"), "TIFF", compression="group4")
    yield "tiff-turned", _saved(image, "TIFF", exif=_turned(6), dpi=(300, 200), icc_profile=_profile())
    yield "tiff-pages", _saved(image, "TIFF", save_all=True, append_images=[image.convert("L")])
    written: dict[str, tuple[Array, dict[str, Any]]] = {
        "white-is-zero": (255 - grey, {"photometric": "miniswhite"}),
        "white-is-zero16": (_sixteen(255 - grey), {"photometric": "miniswhite"}),
        "rgb16": (_sixteen(colours), {"photometric": "rgb"}),
        "rgb16-packed": (_sixteen(colours), {"photometric": "rgb", "compression": "zlib", "predictor": True}),
        "planes": (colours.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
        "planes16": (_sixteen(colours).transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
        "signed16": (grey.astype(np.int16) * 100, {"photometric": "minisblack"}),
        "half": ((grey / 255).astype(np.float16), {"photometric": "minisblack"}),
        "double": (grey / 255, {"photometric": "minisblack"}),
        "rgb-float": ((colours / 255).astype(np.float32), {"photometric": "rgb"}),
        "tiles": (_sixteen(grey), {"photometric": "minisblack", "tile": (16, 16)}),
        "strips": (colours, {"photometric": "rgb", "rowsperstrip": 2}),
    }
    for name, (values, options) in written.items():
        tifffile.imwrite(buffer := BytesIO(), values, metadata=None, **options)
        yield f"tiff-{name}", buffer.getvalue()
    headers: dict[str, dict[str, Any]] = {"big": {"bigtiff": True}, "motorola": {"byteorder": ">"}}
    for name, header in headers.items():
        tifffile.imwrite(buffer := BytesIO(), colours, metadata=None, photometric="rgb", **header)
        yield f"tiff-{name}", buffer.getvalue()
    for name, is_turned in {"twelve": False, "twelve-white-is-zero": True}.items():
        yield f"tiff-{name}", _twelve_bits(grey.astype(np.uint16) * 16, is_turned)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    grey = np.asarray(image.convert("L"))
    if mode == "F":
        return Image.fromarray(np.float32(grey / 255))
    if mode in ("I", "I;16"):
        return Image.fromarray(_sixteen(grey).astype(np.int32 if mode == "I" else np.uint16))
    return image.convert(mode)


def _twelve_bits(values: Array, is_turned: bool) -> bytes:
    """A grey TIFF of 12 bits, two values in three bytes; tifffile writes none."""
    pairs = values.reshape(-1, 2).astype(np.uint32)
    both = pairs[:, 0] << 12 | pairs[:, 1]
    packed = np.stack([both >> 16, both >> 8 & 255, both & 255], axis=1).astype(np.uint8).tobytes()
    height, width = values.shape
    tags = (
        *((256, width), (257, height), (258, 12), (259, 1), (262, 0 if is_turned else 1), (273, 122), (277, 1)),
        *((278, height), (279, len(packed))),
    )
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + packed


def _others(image: Image.Image) -> Made:
    frames = [image.rotate(angle) for angle in (0, 90, 180)]
    clear = image.convert("RGBA")
    clear.putalpha(image.convert("L"))
    yield "webp-rgb", _saved(image, "WEBP")
    yield "webp-lossless", _saved(image, "WEBP", lossless=True, icc_profile=_profile(), exif=_turned(6))
    yield "webp-clear", _saved(clear, "WEBP")
    yield "webp-moving", _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"bmp-{mode.lower()}", _saved(image.convert(mode), "BMP")
    for name, options in {"plain": {}, "interlaced": {"interlace": 1}, "clear": {"transparency": 3}}.items():
        yield f"gif-{name}", _saved(image.quantize(16), "GIF", **options)
    yield "gif-moving", _saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    for mode in ("1", "L", "RGB", "I;16"):
        yield f"ppm-{mode.lower()}", _saved(_in_mode(image, mode), "PPM")
    values = np.asarray(image)
    yield "ppm-ascii", f"P3\n# drawn\n{WIDTH} {HEIGHT}\n255\n{' '.join(map(str, values.ravel()))}\n".encode()
    yield "ppm-rgb16", f"P6 {WIDTH} {HEIGHT} 65535\n".encode() + _sixteen(values).astype(">u2").tobytes()
    yield "ppm-rgb10", f"P6 {WIDTH} {HEIGHT} 1023\n".encode() + (values.astype(">u2") * 4).tobytes()
    yield "ppm-float", f"Pf\n{WIDTH} {HEIGHT}\n-1.0\n".encode() + np.float32(values[..., 0] / 255).tobytes()
    if features.check("jpg_2000"):
        for mode in ("L", "RGB", "RGBA", "I;16"):
            yield f"jpeg2000-{mode.lower()}", _saved(_in_mode(image, mode), "JPEG2000")
        yield "jpeg2000-stream", _saved(image, "JPEG2000", no_jp2=True)
    if features.check("avif"):
        yield "avif-rgb", _saved(image, "AVIF", exif=_turned(6))
        yield "avif-clear", _saved(clear, "AVIF")


def _dicoms(image: Image.Image) -> Made:
    from pydicom import uid

    grey, colours = np.asarray(image.convert("L")), np.asarray(image)
    twelve = grey.astype(np.uint16) * 16
    window: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 1000, "RescaleSlope": 2, "RescaleIntercept": -1000}
    sorts: dict[str, Callable[[], bytes]] = {
        "plain": partial(dicom, twelve),
        "windows": partial(dicom, twelve, **window),
        "white-is-zero": partial(dicom, twelve, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0),
        "signed": partial(dicom, twelve.astype(np.int16) - 2000, **window),
        "eight": partial(dicom, grey),
        "rgb": partial(dicom, colours),
        "planes": partial(dicom, np.ascontiguousarray(colours.transpose(2, 0, 1)), PlanarConfiguration=1),
        "table": partial(dicom, twelve, with_table=True),
        "palette": partial(dicom, grey, with_palette=True),
        "implicit": partial(dicom, twelve, syntax=uid.ImplicitVRLittleEndian),
        "big-endian": partial(dicom, twelve, syntax=uid.ExplicitVRBigEndian),
        "rle": partial(dicom, twelve, packed="rle"),
        "jpeg": partial(dicom, grey, packed="jpeg"),
        "deflated": partial(dicom, twelve, syntax=uid.DeflatedExplicitVRLittleEndian),
        "bare": lambda: dicom(twelve)[132:],
    }
    for name, make in sorts.items():
        yield f"dicom-{name}", make()


def dicom(
    values: Array,
    *,
    syntax: Any = None,
    packed: str = "",
    with_table: bool = False,
    with_palette: bool = False,
    **elements: Any,
) -> bytes:
    """A secondary capture of nobody: ``H×W`` grey, ``H×W×3`` RGB, or ``3×H×W`` with ``PlanarConfiguration=1``."""
    from pydicom import encaps, uid
    from pydicom.dataset import Dataset, FileMetaDataset

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax or uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = uid.SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3.4"
    dataset.PatientName = "Nobody^Drawn"
    shape = values.shape[1:] if "PlanarConfiguration" in elements else values.shape
    dataset.Rows, dataset.Columns = shape[:2]
    dataset.SamplesPerPixel = values.size // (shape[0] * shape[1])
    dataset.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2"
    dataset.BitsAllocated = 8 * values.itemsize
    dataset.BitsStored = 8 if values.itemsize == 1 else 12
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    if values.ndim == 3:
        dataset.PlanarConfiguration = 0
    big = syntax == uid.ExplicitVRBigEndian
    kept = values.astype(values.dtype.newbyteorder(">")) if big else values
    dataset.PixelData = kept.tobytes()
    if with_table:
        dataset.VOILUTSequence = [Dataset()]
        dataset.VOILUTSequence[0].LUTDescriptor = [4096, 0, 8]
        dataset.VOILUTSequence[0].LUTData = (np.arange(4096) // 16).astype("<u2").tobytes()
    if with_palette:
        dataset.PhotometricInterpretation = "PALETTE COLOR"
        for number, colour in enumerate(("Red", "Green", "Blue")):
            setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
            table = (np.arange(256) * (255 + number) % 65536).astype("<u2").tobytes()
            setattr(dataset, f"{colour}PaletteColorLookupTableData", table)
    for name, value in elements.items():
        setattr(dataset, name, value)
    if packed == "rle":
        dataset.compress(uid.RLELossless, generate_instance_uid=False)
    elif packed:
        dataset.PixelData = encaps.encapsulate([_saved(Image.fromarray(values), "JPEG")])
        dataset.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    dataset.save_as(buffer := BytesIO(), enforce_file_format=True)
    return buffer.getvalue()
