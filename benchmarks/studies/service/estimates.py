"""How long a job was said to take before it began, and how long it ran: ``python -m benchmarks service-estimates``.

A fresh service that has done one detection, as the page asks for with every image. Of every kind three sizes, the
smallest first, so that the first estimate is from the built-in figures and the others from what was learnt.
"""

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image, ImageDraw
from served import Served

from benchmarks import rows
from benchmarks.machine import describe
from benchmarks.pages.gallery import drawn_map
from benchmarks.studies.restoration.cases import noisy
from deep_protection.evaluation import imagenet_samples
from deep_protection.images import as_image, encode, to_pillow

SIGMA = 25
KINDS = {
    **dict.fromkeys(("protect", "denoise", "dejpeg", "inpaint"), (128, 224, 352)),
    "upscale": (64, 128, 224),
    "extract-text": (224, 352, 512),
}
"""With the sides of their images, in pixels."""


def run(out: Path) -> None:
    with (
        TemporaryDirectory() as folder,
        Served(Path(folder) / "data", "--workers", "1") as served,
        served.client() as client,
        served.http() as http,
    ):
        client.run("detect", image=photograph(128))
        rows.append(out, [{"what": "machine", **describe()}])
        for kind, sides in KINDS.items():
            for side in sides:
                given = {"image": damaged(kind, side)} | ({"mask": holes(side)} if kind == "inpaint" else {})
                asked = http.get(f"/v1/estimate/{kind}", params={"width": side, "height": side}).json()
                job = client.run(kind, **given)
                ran = seconds_of(job)
                row = {"what": "estimate", "kind": kind, "side": side, "estimate": asked["seconds"], "seconds": ran}
                rows.append(out, [row])


def seconds_of(job: dict[str, Any]) -> float:
    """From its start to its end, by the service's clock."""
    started, ended = (datetime.fromisoformat(job[name]) for name in ("started", "ended"))
    return round((ended - started).total_seconds(), 3)


def photograph(side: int) -> bytes:
    return encode(imagenet_samples()[9][0].resize((side, side), Image.Resampling.LANCZOS), "PNG")


def damaged(kind: str, side: int) -> bytes:
    """A photograph, damaged as the kind mends it, or a drawn map."""
    if kind == "extract-text":
        return encode(drawn_map().resize((side, side), Image.Resampling.LANCZOS), "PNG")
    if kind == "denoise":
        image = imagenet_samples()[9][0].resize((side, side), Image.Resampling.LANCZOS)
        return encode(to_pillow(noisy(as_image(image).pixels)), "PNG")
    return photograph(side)


def holes(side: int) -> bytes:
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).line((0, side // 3, side, side // 2), 255, max(3, side // 40))
    return encode(mask, "PNG")
