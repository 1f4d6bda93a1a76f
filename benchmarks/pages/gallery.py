"""Images of what every command does, for docs/gallery.md: foolbox's sample photographs and a map drawn here.

    python -m benchmarks gallery [--only inpaint]

Minutes on two cores. The images to look at were chosen before they were restored, by their numbers, one a command.
"""

import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

import deep_protection as dp
from benchmarks import ROOT
from benchmarks.pages.webp import as_webp
from benchmarks.studies.restoration.cases import compressed, noisy
from deep_protection.evaluation import imagenet_samples
from deep_protection.evaluation.panel import PanelRow, draw_panel, figure_class
from deep_protection.fitting import Downsampling
from deep_protection.images import as_image, to_pillow, write_atomically
from deep_protection.stopping import psnr

FOLDER = ROOT / "docs/gallery"
SIDE = 160
Shown = list[tuple[str, Tensor | Image.Image]]


def photograph(number: int, side: int = SIDE) -> Tensor:
    """One of foolbox's, ``3×side×side``: its middle, made smaller."""
    image = imagenet_samples()[number][0]
    least = min(image.size)
    left, top = (image.width - least) // 2, (image.height - least) // 2
    square = image.crop((left, top, left + least, top + least))
    return as_image(square.resize((side, side), Image.Resampling.LANCZOS)).pixels


def purified() -> bytes:
    classifier = dp.load_classifier("lite0")
    rows = []
    for number, (name, title) in ((1, ("pgd", "PGD, 4/255")), (4, ("saltpepper", "salt and pepper"))):
        image, label = imagenet_samples()[number]
        clean = classifier.preprocess(image)[None].clamp(0, 1)
        bad = dp.attack(classifier, clean, torch.tensor([label]), name).adversarial
        restored = dp.purify(bad, workers=1)
        before, fooled, after = (classifier.top(pixels, 1)[0][0] for pixels in (clean, bad, restored))
        rows.append(PanelRow(title, label, clean[0], bad[0], restored[0], (before, fooled, after)))
    with TemporaryDirectory() as folder:
        draw_panel(rows, part := Path(folder) / "purify.png", heading="purify")
        return part.read_bytes()


def denoised() -> bytes:
    clean = photograph(17)
    seen = noisy(clean)
    return drawn([("original", clean), told("noise of 25/255", seen, clean), told("denoise", dp.denoise(seen), clean)])


def dejpegged() -> bytes:
    clean = photograph(9)
    seen = compressed(clean)
    return drawn([("original", clean), told("JPEG of quality 10", seen, clean), told("dejpeg", dp.dejpeg(seen), clean)])


def inpainted() -> bytes:
    clean = photograph(7)
    mask = Image.new("1", (SIDE, SIDE))
    pen = ImageDraw.Draw(mask)
    for line in ((8, 24, 150, 50), (34, 154, 125, 6), (0, 100, 159, 106)):
        pen.line(line, 1, 4)
    for row in range(3):
        pen.text((10, 52 + 34 * row), "scratches, letters", 1, ImageFont.load_default(15))
    missing = torch.from_numpy(np.asarray(mask).copy())
    seen = torch.where(missing, torch.ones(()), clean)
    return drawn([("original", clean), told("holes", seen, clean), told("inpaint", dp.inpaint(seen, missing), clean)])


def upscaled() -> bytes:
    clean = photograph(18)
    shrunk = Downsampling(4)
    seen = shrunk(clean[None])[0].clamp(0, 1)
    large = F.interpolate(seen[None], scale_factor=4, mode="nearest")[0]
    return drawn(
        [
            ("original", clean),
            told("a quarter of each side", large, clean),
            told("bicubic", shrunk.initial_estimate(seen), clean),
            told("upscale", dp.upscale(seen, 4), clean),
        ]
    )


def without_text() -> bytes:
    sheet = drawn_map()
    found = dp.extract_text(sheet)
    layer = Image.new("RGB", sheet.size, "white")
    layer.paste(found.text_layer, mask=found.text_layer.getchannel("A"))
    read = ", ".join(word.text for word in found.words)
    return drawn(
        [("map", sheet), ("text layer", layer), (f"read: {read}", found.overlay), ("without text", found.without_text)],
        columns=2,
    )


def drawn_map() -> Image.Image:
    """420×300: contours, a wood, a river, roads, and four names of which one is set along a road."""
    sheet = Image.new("RGB", (420, 300), (246, 241, 226))
    pen = ImageDraw.Draw(sheet)
    pen.polygon([(0, 300), (0, 210), (90, 235), (130, 300)], (205, 224, 190))
    for radius in range(16, 120, 13):
        pen.ellipse((310 - radius, 86 - radius * 0.8, 310 + radius, 86 + radius * 0.8), outline=(176, 132, 84), width=2)
    pen.line([(0, 120), (80, 140), (170, 128), (260, 178), (420, 190)], (112, 160, 206), 6, joint="curve")
    black = (30, 28, 26)
    pen.line((150, 300, 420, 225), black, 2)
    pen.line((160, 330, 430, 255), black, 2)
    pen.line((214, 0, 190, 128), black, 2)
    pen.text((28, 34), "Castle", black, ImageFont.load_default(36))
    pen.text((24, 262), "Wood", black, ImageFont.load_default(24))
    pen.text((276, 70), "Hill 412", black, ImageFont.load_default(22))
    name = Image.new("L", (260, 44))
    ImageDraw.Draw(name).text((6, 4), "Station Road", 255, ImageFont.load_default(25))
    turned = name.rotate(15.5, Image.Resampling.BICUBIC, expand=True)
    sheet.paste(black, (210, 200), turned)
    return sheet


def told(title: str, pixels: Tensor, clean: Tensor) -> tuple[str, Tensor]:
    return f"{title}, {psnr(pixels, clean):.1f} dB", pixels


def drawn(shown: Shown, columns: int | None = None) -> bytes:
    """Side by side under their titles, as the content of a PNG."""
    across = columns or len(shown)
    down = -(-len(shown) // across)
    figure = figure_class()(
        figsize=(2.7 * across * (1 if columns is None else 1.6), 3.0 * down), dpi=96, layout="constrained"
    )
    for axis, (title, image) in zip(figure.subplots(down, across, squeeze=False).flat, shown, strict=True):
        axis.imshow(to_pillow(image) if isinstance(image, Tensor) else image, interpolation="nearest")
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


IMAGES: dict[str, Callable[[], bytes]] = {
    "purify": purified,
    "denoise": denoised,
    "dejpeg": dejpegged,
    "inpaint": inpainted,
    "upscale": upscaled,
    "extract-text": without_text,
}


def make(only: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in only:
        write_atomically(as_webp(IMAGES[name]()), FOLDER / f"{name}.webp")
        sys.stderr.write(f"{FOLDER / name}.webp\n")
