"""Text out of a map: where it is, what it says, and the map without it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deep_protection.errors import CancelledError
from deep_protection.fitting import ProgressCallback, Recipe
from deep_protection.images import Picture, take_picture, to_pillow
from deep_protection.images.pillow import to_rgb
from deep_protection.maps.chains import Mark, chains, completed, directions, is_even, marks_of, straightened
from deep_protection.maps.legibility import dark_ink
from deep_protection.maps.lettering import ENLARGED, Ink, Mask, Sizes, darker, enlarged, layer, lettering
from deep_protection.maps.library import opencv
from deep_protection.maps.reader import Line, Reader
from deep_protection.maps.residual import deep_image_residual
from deep_protection.maps.words import Word, agreed, covers, letters_of, together, words_in
from deep_protection.purification import Preset, purify_each, with_holes
from deep_protection.purification.tiles import Tile, cut
from deep_protection.stopping import StopRule

WINDOW, OVERLAP = 960, 240
"""Sheets are read in windows of this side, in pixels, which share so much with their neighbours: memory stays bounded,
and a word shorter than the overlap is whole in one of them."""
TURNS = ((0.0, 1.0), (0.0, 1.7), (-25.0, 1.4), (25.0, 1.4), (-80.0, 1.4), (80.0, 1.4))
"""How a text layer is shown to the reader: degrees, and times its height."""
LONGEST_LINES = (30, 40)
"""Straight runs that are cut out as lines, in pixels: both are tried, for no length fits all letters."""
WITHOUT_TEXT = Preset(
    name="without-text",
    recipe=Recipe(generator="fast", precision="bfloat16", averaging=0.95, checkpoint_every=25),
    stop="fixed:40",
)


@dataclass(frozen=True, slots=True)
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
    seed: int = 0,
    device: str | torch.device = "auto",
    workers: int | None = None,
    progress: ProgressCallback | None = None,
    on_window: Callable[[int, int], None] = lambda *_: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> ExtractedText:
    """Separate the lettering of a map from the rest, and read it.

    Args:
        image: a path, bytes, Pillow image, array or tensor, as for :func:`deep_protection.purify`.
        ocr: whether to read words; without, only the layer and the map are made, and all lettering is painted over.
        stop: when to end the fit whose residual is taken; None takes the rule of its own.
        seed: as for :func:`deep_protection.purify`, and so are the others that follow.
        device: where the fit runs.
        workers: tiles fitted at once on the CPU.
        progress: called while the residual is made.
        on_window: called after every window of the sheet, with how many are done and how many there are.
        is_cancelled: asked at every iteration and before every window that is read.

    Raises:
        ImageError: the picture cannot be used. MissingExtraError: the extra ``ocr`` is not installed.
    """
    opencv()
    reader = Reader() if ocr else None
    picture = take_picture(image)
    settings: dict[str, Any] = {"seed": seed, "device": device, "workers": workers, "is_cancelled": is_cancelled}
    residual = deep_image_residual(picture.pixels, stop=stop, progress=progress, **settings)
    ink = dark_ink(residual).numpy()
    del residual
    sheet = to_rgb(picture.pixels)
    letters = np.zeros(ink.shape, np.float32)
    words: list[Word] = []
    tiles = cut(ink.shape[0], ink.shape[1], WINDOW, OVERLAP)
    for number, tile in enumerate(tiles):
        if is_cancelled():
            raise CancelledError("reading was cancelled")
        window = Window.of(tile, sheet, ink)
        for shown in window.layers:
            np.maximum(tile_of(letters, tile), shown, out=tile_of(letters, tile))
        if reader is not None:
            words = merged(words, window.words(reader))
        on_window(number + 1, len(tiles))
    words.sort(key=lambda word: (word.box[1], word.box[0]))
    return ExtractedText(
        words,
        _as_layer(sheet, letters),
        _without(picture, letters, words if ocr else None, settings),
        to_pillow(picture.pixels),
    )


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a sheet, small enough to be read at once."""

    tile: Tile
    sheet: NDArray[np.uint8]
    """``h×w×3`` RGB of the part."""
    whole: tuple[int, int]
    """Height and width of the sheet."""
    inks: list[Ink]
    """Enlarged; one for every layer."""
    masks: list[Mask]
    layers: list[Ink]
    """``h×w`` ink of the lettering: from the residual, then from the sheet itself, once for each length of line."""

    @classmethod
    def of(cls, tile: Tile, sheet: NDArray[np.uint8], ink: Ink) -> "Window":
        """Residual ink leaves strokes thin and apart, the sheet's own whole: they break in different places."""
        part = tile_of(sheet, tile)
        own = 1 - part.max(axis=2).astype(np.float32) / 255
        residual = tile_of(ink, tile)
        inks = [residual, *[own] * len(LONGEST_LINES)]
        masks = [lettering(residual)] + [lettering(own, Sizes(line=length)) for length in LONGEST_LINES]
        layers = [layer(each, mask) for each, mask in zip(inks, masks, strict=True)]
        return cls(tile, part, (sheet.shape[0], sheet.shape[1]), [enlarged(each) for each in inks], masks, layers)

    def words(self, reader: Reader) -> list[Word]:
        """Words of the sheet as it is, and those that its layers add, in pixels of the sheet."""
        sheet = self.sheet_words(reader)
        return self.placed(together(sheet, agreed(self.readings(reader, sheet))))

    def placed(self, words: list[Word]) -> list[Word]:
        """Words of the window in pixels of the sheet, without those that its edges cut."""
        return [word.moved(self.tile.left, self.tile.top) for word in words if not self._is_cut(word)]

    def sheet_words(self, reader: Reader) -> list[Word]:
        """What the reader sees without our help, in pixels of the window."""
        return _words(reader.read(self.sheet), "sheet")

    def readings(self, reader: Reader, known: Sequence[Word] = ()) -> list[list[list[Word]]]:
        """For each layer: what the reader alone says of it, turned and stretched, and what its chains say.

        Chains that lie on ``known`` words are not read again.
        """
        silent = np.ones(self.sheet.shape[:2], np.uint8)
        for word in known:
            if len(word.text) > 1:
                opencv().fillPoly(silent, [np.round(np.array(word.corners)).astype(np.int32)], 0)
        made: list[list[list[Word]]] = []
        for ink, mask, shown in zip(self.inks, self.masks, self.layers, strict=True):
            if not mask.any():
                made.append([])
                continue
            turned = [_words(reader.read(on_paper(shown), turned=t, stretched=s), "layer") for t, s in TURNS]
            dark, marks = darker(ink), marks_of(mask)
            found = [[marks[number] for number in chain] for chain in chains(marks)]
            found = [chain for chain in found if _lies_on(silent, chain) and is_even(chain)]
            longer = [completed(chain, dark) for chain in found]
            grown = [new for new, old in zip(longer, found, strict=True) if len(new) > len(old)]
            made.append(
                [*turned, *([word for c in each for word in _chained(reader, c, ink)] for each in (found, grown))]
            )
        return made

    def _is_cut(self, word: Word) -> bool:
        """Whether it touches an edge where the sheet goes on: a neighbour has all of it."""
        left, top, right, bottom = word.box
        tile, (height, width) = self.tile, self.whole
        return (
            (left < 3 and tile.left > 0)
            or (top < 3 and tile.top > 0)
            or (right > tile.right - tile.left - 3 and tile.right < width)
            or (bottom > tile.bottom - tile.top - 3 and tile.bottom < height)
        )


def tile_of(values: NDArray[Any], tile: Tile) -> NDArray[Any]:
    """A view of a tile's rows and columns."""
    return values[tile.top : tile.bottom, tile.left : tile.right]


def on_paper(ink: Ink) -> NDArray[np.uint8]:
    """``H×W`` ink as ``H×W×3`` RGB, dark on white."""
    return np.repeat((255 * (1 - ink)).astype(np.uint8)[..., None], 3, axis=2)


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


def _words(lines: list[Line], source: str) -> list[Word]:
    return [word for line in lines for word in words_in(line, source)]


def _lies_on(places: NDArray[np.uint8], chain: list[Mark]) -> bool:
    """Whether more than half of a chain's marks have their middle where ``places`` is one."""
    height, width = places.shape
    middles = np.array([mark.centre for mark in chain]) / ENLARGED
    columns, rows = np.clip(middles.astype(int), 0, (width - 1, height - 1)).T
    return bool(places[rows, columns].mean() > 0.5)


def _chained(reader: Reader, chain: list[Mark], ink: Ink) -> Iterator[Word]:
    """What a chain of marks says, from whichever end it reads better; about as many letters as marks, or nothing."""
    best: Line | None = None
    for marks in directions(chain):
        strip = straightened(marks, ink)
        text, confidence = reader.recognise(strip.picture)
        if best is None or confidence > best.confidence:
            best = Line(text, strip.corners, confidence)
    if best is not None and abs(len(letters_of(best.text)) - len(chain)) <= 1:
        yield from words_in(best, "layer")


def _as_layer(sheet: NDArray[np.uint8], letters: Ink) -> Image.Image:
    """The sheet's own colours, as opaque as there is lettering."""
    opacity = (255 * letters).round().astype(np.uint8)[..., None]
    return Image.fromarray(np.concatenate([sheet, opacity], axis=2))


def _without(picture: Picture, letters: Ink, words: list[Word] | None, settings: dict[str, Any]) -> Any:
    """The sheet with what is dark in the words' places painted over by the prior; without words, with all lettering."""
    cv2 = opencv()
    if words is None:
        mask = (letters > 0.1).astype(np.uint8)
    else:
        mask = np.zeros(letters.shape, np.uint8)
        for word in words:
            cv2.fillPoly(mask, [np.round(np.array(word.corners)).astype(np.int32)], 1)
        mask &= darker(1 - picture.pixels.amax(dim=0).numpy()).astype(np.uint8)
    known = torch.from_numpy(cv2.dilate(mask, np.ones((7, 7), np.uint8)) == 0)
    if bool(known.all()):
        return picture.rebuild(picture.pixels)
    return next(purify_each([with_holes(picture, known)], total=1, preset=WITHOUT_TEXT, **settings)).image
