"""Single images out of DICOM files, as a viewer shows them: rescaled, windowed, and bright where tissue is dense.

What comes out is an image. Header, patient and units stay behind, and no DICOM is ever written: a restored image in
an original's clothes would be taken for the original.
"""

import math
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deep_protection.errors import ImageError
from deep_protection.images.record import check_size
from deep_protection.optional import import_optional

SUFFIXES = (".dcm", ".dicom")
FORMAT = "DICOM"
_GREY = ("MONOCHROME1", "MONOCHROME2")
Values = NDArray[np.float64]
_DISPLAY = (
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth"),
    *("VOILUTFunction", "VOILUTSequence", "PixelPaddingValue", "PixelPaddingRangeLimit"),
)
_FAR = 1e12
"""What lies far outside of a window is shown as the least and the greatest value there is."""


def is_dicom(data: bytes, name: str = "") -> bool:
    """By its mark after 128 bytes; by its name where an old file has no mark."""
    return data[128:132] == b"DICM" or name.lower().endswith(SUFFIXES)


def library() -> Any:
    """pydicom, imported late."""
    import_optional("pydicom.pixels", needed_for="a DICOM file", extra="medical")
    return import_optional("pydicom", needed_for="a DICOM file", extra="medical")


def opened(data: bytes, what: str) -> tuple[Image.Image, tuple[str, ...]]:
    """The image – grey of 16 bits, or RGB – and notes for the user.

    Raises :class:`ImageError` for files without exactly one image. Whatever pydicom raises of a damaged one goes
    through.
    """
    pydicom = library()
    dataset = pydicom.dcmread(BytesIO(data), force=True)
    width, height = int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0)
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise ImageError(f"{what} is DICOM with pixels of floats, which are not read; save it with whole numbers")
    if not dataset.get("PixelData") or not width or not height:
        raise ImageError(f"{what} is DICOM without an image in it; give a file that has pixel data")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise ImageError(f"{what} has {frames} frames; only single ones are restored: save the one you want by itself")
    check_size(width, height, what)
    notes = [f"{what} is DICOM: what is restored is the image in it as shown, without the header, and not a DICOM"]
    notes += completed(pydicom, dataset)
    kind = str(dataset.get("PhotometricInterpretation"))
    values = _decoded(pydicom, dataset, what)
    if values.ndim == 3 and values.shape[-1] == 3 and values.dtype == np.uint8:
        return Image.fromarray(values), tuple(notes)
    if kind not in _GREY or values.ndim != 2:
        raise ImageError(f"{what} holds pixels of kind {kind}, {values.dtype}; grey and 8-bit colour ones can be used")
    shown, note = as_shown(pydicom.pixels, dataset, values)
    if kind == "MONOCHROME1":  # the least value is white
        shown = 1 - shown
    return Image.fromarray((shown * 65535).round().astype(np.uint16)), (*notes, *note)


def _decoded(pydicom: Any, dataset: Any, what: str) -> NDArray[Any]:
    # Bits that lie higher than they need, as old files have them: pydicom reads the lowest, whatever HighBit says.
    lifted = max(0, min(int(dataset.HighBit) + 1, int(dataset.BitsAllocated)) - int(dataset.BitsStored))
    dataset.BitsStored = int(dataset.BitsStored) + lifted
    try:
        values: NDArray[Any] = dataset.pixel_array >> lifted if lifted else dataset.pixel_array
    except (NotImplementedError, RuntimeError, AttributeError) as error:
        syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
        told = getattr(syntax, "name", "unknown")
        raise ImageError(
            f"{what} cannot be decoded (transfer syntax {told}: {str(error).splitlines()[0]}); "
            "save it uncompressed, as with dcmdjpeg or gdcmconv --raw"
        ) from None
    if str(dataset.get("PhotometricInterpretation")) == "PALETTE COLOR":
        coloured: NDArray[Any] = pydicom.pixels.apply_color_lut(values, dataset)
        return (coloured >> 8).astype(np.uint8) if coloured.dtype == np.uint16 else coloured
    return values


def completed(pydicom: Any, dataset: Any) -> list[str]:
    """Empty display elements taken out of ``dataset``, what old files lack put in as it mostly is; notes of that."""
    for name in _DISPLAY:
        if name in dataset and _is_empty(dataset[name].value):
            del dataset[name]
    guessed: list[str] = []
    samples = _given(dataset, "SamplesPerPixel", 1, guessed)
    _given(dataset, "PhotometricInterpretation", "MONOCHROME2" if samples == 1 else "RGB", guessed)
    pixels = int(dataset.Rows) * int(dataset.Columns) * int(samples)
    each = 16 if len(dataset.PixelData) >= 2 * pixels else 8
    allocated = _given(dataset, "BitsAllocated", each, guessed)
    stored = _given(dataset, "BitsStored", allocated, guessed)
    _given(dataset, "HighBit", int(stored) - 1, guessed)
    _given(dataset, "PixelRepresentation", 0, guessed)
    if int(samples) > 1:
        _given(dataset, "PlanarConfiguration", 0, guessed)
    if _is_empty(getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)):
        implicit, little = dataset.original_encoding
        meta = getattr(dataset, "file_meta", None)
        dataset.file_meta = pydicom.dataset.FileMetaDataset() if meta is None else meta
        kinds = pydicom.uid
        explicit = kinds.ExplicitVRLittleEndian if little else kinds.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = kinds.ImplicitVRLittleEndian if implicit else explicit
        guessed.append(f"TransferSyntaxUID {dataset.file_meta.TransferSyntaxUID.name}")
    return (
        [f"it does not say all of how its pixels are kept; taken for granted: {', '.join(guessed)}"] if guessed else []
    )


def as_shown(pixels: Any, dataset: Any, stored: NDArray[Any]) -> tuple[Values, tuple[str, ...]]:
    """``H×W`` values in ``[0, 1]``, and what to say of them.

    Args:
        pixels: pydicom's module of that name.
        dataset: without empty elements (:func:`completed`).
        stored: ``H×W`` values as they are kept.
    """
    notes: list[str] = []
    values = _rescaled(pixels, dataset, stored, notes)
    ways: list[Callable[[], tuple[Values, float, float]]] = []
    if "VOILUTSequence" in dataset:
        ways.append(lambda: _looked_up(pixels, dataset, values))
    if "WindowCenter" in dataset or "WindowWidth" in dataset:
        ways.append(lambda: _windowed(pixels, dataset, values))
    for way in ways:
        try:
            shown, low, high = way()
        except Exception as error:  # of an odd element pydicom raises nearly anything
            notes.append(f"its table or window of shades cannot be used ({str(error).splitlines()[0][:100]})")
            continue
        if high > low and np.isfinite(shown).all():
            return ((shown - low) / (high - low)).clip(0, 1), tuple(notes)
        notes.append("its table or window of shades is empty")
    seen = _without_padding(dataset, stored, values)
    low, high = float(seen.min()), float(seen.max())
    said = "it names no window that can be used" if ways else "it names no window"
    notes.append(f"{said}: it is shown from its least to its greatest value")
    if high == low:
        return np.zeros_like(values), tuple(notes)
    return ((values - low) / (high - low)).clip(0, 1), tuple(notes)


def _rescaled(pixels: Any, dataset: Any, stored: NDArray[Any], notes: list[str]) -> Values:
    """In the units of the window, by a table or a line."""
    try:
        if "ModalityLUTSequence" in dataset:
            return np.asarray(pixels.apply_modality_lut(stored, dataset), np.float64)
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
        if slope == 0 or not math.isfinite(slope) or not math.isfinite(intercept):
            raise ValueError(f"slope {slope:g}, intercept {intercept:g}")
        return stored.astype(np.float64) * slope + intercept
    except Exception as error:  # as above
        notes.append(f"its values cannot be rescaled ({str(error).splitlines()[0][:100]}); they are taken as they are")
        return stored.astype(np.float64)


def _looked_up(pixels: Any, dataset: Any, values: Values) -> tuple[Values, float, float]:
    bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
    shown = pixels.apply_voi(values.astype(np.int64), dataset).astype(np.float64)
    return shown, 0.0, float(2**bits - 1)


def _windowed(pixels: Any, dataset: Any, values: Values) -> tuple[Values, float, float]:
    if dataset.get("VOILUTFunction") not in (None, "LINEAR", "LINEAR_EXACT", "SIGMOID"):
        del dataset.VOILUTFunction
    with np.errstate(over="ignore"):
        low, high = pixels.apply_windowing(np.array([-_FAR, _FAR]), dataset)
        return pixels.apply_windowing(values, dataset), float(low), float(high)


def _without_padding(dataset: Any, stored: NDArray[Any], values: Values) -> Values:
    """The values that are no padding; all of them where that leaves none, or what is padding is not said in numbers."""
    try:
        one = _as_stored(dataset, dataset.PixelPaddingValue)
        other = _as_stored(dataset, dataset.get("PixelPaddingRangeLimit", one))
    except (AttributeError, TypeError, ValueError):
        return values
    seen = values[(stored < min(one, other)) | (stored > max(one, other))]
    return seen if seen.size else values


def _as_stored(dataset: Any, value: Any) -> int:
    """A padding value with the sign of the pixels: many devices write that of signed ones as an unsigned number."""
    number, whole = int(value), 1 << int(dataset.BitsAllocated)
    if int(dataset.PixelRepresentation) == 1:
        return number - whole if number >= whole // 2 else number
    return number % whole


def _given(dataset: Any, name: str, usual: Any, guessed: list[str]) -> Any:
    """The value of an element; the ``usual`` one, put in, where it has none."""
    if name not in dataset or _is_empty(dataset[name].value):
        setattr(dataset, name, usual)
        guessed.append(f"{name} {usual}")
    return getattr(dataset, name)


def _is_empty(value: Any) -> bool:
    """Whether an element holds nothing: no value, no text, no items, or empty ones only."""
    if value is None or value == "":
        return True
    if isinstance(value, str | bytes) or not hasattr(value, "__len__"):
        return not str(value).strip() if isinstance(value, str) else False
    return all(_is_empty(each) for each in value)
