"""Images a second and memory of fits and of the protection in batches, and whether a device answers as the CPU does.

python -m benchmarks gpu --device cuda
"""

import gc
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import rows
from benchmarks.machine import describe
from benchmarks.studies.performance.scale import peak_memory
from benchmarks.studies.performance.stacked import convolutions, steps
from deep_protection.fitting import find_device

ITERATIONS = (10, 30, 50)
Work = Callable[[Tensor], object]


def run(out: Path, device: str, batches: tuple[int, ...], seconds: float, compared: int) -> None:
    """Measure from the smallest batch on; a kind of work whose next batch would take longer than ``seconds`` ends.
    Restorations and answers of ``compared`` photographs are held against the CPU's.
    """
    find_device(device)  # before the rows of another run go
    out.unlink(missing_ok=True)
    rows.append(out, [{"machine": describe(), "device": device}])
    photographs = _photographs(compared)
    # Written as they come: what a run that is cut off has measured stays.
    for row in chain(
        _equality(photographs, device),
        _throughput(photographs, device, batches, seconds),
        _certificates(photographs, device, batches, seconds),
        steps(device, batches, seconds),
        convolutions(device, batches, seconds),
    ):
        print(row, flush=True)
        rows.append(out, [row])


def _works(device: str) -> dict[str, Work]:
    import deep_protection as dp

    def purifying(iterations: int) -> Work:
        return lambda given: dp.purify(given, stop=f"fixed:{iterations}", device=device)

    def protecting(*, quick: bool) -> Work:
        model = dp.protect(dp.load_classifier("lite0").to(device), device=device, quick=quick)
        return lambda given: model(given.to(device))

    return {
        **{f"purify, {iterations} iterations": purifying(iterations) for iterations in ITERATIONS},
        "protect": protecting(quick=False),
        "protect, quick": protecting(quick=True),
    }


def _throughput(photographs: Tensor, device: str, batches: tuple[int, ...], seconds: float) -> Iterator[dict[str, Any]]:
    for what, work in _works(device).items():
        with torch.no_grad():
            work(photographs[:2])  # what is done once: kernels chosen, memory taken
            for batch in batches:
                spent, memory = _timed(work, _varied(photographs, batch), device)
                yield {
                    "what": what,
                    "batch": batch,
                    "seconds": round(spent, 4),
                    "images_a_second": round(batch / spent, 2),
                    "peak_mib": round(memory, 1),
                }
                if spent * 4 > seconds:
                    break


def _certificates(
    photographs: Tensor, device: str, batches: tuple[int, ...], seconds: float
) -> Iterator[dict[str, Any]]:
    """Draws of a certificate a second, denoised and answered; a certificate of 1,000 samples takes 1,100."""
    import deep_protection as dp

    model = dp.load_classifier("lite0").to(device)
    for batch in batches:
        samples = max(4, 2 * batch)  # fewer could certify nothing
        settings = {"samples": samples, "selection": batch, "alpha": 0.1, "denoiser": "dct", "batch": batch}

        def certify(given: Tensor, settings: dict[str, Any] = settings) -> object:
            return dp.certify(given, model, device=device, **settings)

        draws = batch + samples
        spent, memory = _timed(certify, photographs[0], device)
        yield {
            "what": "certificate",
            "draws_at_once": batch,
            "seconds": round(spent, 4),
            "draws_a_second": round(draws / spent, 2),
            "certificates_a_second": round(draws / spent / 1100, 4),
            "peak_mib": round(memory, 1),
        }
        if spent * 4 > seconds:
            break


def _timed(work: Work, given: Tensor, device: str) -> tuple[float, float]:
    """Seconds of the better of two calls, as the first of a size may still choose kernels, and peak memory in MiB."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        work(given)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return min(times), peak_memory(device)


def _equality(photographs: Tensor, device: str) -> Iterator[dict[str, Any]]:
    """How far restorations and answers are from the CPU's: the same seeds, arithmetic in another order."""
    import deep_protection as dp

    here, there = (dp.purify(photographs, stop="fixed:30", device=each) for each in ("cpu", device))
    error = (here - there.cpu()).square().mean(dim=(1, 2, 3))
    yield {
        "what": "restoration, 30 iterations, against the CPU's",
        "images": len(photographs),
        "psnr_least": round((-10 * error.clamp_min(1e-12).log10()).min().item(), 2),
    }
    both = [
        dp.protect(dp.load_classifier("lite0").to(each), device=each).explain(photographs.to(each))
        for each in ("cpu", device)
    ]
    pairs = list(zip(*both, strict=True))
    yield {
        "what": "protection against the CPU's",
        "images": len(photographs),
        "same_class": sum(int(a.logits.argmax()) == int(b.logits.argmax()) for a, b in pairs),
        "same_kind_of_answer": sum(a.answer == b.answer for a, b in pairs),
        "agreement_furthest": round(max(abs(a.agreement - b.agreement) for a, b in pairs), 4),
    }


def _photographs(count: int) -> Tensor:
    """``N×3×224×224``, foolbox's."""
    import deep_protection as dp
    from deep_protection.evaluation import imagenet_samples

    classifier = dp.load_classifier("lite0")
    chosen = [image for image, _ in imagenet_samples()][:count]
    return torch.stack([classifier.preprocess(image) for image in chosen]).clamp(0, 1)


def _varied(photographs: Tensor, count: int) -> Tensor:
    """So many different images: the photographs, moved sideways once all of them were taken."""
    rolled = [photographs.roll(7 * turn, dims=-1) for turn in range(-(-count // len(photographs)))]
    return torch.cat(rolled)[:count]
