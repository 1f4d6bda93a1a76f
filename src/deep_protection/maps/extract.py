"""Text out of a map: where it is, what it says, and the map without it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deep_protection.errors import CancelledError
from deep_protection.fitting import Recipe
from deep_protection.images import ImageRecord, as_image, read_image
from deep_protection.images.convert import to_rgb
from deep_protection.maps.legibility import dark_ink
from deep_protection.maps.lettering import Ink, darker
from deep_protection.maps.library import opencv
from deep_protection.maps.reader import Reader
from deep_protection.maps.residual import deep_image_residual
from deep_protection.maps.window import Window, tile_of
from deep_protection.maps.words import Word, covers, letters_of
from deep_protection.restoration import FitKeywords, FitOptions, Preset, purify_each, with_holes
from deep_protection.restoration.tiles import Patches, Tile, cut_tiles
from deep_protection.stopping import StopRule

WINDOW, OVERLAP = 960, 240
"""Sheets are read in windows of this side, in pixels, which share so much with their neighbours: memory stays bounded,
and a word shorter than the overlap is whole in one of them."""
WITHOUT_TEXT = Preset(
    name="without-text",
    recipe=Recipe(generator="fast", precision="bfloat16", ema_decay=0.95, checkpoint_every=25),
    stop="fixed:40",
)


@dataclass(frozen=True, slots=True, eq=False)
class ExtractedText:
    """What :func:`extract_text` found on a sheet of ``H×W`` pixels."""

    words: list[Word]
    """From top to bottom."""
    text_layer: Image.Image
    """RGBA, the size of the sheet: the ink of what may be lettering, transparent elsewhere. Symbols of a letter's size,
    such as trees, are in it too."""
    without_text: Any
    """The sheet, in the caller's own type, with everything in the words' places painted over by the prior."""
    sheet: Image.Image
    notes: tuple[str, ...] = ()
    """What the image's reading has to tell, such as that only its first frame was used."""

    @property
    def overlay(self) -> Image.Image:
        """The sheet with a frame around every word."""
        from PIL import ImageDraw

        shown = self.sheet.copy()
        pen = ImageDraw.Draw(shown)
        for word in self.words:
            colour = (198, 40, 40) if word.source == "sheet" else (21, 101, 192)
            pen.polygon(word.corners, outline=colour, width=3)
        return shown


def extract_text(
    image: Any,
    *,
    ocr: bool = True,
    stop: str | StopRule | None = None,
    on_window: Callable[[int, int], None] = lambda *_: None,
    **options: Unpack[FitKeywords],
) -> ExtractedText:
    """Separate the lettering of a map from the rest, and read it.

    Args:
        image: a path, bytes, Pillow image, array or tensor, as for :func:`deep_protection.purify`.
        ocr: whether to read words; without, only the layer and the map are made, and all lettering is painted over.
        stop: when to end the fit whose residual is taken; None takes the rule of its own.
        on_window: called after every window of the sheet, with how many are done and how many there are.
        options: ``seed``, ``device``, ``seconds``, ``workers``, ``progress`` and ``is_cancelled``:
            :class:`deep_protection.FitOptions`. Progress is that of the residual; each fit has so many seconds; reading
            can be cancelled too.

    Raises:
        ImageError: the image cannot be used. MissingExtraError: the extra ``ocr`` is not installed.
    """
    given = FitOptions(**options)
    opencv()
    reader = Reader() if ocr else None
    notes: tuple[str, ...] = ()
    if isinstance(image, str | os.PathLike):
        image, _, notes = read_image(image)  # once: it may be a pipe
    # A sheet's pixels as floats take gigabytes. They are made twice rather than kept while it is read.
    paper = _on_cpu(as_image(image)).on_paper  # what is drawn on transparent ground is read as on paper
    ink = dark_ink(deep_image_residual(paper, stop=stop, **options)).numpy()
    sheet = to_rgb(paper)
    del paper
    letters = np.zeros(ink.shape, np.float32)
    words: list[Word] = []
    tiles = cut_tiles(ink.shape[0], ink.shape[1], WINDOW, OVERLAP)
    for number, tile in enumerate(tiles):
        if given.is_cancelled():
            raise CancelledError("reading was cancelled")
        window = Window.of(tile, sheet, ink)
        for shown in window.layers:
            np.maximum(tile_of(letters, tile), shown, out=tile_of(letters, tile))
        if reader is not None:
            words = merged(words, window.words(reader))
        on_window(number + 1, len(tiles))
    words.sort(key=lambda word: (word.box[1], word.box[0]))
    del ink, reader
    text_layer = _as_layer(sheet, letters)
    record = _on_cpu(as_image(image))
    known = _known(record, letters, words if ocr else None)
    del letters
    without = _without(record, known, replace(given, progress=None))
    return ExtractedText(words, text_layer, without, Image.fromarray(sheet), (*notes, *record.notes))


def _on_cpu(image: ImageRecord) -> ImageRecord:
    """OpenCV and the reader know no other place; ``to_original`` brings a tensor back to its own."""
    alpha = None if image.alpha is None else image.alpha.cpu()
    return replace(image, pixels=image.pixels.cpu(), alpha=alpha)


def merged(words: list[Word], more: list[Word]) -> list[Word]:
    """Words of two windows: of what both have, the longer reading, then the surer."""
    kept = list(words)
    for word in more:
        rivals = [other for other in kept if covers(word, other, 0.5)]
        if all(_worth(word) > _worth(other) for other in rivals):
            kept = [other for other in kept if other not in rivals] + [word]
    return kept


def _worth(word: Word) -> tuple[int, float]:
    return len(letters_of(word.text)), word.confidence


def _as_layer(sheet: NDArray[np.uint8], letters: Ink) -> Image.Image:
    """The sheet's own colours, as opaque as there is lettering."""
    opacity = (255 * letters).round().astype(np.uint8)[..., None]
    return Image.fromarray(np.concatenate([sheet, opacity], axis=2))


def _known(image: ImageRecord, letters: Ink, words: list[Word] | None) -> Tensor:
    """``H×W``: false where the sheet is dark in the words' places; without words, where there is lettering."""
    cv2 = opencv()
    if words is None:
        mask = (letters > 0.1).astype(np.uint8)
    else:
        mask = np.zeros(letters.shape, np.uint8)
        for word in words:
            cv2.fillPoly(mask, [np.round(np.array(word.corners)).astype(np.int32)], 1)
        mask &= darker(1 - image.on_paper.amax(dim=0).numpy()).astype(np.uint8)
    return torch.from_numpy(cv2.dilate(mask, np.ones((7, 7), np.uint8)) == 0)


def _without(image: ImageRecord, known: Tensor, options: FitOptions) -> Any:
    """The sheet with what is not known painted over by the prior.

    Only tiles with something to paint are fitted, each as an image of its own, and only what is painted is kept.
    """
    height, width = known.shape
    cuts = cut_tiles(height, width, WITHOUT_TEXT.tile, WITHOUT_TEXT.overlap)
    tiles = [tile for tile in cuts if not bool(tile.of(known).all())]
    if not tiles:
        return image.to_original(image.pixels)
    # One tile alone is taken as it is: weights are not to round it.
    paper, painted = image.on_paper, Patches(~known, WITHOUT_TEXT.overlap if len(cuts) > 1 else 1)

    def holed(tile: Tile) -> ImageRecord:
        return with_holes(ImageRecord(tile.of(paper)), tile.of(known))

    drawn = purify_each((holed(tile) for tile in tiles), len(tiles), WITHOUT_TEXT, WITHOUT_TEXT.rule(), options)
    for tile, result in zip(tiles, drawn, strict=True):
        painted.add(tile, result.image)
    # In place, where nothing else is made of them: a sheet's floats are its largest part.
    pixels = image.pixels if image.alpha is None else image.pixels.clone()
    values = painted.finish()
    del painted, drawn
    pixels[:, ~known] = values
    return image.to_original(pixels)
