"""Single pictures out of DICOM files, as a viewer shows them: rescaled, windowed, and bright where tissue is dense.

What comes out is a picture. Header, patient and units stay behind, and no DICOM is ever written: a restored picture in
an original's clothes would be taken for the original.
"""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deep_protection.errors import ImageError, MissingExtraError
from deep_protection.images.dicom_shown import as_shown, completed
from deep_protection.images.limits import check_size

SUFFIXES = (".dcm", ".dicom")
FORMAT = "DICOM"
_GREY = ("MONOCHROME1", "MONOCHROME2")


def is_dicom(data: bytes, name: str = "") -> bool:
    """By its mark after 128 bytes; by its name where an old file has no mark."""
    return data[128:132] == b"DICM" or name.lower().endswith(SUFFIXES)


def library() -> Any:
    """pydicom, imported late."""
    try:
        import pydicom
        import pydicom.pixels
    except ImportError as error:
        raise MissingExtraError(
            f"DICOM files need pydicom, which is missing ({error}); run: pip install 'deep-protection[medical]'"
        ) from error
    return pydicom


def opened(data: bytes, what: str) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture – grey of 16 bits, or RGB – and notes for the user.

    Raises :class:`ImageError` for files without exactly one picture. Whatever pydicom raises of a damaged one goes
    through.
    """
    pydicom = library()
    dataset = pydicom.dcmread(BytesIO(data), force=True)
    width, height = int(dataset.get("Columns") or 0), int(dataset.get("Rows") or 0)
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise ImageError(f"{what} is DICOM with pixels of floats, which are not read; save it with whole numbers")
    if not dataset.get("PixelData") or not width or not height:
        raise ImageError(f"{what} is DICOM without a picture in it; give a file that has pixel data")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise ImageError(f"{what} has {frames} frames; only single ones are restored: save the one you want by itself")
    check_size(width, height, what)
    notes = [f"{what} is DICOM: what is restored is the picture in it as shown, without the header, and not a DICOM"]
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
