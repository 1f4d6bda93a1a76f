"""How often the classifier is right under noise, bare and behind denoisers that nobody trained: what certificates are
made of, at one draw an image instead of a thousand.

    python -m benchmarks noisy --images DIR
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import RESULTS, rows
from benchmarks.studies.certification import share
from deep_protection.certification import Smoothing
from deep_protection.certification.denoisers import Denoiser
from deep_protection.certification.smoothing import NoisyClassifier
from deep_protection.classifiers import load_classifier
from deep_protection.evaluation.experiment.images import labelled_images
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.restoration.filters import without_noise
from deep_protection.seeds import image_seed

ROWS = RESULTS / "certification/noisy.jsonl"
SIGMAS = (0.12, 0.25, 0.5)


def non_local_means(sigma: float) -> Denoiser:
    """scikit-image's, of the three colours together, as strong as it is recommended there."""
    from skimage.restoration import denoise_nl_means

    settings = {"patch_size": 5, "patch_distance": 6, "h": 0.8 * sigma, "sigma": sigma, "fast_mode": True}
    return _one_by_one(lambda noisy: _tensor(denoise_nl_means(noisy.numpy(), channel_axis=0, **settings)))


def wavelets(sigma: float) -> Denoiser:
    """scikit-image's BayesShrink."""
    from skimage.restoration import denoise_wavelet

    return _one_by_one(
        lambda noisy: _tensor(denoise_wavelet(noisy.numpy(), sigma=sigma, rescale_sigma=True, channel_axis=0))
    )


def as_denoise(sigma: float) -> Denoiser:
    """The filters of ``denoise``, told how strong the noise is."""
    return _one_by_one(lambda noisy: without_noise(noisy, (sigma,) * 3))


def _one_by_one(denoise: Denoiser) -> Denoiser:
    return lambda noisy: torch.stack([denoise(each) for each in noisy])


def _tensor(made: NDArray[Any]) -> Tensor:
    return torch.from_numpy(made.astype(np.float32))


DENOISERS: dict[str, tuple[Callable[[float], str | Denoiser], bool]] = {
    "none": (lambda _: "none", False),
    "total variation (`tv`)": (lambda _: "tv", False),
    "wavelets": (wavelets, False),
    "non-local means": (non_local_means, False),
    "the filters of `denoise`": (as_denoise, False),
    "the prior, 30 iterations (`fast`)": (lambda _: "fast", False),
    "cosines of patches (`dct`)": (lambda _: "dct", False),
    "`dct`, two views": (lambda _: "dct", True),
}
"""Title to what makes the denoiser for a sigma, and whether answers are averaged over two views."""


def run(images: str, limit: int, out: Path = ROWS) -> None:
    """Image by image; what is there already is left alone."""
    torch.set_num_threads(1)
    model = load_classifier("lite0")
    known = {(row["image"], row["sigma"], row["denoiser"]) for row in rows.read(out)}
    for image in labelled_images(images, model, limit):
        pixels = image.pixels(model)
        for sigma in SIGMAS:
            random = torch.Generator().manual_seed(image_seed(0, pixels))
            noisy = pixels + sigma * torch.randn(pixels.shape, generator=random)
            for name, (make, views) in DENOISERS.items():
                if (image.name, sigma, name) in known:
                    continue
                settings = Smoothing(sigma=sigma, denoiser=make(sigma), views=views)
                answer = NoisyClassifier(model, settings, torch.device("cpu"))
                begin = time.process_time()
                right = int(answer(noisy[None])[0]) == image.label
                spent = round(time.process_time() - begin, 4)
                about = {"image": image.name, "sigma": sigma, "denoiser": name}
                rows.append(out, [{**about, "right": right, "cpu_seconds": spent}])


def noisy() -> str:
    """Share of all images that are right, by denoiser and strength of the noise."""
    found = rows.read(ROWS)
    if not found:
        return "Not measured yet.\n"
    lines = []
    for name in DENOISERS:
        own = [row for row in found if row["denoiser"] == name]
        if not own:
            continue
        cells = []
        for sigma in SIGMAS:
            right = [row["right"] for row in own if row["sigma"] == sigma]
            cells.append(share(right) if right else "–")
        lines.append([name, *cells, f"{median(row['cpu_seconds'] for row in own):.2f}"])
    count = len({row["image"] for row in found})
    heading = ("denoiser", *(f"σ {sigma:g}" for sigma in SIGMAS), "CPU s a draw")
    return f"{block_markdown(Table(heading, lines))}\nn = {count} images, one draw each, the same for all.\n"


TABLES = {"noisy": noisy}
