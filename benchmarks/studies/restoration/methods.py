"""Our restorations and the cheap ones, on the very images that the published recipes are followed on.

    python -m benchmarks restore --images DIR [--side 128 | --whole [--sigma 50]]

Rows that exist are not made again.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

import deep_protection as dp
from benchmarks import ROOT, rows
from benchmarks.peers.published_restoration import NOTEBOOKS
from benchmarks.studies.restoration.cases import FACTOR, SIGMA, Case, cases
from benchmarks.studies.restoration.peers import DEEPINV, fidelity
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.fitting import Downsampling
from deep_protection.images import as_image, to_pillow
from deep_protection.restoration.observation import back_project

RESULTS = Path("docs/results/restoration/rows.jsonl")
Method = Callable[[Case], Tensor]


def run(
    folder: Path, tasks: list[str], side: int | None, out: Path, sigma: float = SIGMA, *, slow: bool = True
) -> None:
    torch.set_num_threads(1)
    for case in cases(folder, tasks, side, sigma):
        for name, restore in METHODS[case.task].items():
            if name in SLOW and not slow:
                continue
            key: dict[str, str | float | None] = {"task": case.task, "image": case.name, "side": side, "method": name}
            if case.task == "denoise" and sigma != SIGMA:
                key["sigma"] = sigma
            same = (row for row in rows.read(out) if row.get("sigma") == key.get("sigma"))  # none says the usual one
            if any(key.items() <= row.items() for row in same):
                continue
            begin = time.process_time()
            restored = restore(case)
            spent = round(time.process_time() - begin, 3)
            rows.append(out, [{**key, "cpu_seconds": spent, **fidelity(restored, case)}])
        sys.stderr.write(f"restored: {case.task} {case.name}\n")


def _seen(case: Case) -> Tensor:
    return case.seen


def _bicubic(case: Case) -> Tensor:
    return F.interpolate(case.seen[None], scale_factor=FACTOR, mode="bicubic", align_corners=False)[0]


def _lanczos(case: Case) -> Tensor:
    image = to_pillow(case.seen)
    size = (FACTOR * image.width, FACTOR * image.height)
    return as_image(image.resize(size, Image.Resampling.LANCZOS)).pixels


def _projected(case: Case) -> Tensor:
    """Bicubic, and then made to agree with what was seen, as our own result is at its end (Irani & Peleg 1991)."""
    return back_project(_bicubic(case), case.seen, Downsampling(FACTOR))


def _non_local_means(case: Case) -> Tensor:
    """Fast mode, 5 px patches, strength 0.8 σ, as scikit-image's gallery has it (Buades et al. 2005)."""
    from skimage.restoration import denoise_nl_means

    sigma = case.strength / 255
    settings = {"patch_size": 5, "patch_distance": 6, "h": 0.8 * sigma, "sigma": sigma, "fast_mode": True}
    return torch.from_numpy(denoise_nl_means(case.seen.numpy(), channel_axis=0, **settings)).float()


def _total_variation(case: Case) -> Tensor:
    from skimage.restoration import denoise_tv_chambolle

    weight = {"denoise": 0.1 * case.strength / SIGMA, "dejpeg": 0.05}[case.task]
    return torch.from_numpy(denoise_tv_chambolle(case.seen.numpy(), weight=weight, channel_axis=0)).float()


def _wavelets(case: Case) -> Tensor:
    """BayesShrink on brightness and colours, as scikit-image's gallery has it (Chang et al. 2000)."""
    from skimage.restoration import denoise_wavelet

    smooth = denoise_wavelet(case.seen.numpy(), channel_axis=0, convert2ycbcr=True, rescale_sigma=True)
    return torch.from_numpy(smooth).float()


def _biharmonic(case: Case) -> Tensor:
    """Damelin & Hoang 2018."""
    from skimage.restoration import inpaint_biharmonic

    assert case.mask is not None  # noqa: S101  (only images with holes come here)
    return torch.from_numpy(inpaint_biharmonic(case.seen.numpy(), case.mask.numpy(), channel_axis=0)).float()


def _ours(function: Callable[..., Any], **settings: Any) -> Method:
    def restore(case: Case) -> Tensor:
        extra = () if case.mask is None else (case.mask,)
        restored: Tensor = function(case.seen, *extra, device="cpu", workers=1, **settings)
        return restored

    return restore


METHODS: dict[str, dict[str, Method]] = {
    "denoise": {
        "nothing": _seen,
        "total variation": _total_variation,
        "wavelets": _wavelets,
        "non-local means": _non_local_means,
        "denoise": _ours(dp.denoise),
        "denoise, with three fits": _ours(dp.denoise, fits=3),
    },
    "dejpeg": {
        "nothing": _seen,
        "total variation": _total_variation,
        "non-local means": _non_local_means,
        "dejpeg": _ours(dp.dejpeg),
        "dejpeg, with three fits": _ours(dp.dejpeg, fits=3),
    },
    "upscale": {
        "bicubic": _bicubic,
        "Lanczos": _lanczos,
        "bicubic, back-projected": _projected,
        "upscale, filters alone": _ours(dp.upscale, factor=FACTOR, fits=0),
        "upscale": _ours(dp.upscale, factor=FACTOR),
    },
    "inpaint": {
        "nothing": _seen,
        "biharmonic": _biharmonic,
        "inpaint": _ours(dp.inpaint),
        "inpaint, with a fit": _ours(dp.inpaint, fits=1),
    },
}
SLOW = {"denoise, with three fits", "dejpeg, with three fits", "inpaint, with a fit"}
"""What is only run where somebody asks for it by name, on whole images."""


def table(task: str, side: int | None, peers: tuple[str, ...] = (), sigma: float | None = None) -> str:
    """Means over the images that all methods of the task, and ``peers``, have been through; the published recipe at
    its own end, and at the best of its iterations, which only the truth can tell.
    """
    asked = (task, side, sigma)
    of = [row for row in rows.read(ROOT / RESULTS) if (row["task"], row["side"], row.get("sigma")) == asked]
    done = {name: {row["image"]: row for row in of if row["method"] == name} for name in (*METHODS[task], *peers)}
    if "published" in done:
        del done["published"]
        courses: dict[str, list[dict[str, Any]]] = {}
        for row in of:
            if row["method"] == "published":
                courses.setdefault(row["image"], []).append(row)
        # Followed to the end, or not at all.
        courses = {name: course for name, course in courses.items() if course[-1]["iteration"] == ENDS[task]}
        done["published recipe, at its end"] = {name: course[-1] for name, course in courses.items()}
        done["*published recipe, at its best (oracle)*"] = {
            name: max(course, key=lambda row: float(row["psnr"])) for name, course in courses.items()
        }
    done = {name: each for name, each in done.items() if each}  # what has not been measured at all is left out
    images = sorted(set.intersection(*(set(each) for each in done.values()))) if done else []
    if not images:
        return "No rows yet.\n"
    lines = []
    for name, each in done.items():
        mean = {what: sum(each[image][what] for image in images) / len(images) for what in FIGURES}
        lines.append([name, f"{mean['psnr']:.2f}", f"{mean['ssim']:.3f}", f"{mean['cpu_seconds']:.3g}"])
    count = "1 image" if len(images) == 1 else f"{len(images)} images"
    what = task if sigma is None else f"{task}, σ = {sigma:g}"
    made = block_markdown(Table([f"{what}, {count}", "PSNR, dB", "SSIM", "CPU s"], lines))
    return f"{made.rstrip()}\n"


FITS_BEFORE = {"denoise": "four", "dejpeg": "three", "upscale": "two", "inpaint": "two"}
"""Of the prior as it drew at full size and without filters beside it: rows of an earlier version, which has them."""
BEFORE = {task: f"the prior alone, {fits} fits" for task, fits in FITS_BEFORE.items()}
FIGURES = ("psnr", "ssim", "cpu_seconds")
ENDS = {task: notebook.iterations for task, notebook in NOTEBOOKS.items()}
BOTH = ("published", DEEPINV)
TABLES: dict[str, Callable[[], str]] = {
    "denoise_whole_10": partial(table, "denoise", None, sigma=10.0),
    "denoise_whole": partial(table, "denoise", None),
    "denoise_whole_50": partial(table, "denoise", None, sigma=50.0),
    "dejpeg_whole": partial(table, "dejpeg", None),
    "upscale_whole": partial(table, "upscale", None),
    "inpaint_320": partial(table, "inpaint", 320),
    "denoise_middles": partial(table, "denoise", 128, (BEFORE["denoise"], "published")),
    "denoise_peers": partial(table, "denoise", 128, BOTH),
    "dejpeg_middles": partial(table, "dejpeg", 128, (BEFORE["dejpeg"], "published")),
    "upscale_middles": partial(table, "upscale", 128, (BEFORE["upscale"], "published")),
    "inpaint_middles": partial(table, "inpaint", 128, (BEFORE["inpaint"],)),
    "inpaint_peers": partial(table, "inpaint", 128, BOTH),
}
