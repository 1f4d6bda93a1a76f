"""Text out of a map: where it is, what it says, and the map without it."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deep_protection.errors import CancelledError
from deep_protection.images import ImageRecord, as_image, read_image
from deep_protection.images.convert import to_rgb
from deep_protection.maps.legibility import dark_ink
from deep_protection.maps.lettering import Ink
from deep_protection.maps.library import opencv
from deep_protection.maps.painting import ink_of_lettering, ink_of_words, painted_over
from deep_protection.maps.reader import Line, Reader
from deep_protection.maps.residual import deep_image_residual
from deep_protection.maps.scripts import Script, check_script, sifted
from deep_protection.maps.upright import as_it_lay, quarters_turned
from deep_protection.maps.vocabulary import Vocabulary, find_vocabulary, told_of
from deep_protection.maps.window import Window, is_coloured, tile_of
from deep_protection.maps.words import ALONE, Word, is_taken, merged, words_in
from deep_protection.restoration import FitKeywords, FitOptions
from deep_protection.restoration.tiles import cut_tiles
from deep_protection.stopping import StopRule

WINDOW, OVERLAP = 680, 240
"""Sheets are read in windows of this side, in pixels, which share so much with their neighbours: memory stays bounded,
and a word shorter than the overlap is whole in one of them."""
WHOLE, WHOLE_OVERLAP = 1600, 400
"""Before, it is read in parts as large as the reader takes without shrinking them: so is read what a window cuts."""
DARK = 100
"""Median of a sheet's pixels, of 255, under which its lettering is taken to be light."""


@dataclass(frozen=True, slots=True, eq=False)
class ExtractedText:
    """What :func:`extract_text` found on a sheet of ``H×W`` pixels."""

    words: list[Word]
    """From top to bottom."""
    text_layer: Image.Image
    """RGBA, the size of the sheet: the ink of what may be lettering, transparent elsewhere. Symbols of a letter's size,
    such as trees, are in it too."""
    without_text: Any
    """The sheet, in the caller's own type, with its words painted over: flat ground in its own colour, lines led
    on."""
    sheet: Image.Image
    notes: tuple[str, ...] = ()
    """What is to be told: that only an image's first frame was used, that words were left out, or are given otherwise
    than read."""

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
    script: Script = "latin",
    vocabulary: Literal["generic", "none"] | Collection[str] = "generic",
    stop: str | StopRule | None = None,
    on_window: Callable[[int, int], None] = lambda *_: None,
    **options: Unpack[FitKeywords],
) -> ExtractedText:
    """Separate the lettering of a map from the rest, and read it.

    Args:
        image: a path, bytes, Pillow image, array or tensor, as for :func:`deep_protection.purify`.
        ocr: whether to read words; without, only the layer and the map are made, and all lettering is painted over.
        script: of the sheet's words: ``"latin"``, ``"greek"``, ``"chinese"``, ``"japanese"`` or ``"any"``. What is read
            in letters of another, and single signs that are no letters of it, are left out, and ``notes`` say how many;
            with ``"any"`` all is kept.
        vocabulary: words that the sheet may hold. What is a letter off one of them is given as that word where a sure
            reading of its place is more like it; ``read_as`` and ``notes`` say what was read. ``"generic"``: what maps
            in English call things, such as street, church and farm, for ``"latin"`` alone; words of your own, those of
            a gazetteer, count in addition; with ``"none"`` all stays as it is read.
        stop: when to end the fit whose residual is taken; None takes the rule of its own. Sheets with colour are read
            by their black ink and have none.
        on_window: called after every window of the sheet, with how many are done and how many there are.
        options: ``seed``, ``device``, ``seconds``, ``workers``, ``progress`` and ``is_cancelled``:
            :class:`deep_protection.FitOptions`. Progress and seconds are those of the residual's fit; reading
            and painting over can be cancelled too.

    Raises:
        ImageError: the image cannot be used. OptionError: the script or vocabulary cannot be used. MissingExtraError:
            the extra ``ocr`` is not installed.
    """
    given = FitOptions(**options)
    known = find_vocabulary(vocabulary, check_script(script))
    opencv()
    reader = Reader() if ocr else None
    notes: tuple[str, ...] = ()
    if isinstance(image, str | os.PathLike):
        image, _, notes = read_image(image)  # once: it may be a pipe
    # A sheet's pixels as floats take gigabytes. They are made twice rather than kept while it is read.
    paper = _on_cpu(as_image(image)).on_paper  # what is drawn on transparent ground is read as on paper
    sheet = to_rgb(paper)
    is_dark = float(np.median(sheet)) < DARK
    if is_coloured(sheet):
        # Contours are as small and sharp as letters: all of them would be in the residual, and it takes longest.
        ink = np.zeros(sheet.shape[:2], np.float32)
    else:
        ink = dark_ink(deep_image_residual(1 - paper if is_dark else paper, stop=stop, **options)).numpy()
    del paper
    shown = 255 - sheet if is_dark else sheet
    words, doubtful, letters = read_sheet(reader, shown, ink, on_window, given.is_cancelled, known)
    del ink, reader, shown
    words, left_out = sifted(words, doubtful, script)
    left_out += told_of(words)
    words.sort(key=lambda word: (word.box[1], word.box[0]))
    hidden, lines = ink_of_words(sheet, words) if ocr else (ink_of_lettering(letters), None)
    text_layer = _as_layer(sheet, letters)
    del letters
    record = _on_cpu(as_image(image))
    without = painted_over(record, hidden, lines, given.is_cancelled)
    return ExtractedText(words, text_layer, without, Image.fromarray(sheet), (*notes, *record.notes, *left_out))


def read_sheet(
    reader: Reader | None,
    sheet: NDArray[np.uint8],
    ink: Ink,
    on_window: Callable[[int, int], None] = lambda *_: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    vocabulary: Vocabulary | None = None,
) -> tuple[list[Word], list[Word], Ink]:
    """Words of a sheet that is dark on light, ``H×W×3`` RGB; doubtful ones; and ``H×W`` ink of all its lettering.

    ``ink`` is that of the residual. A sheet that lies on its side or head is read upright. Without a reader there are
    no words.
    """
    lines = [] if reader is None else _lines(reader, sheet)
    turns = quarters_turned(lines)
    size = (sheet.shape[0], sheet.shape[1])
    if turns and reader is not None:
        sheet = np.ascontiguousarray(np.rot90(sheet, turns))
        ink = np.ascontiguousarray(np.rot90(ink, turns))
        lines = _lines(reader, sheet)
    letters = np.zeros(ink.shape, np.float32)
    words: list[Word] = []
    doubtful: list[Word] = []
    tiles = cut_tiles(ink.shape[0], ink.shape[1], WINDOW, OVERLAP)
    for number, tile in enumerate(tiles):
        if is_cancelled():
            raise CancelledError("reading was cancelled")
        window = Window.of(tile, sheet, ink)
        for each in window.layers:
            np.maximum(tile_of(letters, tile), each, out=tile_of(letters, tile))
        if reader is not None:
            found, unsure = window.words(reader, lines, vocabulary)
            words, doubtful = merged(words, found), merged(doubtful, unsure)
        on_window(number + 1, len(tiles))
    words = _with_long(words, lines)
    doubtful = [word for word in doubtful if not is_taken(word, words)]
    words, doubtful = ([as_it_lay(word, turns, size) for word in each] for each in (words, doubtful))
    return words, doubtful, np.ascontiguousarray(np.rot90(letters, -turns))


def _lines(reader: Reader, sheet: NDArray[np.uint8]) -> list[Line]:
    """What the reader sees on the whole sheet, in parts that it need not shrink."""
    found: list[Line] = []
    for tile in cut_tiles(sheet.shape[0], sheet.shape[1], WHOLE, WHOLE_OVERLAP):
        corner = np.array([tile.left, tile.top])
        found += [replace(line, corners=line.corners + corner) for line in reader.read(tile_of(sheet, tile))]
    return found


def _with_long(words: list[Word], lines: list[Line]) -> list[Word]:
    """With the sure words of the whole sheet that no window held: longer than windows overlap."""
    seen = [word for line in lines for word in words_in(line, "sheet") if word.confidence >= ALONE]
    return words + [word for word in seen if not is_taken(word, words)]


def _on_cpu(image: ImageRecord) -> ImageRecord:
    """OpenCV and the reader know no other place; ``to_original`` brings a tensor back to its own."""
    alpha = None if image.alpha is None else image.alpha.cpu()
    return replace(image, pixels=image.pixels.cpu(), alpha=alpha)


def _as_layer(sheet: NDArray[np.uint8], letters: Ink) -> Image.Image:
    """The sheet's own colours, as opaque as there is lettering."""
    opacity = (255 * letters).round().astype(np.uint8)[..., None]
    return Image.fromarray(np.concatenate([sheet, opacity], axis=2))
