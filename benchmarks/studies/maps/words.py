"""Words found on maps, by the reader alone, behind the usual filters, and with the Deep Image Residual.

Rows hold what was read, with places, so that every way of counting can be tried afterwards.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.rows import Row
from deep_protection.evaluation.experiment import Store
from deep_protection.fitting import FitTask, fit
from deep_protection.images import as_image, read_image
from deep_protection.images.convert import to_rgb
from deep_protection.maps import Legibility, Word, as_record, dark_ink, deep_image_residual, extract_text
from deep_protection.maps.lettering import layer, lettering
from deep_protection.maps.library import opencv
from deep_protection.maps.reader import Line
from deep_protection.maps.residual import RESIDUAL
from deep_protection.maps.window import on_paper
from deep_protection.maps.words import words_in
from deep_protection.seeds import image_seed
from deep_protection.stopping import Fixed

RESULTS = Path("docs/results/maps")
SWEPT = (5, 10, 15, 20, 30, 40)
"""Iterations whose residual is read, to see which is best."""

Sheet = NDArray[np.uint8]


def black_hat(sheet: Sheet) -> Sheet:
    """What a closing of 15 px fills: dark and thin."""
    cv2 = opencv()
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    return _grey(255 - cv2.morphologyEx(cv2.cvtColor(sheet, cv2.COLOR_RGB2GRAY), cv2.MORPH_BLACKHAT, ellipse))


def sauvola(sheet: Sheet) -> Sheet:
    """Black and white by Sauvola's local threshold (2000), 25 px."""
    from skimage.filters import threshold_sauvola

    grey = opencv().cvtColor(sheet, opencv().COLOR_RGB2GRAY)
    return _grey(np.where(grey < threshold_sauvola(grey, 25), 0, 255).astype(np.uint8))


def less_median(sheet: Sheet) -> Sheet:
    """The sheet less its median of 21 px."""
    cv2 = opencv()
    grey = cv2.cvtColor(sheet, cv2.COLOR_RGB2GRAY)
    ink = np.clip(cv2.medianBlur(grey, 21).astype(int) - grey, 0, 255)
    return _grey((255 - ink).astype(np.uint8))


def _grey(values: Any) -> Sheet:
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=2)


FILTERS: dict[str, Callable[[Sheet], Sheet]] = {
    "sheet": lambda sheet: sheet,
    "black-hat": black_hat,
    "sauvola": sauvola,
    "less median": less_median,
}


class BareReader:
    """rapidocr as it comes, on one core."""

    def __init__(self) -> None:
        from rapidocr import RapidOCR

        settings = {"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": 1}
        self._engine = RapidOCR(params=settings)

    def read(self, sheet: Sheet) -> list[Word]:
        """Words of an ``H×W×3`` RGB image; of a line each has its letters' share."""
        found = self._engine(sheet[..., ::-1], use_cls=False)
        lines = [] if found.boxes is None else zip(found.boxes, found.txts, found.scores, strict=True)
        return [
            word
            for corners, text, confidence in lines
            for word in words_in(Line(text, np.asarray(corners, np.float64), float(confidence)), "sheet")
        ]


Method = Callable[[BareReader, torch.Tensor], list[Word]]


def run(folder: Path, out: Path = RESULTS, methods: Sequence[str] = (), limit: int | None = None) -> None:
    """Every sheet of which anything is known, by ``methods``; what is in ``out`` already is left alone.

    With no ``methods`` by all of them, and the residual's iterations are swept.
    """
    compare(folder, out, methods or tuple(METHODS), limit)
    if not methods:
        _sweep(folder, out, limit)


def compare(folder: Path, out: Path, methods: Sequence[str], limit: int | None = None) -> None:
    """The words that ``methods`` find on ``folder``'s sheets, and the CPU seconds that they take."""
    torch.set_num_threads(1)
    reader = BareReader()
    with Store(out, {"words": ("sheet", "method")}) as store:
        for file in _sheets(folder, limit):
            done = {row["method"] for row in store.rows("words") if row["sheet"] == file.name}
            pixels = as_image(read_image(str(file))[0]).pixels
            for method in methods:
                if method not in done:
                    begin = time.process_time()
                    words = METHODS[method](reader, pixels)
                    store.add(words=[_row(file, method, words, time.process_time() - begin)])
            sys.stderr.write(f"maps: {file.name}\n")


def _sheets(folder: Path, limit: int | None) -> list[Path]:
    known = json.loads((folder / "ground_truth.json").read_text())
    return [file for file in sorted(folder.glob("*.png")) if known.get(file.name)][:limit]


def _row(file: Path, method: str, words: list[Word], seconds: float) -> Row:
    about = {"sheet": file.name, "method": method, "cpu_seconds": round(seconds, 2)}
    return {**about, "words": [as_record(word) for word in words]}


def _filtered(change: Callable[[Sheet], Sheet]) -> Method:
    return lambda reader, pixels: reader.read(change(to_rgb(pixels)))


def _together(_: BareReader, pixels: torch.Tensor) -> list[Word]:
    """All that the command does: the fit, reading, painting over."""
    return extract_text(pixels, workers=1).words


def _residual(reader: BareReader, pixels: torch.Tensor) -> list[Word]:
    ink = dark_ink(deep_image_residual(pixels, workers=1)).numpy()
    return reader.read(on_paper(layer(ink, lettering(ink))))


METHODS: dict[str, Method] = {
    **{name: _filtered(change) for name, change in FILTERS.items()},
    "together": _together,
    "residual": _residual,
}


def _sweep(folder: Path, out: Path, limit: int | None) -> None:
    """The residual's layer read straight, iteration by iteration; and which the rule takes."""
    reader = BareReader()
    with Store(out, {"words": ("sheet", "method")}) as store:
        for file in _sheets(folder, limit):
            pixels = as_image(read_image(str(file))[0]).pixels
            done = {row["method"] for row in store.rows("words") if row["sheet"] == file.name}
            if max(pixels.shape) <= RESIDUAL.tile and f"residual@{SWEPT[-1]}" not in done:
                store.add(words=[_row(file, *each) for each in _swept(reader, pixels)])


def _swept(reader: BareReader, pixels: torch.Tensor) -> Iterator[tuple[str, list[Word], float]]:
    seed = image_seed(0, pixels)
    task = FitTask(target=pixels, recipe=RESIDUAL.recipe, rule=Fixed(SWEPT[-1]), seed=seed, keep_outputs=True)
    trajectory = fit(task)
    for index, point in enumerate(trajectory):
        if point.iteration in SWEPT:
            ink = dark_ink(pixels - trajectory.outputs[index]).numpy()
            words = reader.read(on_paper(layer(ink, lettering(ink))))
            yield f"residual@{point.iteration}", words, point.seconds
    chosen = fit(FitTask(target=pixels, recipe=RESIDUAL.recipe, rule=Legibility(), seed=seed))
    yield f"chosen@{chosen.iteration_chosen}", [], chosen[-1].seconds
