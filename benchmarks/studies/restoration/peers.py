"""The published restorations, followed to their own end on small images: minutes to an hour each, resumable.

    python -m benchmarks restore-peer --images DIR
    PYTHONPATH=.venv/hosts python -m benchmarks restore-peer --peer deepinv --images DIR

The second after `make test-integrations`, which brings deepinv.

The state of a fit of the published recipe lies in a cache beside the rows until it has ended. Several such commands may
run at once: each takes the next fit that nobody works on.
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import rows
from benchmarks.peers.deepinv_prior import ITERATIONS, DeepinvPrior
from benchmarks.peers.published_restoration import PublishedRestoration
from benchmarks.studies.performance.long_fits import CACHE, Claim, digest
from benchmarks.studies.restoration.cases import Case, cases
from deep_protection.stopping import psnr

EVERY = 100
DEEPINV = "deepinv's DeepImagePrior"


def run(folder: Path, tasks: list[str], side: int, out: Path, peer: str = "published") -> None:
    # One thread: what is counted is work, not waiting for another thread.
    torch.set_num_threads(1)
    for case in sorted(cases(folder, tasks, side), key=lambda case: tasks.index(case.task)):
        with Claim(f"restore {peer} {case.task} {case.name} {side}") as claim:
            if claim.is_mine:
                PEERS[peer](case, side, out)
        sys.stderr.write(f"{peer}: {case.task} {case.name}\n")


def fit_published(case: Case, side: int, out: Path) -> None:
    """One fit from where it was left to its end."""
    key = {"task": case.task, "image": case.name, "side": side, "method": "published"}
    fit = PublishedRestoration(case.task, case.seen, (case.truth.shape[-2], case.truth.shape[-1]), case.see, seed=0)
    known = {row["iteration"] for row in rows.read(out) if key.items() <= row.items()}
    if fit.limit in known:
        return
    state_file = CACHE / f"restore-{case.task}-{case.name.replace('/', '-')}-{side}-{digest(case.seen)}.pt"
    cpu = 0.0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        fit.load_state_dict(state["fit"])
        cpu = state["cpu_seconds"]
    while fit.iteration < fit.limit:
        begin = time.process_time()
        fit.advance_only(min(EVERY, fit.limit - fit.iteration))
        cpu += time.process_time() - begin
        if fit.iteration not in known:
            row = {**key, "iteration": fit.iteration, "cpu_seconds": round(cpu, 2)}
            rows.append(out, [{**row, **fidelity(fit.output(), case)}])
        part = state_file.with_suffix(".part")
        torch.save({"fit": fit.state_dict(), "cpu_seconds": cpu}, part)
        part.replace(state_file)
    state_file.unlink(missing_ok=True)


def fit_deepinv(case: Case, side: int, out: Path) -> None:
    """One call, as long as deepinv's own default has it; it cannot be left and taken up again."""
    key = {"task": case.task, "image": case.name, "side": side, "method": DEEPINV}
    if any(key.items() <= row.items() for row in rows.read(out)):
        return
    fit = DeepinvPrior(case.seen, 0, (case.truth.shape[-2], case.truth.shape[-1]), case.see)
    begin = time.process_time()
    restored = fit.advance(ITERATIONS)
    spent = round(time.process_time() - begin, 2)
    rows.append(out, [{**key, "cpu_seconds": spent, **fidelity(restored, case)}])


PEERS = {"published": fit_published, "deepinv": fit_deepinv}


def fidelity(restored: torch.Tensor, case: Case) -> dict[str, Any]:
    """PSNR and SSIM to the truth; where pixels were missing, with those that were known put back."""
    # Only here: it takes a torchvision along where there is one, which deepinv has to have imported in its own way.
    from torchmetrics.functional.image import structural_similarity_index_measure

    image = restored.clamp(0, 1)
    if case.mask is not None:
        image = torch.where(case.mask, image, case.truth)
    similarity = structural_similarity_index_measure(image[None], case.truth[None], data_range=1.0)
    assert isinstance(similarity, torch.Tensor)  # noqa: S101  (no full image was asked for)
    return {"psnr": round(psnr(image, case.truth), 3), "ssim": round(float(similarity), 4)}
