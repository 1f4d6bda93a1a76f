"""Words found on maps, by the reader alone, behind the usual filters, and with the Deep Image Residual.

Rows hold what was read, with places, so that every way of counting can be tried afterwards.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deep_protection.evaluation.experiment import Store
from deep_protection.fitting import FitTask, fit
from deep_protection.images import as_image, read_image
from deep_protection.images.convert import to_rgb
from deep_protection.maps import Legibility, Word, as_record, dark_ink, deep_image_residual
from deep_protection.maps.extract import OVERLAP, WINDOW, merged
from deep_protection.maps.lettering import layer, lettering
from deep_protection.maps.library import opencv
from deep_protection.maps.reader import Reader
from deep_protection.maps.residual import RESIDUAL
from deep_protection.maps.window import Window, on_paper
from deep_protection.maps.words import words_in
from deep_protection.restoration.tiles import cut_tiles
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


def run(folder: Path, out: Path = RESULTS, limit: int | None = None) -> None:
    """Every sheet by every method; what is in ``out`` already is left alone."""
    torch.set_num_threads(1)
    reader = Reader()
    files = sorted(folder.glob("*.png"))[:limit]
    with Store(out, {"words": ("sheet", "method")}) as store:
        for number, file in enumerate(files):
            done = {row["method"] for row in store.rows("words") if row["sheet"] == file.name}
            image = as_image(read_image(str(file))[0])
            sheet = to_rgb(image.pixels)
            for method, words, seconds in _methods(reader, image.pixels, sheet, done):
                about = {"sheet": file.name, "method": method, "cpu_seconds": round(seconds, 2)}
                store.add(words=[{**about, "words": [as_record(word) for word in words]}])
            sys.stderr.write(f"maps: {number + 1} of {len(files)} sheets\n")


def _methods(
    reader: Reader, pixels: torch.Tensor, sheet: Sheet, done: set[str]
) -> Iterator[tuple[str, list[Word], float]]:
    for name, change in FILTERS.items():
        if name not in done:
            begin = time.process_time()
            yield name, _read(reader, change(sheet)), time.process_time() - begin
    if "together" not in done:
        yield from _layers(reader, pixels, sheet)
    if max(sheet.shape) <= RESIDUAL.tile and f"residual@{SWEPT[-1]}" not in done:
        yield from _sweep(reader, pixels)


def _read(reader: Reader, sheet: Sheet) -> list[Word]:
    return [word for line in reader.read(sheet) for word in words_in(line, "sheet")]


def _layers(reader: Reader, pixels: torch.Tensor, sheet: Sheet) -> Iterator[tuple[str, list[Word], float]]:
    """Together, and the same without the residual: the layers of the sheet's own ink alone."""
    begin = time.process_time()
    ink = dark_ink(deep_image_residual(pixels, workers=1)).numpy()
    fitted = time.process_time() - begin
    found: dict[str, list[Word]] = {"together": [], "own ink": [], "residual": []}
    for tile in cut_tiles(ink.shape[0], ink.shape[1], WINDOW, OVERLAP):
        window = Window.of(tile, sheet, ink)
        plain = window.sheet_words(reader)
        readings = window.readings(reader, plain)
        straight = readings[0][0] if readings[0] else []
        for name, words in (
            ("together", window.found(reader, plain, readings)),
            ("own ink", window.found(reader, plain, [[], *readings[1:]])),
            ("residual", straight),
        ):
            found[name] = merged(found[name], window.placed(words))
    spent = time.process_time() - begin
    yield "residual", found["residual"], fitted
    yield "own ink", found["own ink"], spent - fitted
    yield "together", found["together"], spent


def _sweep(reader: Reader, pixels: torch.Tensor) -> Iterator[tuple[str, list[Word], float]]:
    """The residual's layer read straight, iteration by iteration; and which the rule takes."""
    seed = image_seed(0, pixels)
    task = FitTask(target=pixels, recipe=RESIDUAL.recipe, rule=Fixed(SWEPT[-1]), seed=seed, keep_outputs=True)
    trajectory = fit(task)
    for index, point in enumerate(trajectory):
        if point.iteration in SWEPT:
            ink = dark_ink(pixels - trajectory.outputs[index]).numpy()
            words = _read(reader, on_paper(layer(ink, lettering(ink))))
            yield f"residual@{point.iteration}", words, point.seconds
    chosen = fit(FitTask(target=pixels, recipe=RESIDUAL.recipe, rule=Legibility(), seed=seed))
    yield f"chosen@{chosen.iteration_chosen}", [], chosen[-1].seconds
