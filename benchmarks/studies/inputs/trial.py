"""One file through the functions that people give files to, and whether what came out is right."""

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps
from torch import nn

import deep_protection as dp
from deep_protection import Calibration, Classifier, Detection, ExtractedText
from deep_protection.classifiers.preprocessing import ResizeAndCrop
from deep_protection.errors import DeepProtectionError, ImageError, MissingExtraError
from deep_protection.evaluation import imagenet_samples
from deep_protection.images import as_image, bytes_format, encode, read_image
from deep_protection.images.io import FORMATS

FINE = ("right", "refused")
LARGE = 100_000
"""Pixels of an image from which on it is only read: a fit of it would take the time of hundreds of others."""
WRITTEN = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
EACH_TEXT, EACH_WORDS, EACH_LITE0 = 6, 800, 200
"""Of how many files one has its text layer taken out, its words read, and lite0 instead of a tiny classifier."""
_MODES = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "La": "LA",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "F": "F",
    "I": "I",
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), "I;16"),
}
"""Mode of what comes back by that of what was read, where that is not RGB."""
_WHY = {
    "truncated or damaged": "damaged",
    "is not an image of a known format": "unknown",
    "damaged or of a sort": "unknown sort",
    "no palette": "no palette",
    "in planes of their own": "planes",
    "has no pixels": "no pixels",
    "million pixels, the limit is": "too large",
    "too many pixels": "too large",
    "NaN or infinite": "no numbers",
    "expected [0, 1]": "out of range",
    "16-bit images hold": "out of range",
    "the mask": "mask",
    "cannot be decoded": "not decoded",
    "holds pixels of kind": "kind",
    "without an image": "no image",
}
"""What messages say, in short."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file holds."""

    size: tuple[int, int]
    mode: str
    values: NDArray[np.float64] | None = None
    """As they are to come back where nothing was filled; None where that is not compared."""

    @property
    def is_large(self) -> bool:
        return self.size[0] * self.size[1] > LARGE


def serve(pipe: Connection, folder: str) -> None:
    """Try files that come through ``pipe`` until it is closed; what is printed meanwhile is a fault too."""
    torch.set_num_threads(1)
    trial = Trial(Path(folder))
    trial.divert()
    pipe.send("ready")
    while True:
        number, data, suffix, is_sound = pipe.recv()
        trial.judge(number, data, suffix, is_sound=is_sound, tell=lambda *said: pipe.send(said))
        pipe.send(None)


class Trial:
    """What is needed to try files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lite0 = dp.load_classifier("lite0")
        self.tiny, self.calibration = tiny_classifier()
        self.said: Path | None = None

    def divert(self) -> None:
        """What this process prints from now on goes into a file, C libraries' words too."""
        self.said = self.folder / "said"
        place = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(place, 1)
        os.dup2(place, 2)

    def judge(
        self, number: int, data: bytes, suffix: str, *, is_sound: bool, tell: Callable[[str, str], object]
    ) -> None:
        """Give a file to every function whose turn it is; ``tell`` is called before each and with what became of it."""
        path = self.folder / f"given{suffix}"
        path.write_bytes(data)
        seen = _seen(data, suffix)
        if seen is not None and seen.is_large:
            turns: dict[str, Callable[[], str]] = {"read": partial(_read, path, seen)}
        else:
            turns = self._turns(number, path, data, seen)
        for name, act in turns.items():
            tell(name, "")
            outcome = self._outcome(act)
            tell(name, "sound, but " + outcome if is_sound and outcome.startswith("refused") else outcome)

    def _turns(self, number: int, path: Path, data: bytes, seen: Seen | None) -> dict[str, Callable[[], str]]:
        with_lite0 = number % EACH_LITE0 == 0
        turns: dict[str, Callable[[], str]] = {
            "purify": partial(_purify, data if number % 3 == 0 else path, seen, WRITTEN[number % len(WRITTEN)]),
            "inpaint": partial(_inpaint, path, seen),
            "detect": partial(_detect, path, self.lite0, None) if with_lite0 else self._detect_tiny(path),
        }
        if number % EACH_WORDS == 0:
            turns["words"] = partial(_extract_text, path, seen, ocr=True)
        elif number % EACH_TEXT == 0:
            turns["extract_text"] = partial(_extract_text, path, seen, ocr=False)
        return turns

    def _detect_tiny(self, path: Path) -> Callable[[], str]:
        return partial(_detect, path, self.tiny, self.calibration)

    def _outcome(self, act: Callable[[], str]) -> str:
        before = self._printed()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                outcome = act()
            except MissingExtraError:
                raise
            except DeepProtectionError as error:
                kind = "" if isinstance(error, ImageError) else f"{type(error).__name__}, "
                outcome = f"refused: {kind}{_why(str(error))}"
            except BaseException as error:
                outcome = f"raw: {type(error).__name__}: {str(error)[:120]}"
        # Ours are notes for whoever called, which is this file.
        leaked = [each for each in told if each.filename != __file__]
        if leaked:
            return f"warning: {leaked[0].category.__name__}: {str(leaked[0].message)[:120]} ({outcome})"
        printed = self._printed()[len(before) :]
        return f"printed: {printed[:120]} ({outcome})" if printed else outcome

    def _printed(self) -> str:
        return self.said.read_text(errors="replace") if self.said is not None else ""


def tiny_classifier() -> tuple[Classifier, Calibration]:
    """A classifier of 32×32 images with weights drawn at random, and what clean images look like to it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(128, 10),
        )
    model = Classifier(network, name="tiny", preprocess=ResizeAndCrop(resize=32, crop=32))
    samples = [model.preprocess(image) for image, _ in imagenet_samples()[:20]]
    return model, dp.calibrate(samples, model, quick=True, description="samples", workers=1)


def _seen(data: bytes, suffix: str) -> Seen | None:
    """What a result of the file has to look like, by Pillow or pydicom alone; None for what they cannot read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if data[128:132] == b"DICM" or suffix == ".dcm":
                return _seen_dicom(data)
            with Image.open(BytesIO(data), formats=FORMATS) as opened:
                if opened.width * opened.height > LARGE:
                    return Seen(opened.size, "")
                opened.load()
                return _seen_image(opened)
    except Exception:
        return None


def _seen_image(opened: ImageFile.ImageFile) -> Seen:
    try:
        shown: Image.Image = ImageOps.exif_transpose(opened)
    except Exception:  # damaged EXIF data turns nothing
        shown = opened.copy()
    clear = opened.mode not in ("I", "F", *_SIXTEEN) and opened.has_transparency_data
    grey = opened.mode in ("1", "L", "LA", "La")
    mode = ("LA" if grey else "RGBA") if clear else _MODES.get(opened.mode, "RGB")
    # 12 bits and white for zero come back as 16 bits and black for zero; inks go through their profile.
    if (opened.format == "TIFF" and opened.mode in _SIXTEEN) or (
        opened.mode == "CMYK" and "icc_profile" in opened.info
    ):
        return Seen(shown.size, mode)
    return Seen(shown.size, mode, np.asarray(shown if shown.mode == mode else shown.convert(mode)).astype(np.float64))


_SIXTEEN = tuple(mode for mode, kept in _MODES.items() if kept == "I;16")


def _seen_dicom(data: bytes) -> Seen:
    import pydicom

    dataset = pydicom.dcmread(BytesIO(data), force=True)
    is_table = dataset.get("PhotometricInterpretation") == "PALETTE COLOR"
    coloured = is_table or int(dataset.get("SamplesPerPixel") or 1) == 3
    return Seen((int(dataset.Columns), int(dataset.Rows)), "RGB" if coloured else "I;16")


def _is(got: Any, wanted: Any) -> str:
    return "right" if tuple(got) == tuple(wanted) else f"wrong: {tuple(got)}, not {tuple(wanted)}"


def _looks(image: Image.Image, seen: Seen | None) -> str:
    if seen is None:
        return f"wrong: {image.size} {image.mode} of what cannot be read"
    return _is((*image.size, image.mode), (*seen.size, seen.mode))


def _read(path: Path, seen: Seen) -> str:
    return _is(sorted(as_image(path).pixels.shape[1:]), sorted(seen.size))  # turned or not


def _purify(given: Path | bytes, seen: Seen | None, written: str) -> str:
    if isinstance(given, bytes):
        with Image.open(BytesIO(dp.purify(given, stop="fixed:1", workers=1))) as opened:
            size, kind = opened.size, opened.format
        wanted = bytes_format(read_image(given)[1])
        return _is((*size, kind), (*(seen.size if seen else (0, 0)), wanted))
    made = dp.purify(given, stop="fixed:1", workers=1)
    with Image.open(BytesIO(encode(made, written))) as opened:
        if opened.size != made.size:
            return f"wrong: written as {opened.size}"
    return _looks(made, seen)


def _inpaint(path: Path, seen: Seen | None) -> str:
    width, height = seen.size if seen else (24, 18)
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2 + 1] = True
    made = dp.inpaint(path, mask, stop="fixed:1", fits=1, workers=1)
    outcome = _looks(made, seen)
    if outcome != "right" or seen is None or seen.values is None:
        return outcome
    changed = np.abs(seen.values - np.asarray(made).astype(np.float64)) > (1e-5 if made.mode == "F" else 0)
    return "wrong: changed what is not masked" if changed[~mask].any() else outcome


def _detect(path: Path, model: Classifier, calibration: Calibration | None) -> str:
    found: Detection = dp.detect(path, model, quick=True, calibration=calibration, workers=1)
    return "right" if 0 <= found.p_value <= 1 and np.isfinite(found.score) else f"wrong: p {found.p_value}"


def _extract_text(path: Path, seen: Seen | None, *, ocr: bool) -> str:
    found: ExtractedText = dp.extract_text(path, ocr=ocr, stop="fixed:1", workers=1)
    for layer, mode in ((found.text_layer, "RGBA"), (found.overlay, "RGB")):
        if seen is not None and (layer.size, layer.mode) != (seen.size, mode):
            return f"wrong: a layer of {layer.size} {layer.mode}"
    return _looks(found.without_text, seen)


def _why(message: str) -> str:
    return next((short for told, short in _WHY.items() if told in message), message[:60])
