"""What the detector and others see in clean and in attacked images: evidence, not verdicts, so that every threshold
and every combination can be judged afterwards.
"""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.detection import classifier_responses, compute_evidence, first_looks
from deep_protection.detection._detect import ITERATIONS
from deep_protection.evaluation.baselines import BASELINES
from deep_protection.evaluation.experiment import Store, Subjects, make_settings
from deep_protection.evaluation.experiment.plan import CLEAN
from deep_protection.evaluation.experiment.units import Row
from deep_protection.restoration import FitOptions

Others = dict[str, Callable[[Tensor, Tensor], float]]
"""Name of a detector to what it makes of an image and the classifier's answer to it."""
RESULTS = Path("docs/results/detection")
KEY = ("image", "attack", "rounded")


def run(
    images: str, inputs: Path, attacks: list[str], limit: int | None = None, out: Path = RESULTS, name: str = "lite0"
) -> None:
    """Every image under every attack, rounded to 8 bits as any file is; also as floats where rounding undoes the
    attack. What is there already is left alone. Other detectors are asked about ``lite0`` only.
    """
    settings = make_settings({"images": images, "classifier": name, "attacks": attacks, "limit": limit})
    subjects = Subjects(settings, inputs)
    classifier = subjects.classifier
    others = OTHERS if name == "lite0" else {}
    seconds = second_opinions() if others else {}
    with Store(out, {"evidence": KEY}) as store:
        done = {(row["image"], row["attack"]) for row in store.rows("evidence")}
        for number, unit in enumerate(subjects):
            for attack in (CLEAN, *attacks):
                if (unit.image, attack) in done:
                    continue
                given = torch.from_numpy(subjects.under(unit, attack).adversarial)
                about = {
                    "image": unit.image,
                    "attack": attack,
                    "label": unit.label,
                    "clean_correct": unit.clean_correct,
                }
                kinds = (True,) if _survives(given, classifier) else (True, False)
                store.add(
                    evidence=[_row({**about, "rounded": each}, given, classifier, others, seconds) for each in kinds]
                )
            sys.stderr.write(f"detection: {number + 1} images\n")


@torch.no_grad()
def _survives(given: Tensor, classifier: Classifier) -> bool:
    """Whether rounding to 8 bits leaves the classifier's answer as it is: then a file is as good as floats."""
    both = classifier(torch.stack([given, _rounded(given)])).argmax(dim=-1)
    return bool(both[0] == both[1])


def _rounded(given: Tensor) -> Tensor:
    return given.mul(255).round().div(255)


def _row(
    about: Row,
    given: Tensor,
    classifier: Classifier,
    others: dict[str, Callable[[Tensor, Classifier], float]],
    seconds: Others,
) -> Row:
    pixels = _rounded(given) if about["rounded"] else given
    row = dict(about)
    for title, iterations in (("fit", ITERATIONS), ("quick", 0)):
        begin = time.process_time()
        seen = classifier_responses([pixels], classifier, iterations=iterations, options=FitOptions(workers=1))[0]
        row[title] = {key: round(value, 5) for key, value in compute_evidence(pixels, seen).items()}
        row[f"{title}_cpu_seconds"] = round(time.process_time() - begin, 4)
    begin = time.process_time()
    [look] = first_looks([pixels], classifier)
    row["first"] = {key: round(value, 5) for key, value in compute_evidence(pixels, look).items()}
    row["first_cpu_seconds"] = round(time.process_time() - begin, 4)
    row["predicted"] = int(seen.original.argmax())
    for title, measure in others.items():
        begin = time.process_time()
        row[title] = float(f"{measure(pixels, classifier):.6g}")
        row[f"{title}_cpu_seconds"] = round(time.process_time() - begin, 4)
    for title, compare in seconds.items():
        begin = time.process_time()
        row[title] = float(f"{compare(pixels, seen.original.exp()):.6g}")
        row[f"{title}_cpu_seconds"] = round(time.process_time() - begin, 4)
    return row


def divergence(first: Tensor, second: Tensor) -> float:
    """Logarithm of the Kullback-Leibler divergence of two rows of probabilities, in nats; 1e-6 stands for 0."""
    nats = (first * ((first + 1e-6) / (second + 1e-6)).log()).sum().clamp(min=0).item()
    return math.log(nats + 1e-3)


def distance(first: Tensor, second: Tensor) -> float:
    """L1 distance of two rows of probabilities, from 0 to 2."""
    return (first - second).abs().sum().item()


@torch.no_grad()
def _shift(pixels: Tensor, classifier: Classifier, *changed: Tensor) -> float:
    """The largest L1 distance between the answer to an image and those to its changed versions."""
    given, *again = classifier(torch.stack([pixels, *changed])).softmax(dim=-1)
    return max(distance(each, given) for each in again)


def feature_squeezing(pixels: Tensor, classifier: Classifier) -> float:
    """Xu et al. 2018 (arXiv:1704.01155), their best joint squeezers for ImageNet: 5 bits, median 2×2, non-local means
    11-3-4.
    """
    from scipy.ndimage import median_filter
    from skimage.restoration import denoise_nl_means

    five = pixels.mul(31).round().div(31)
    median = torch.from_numpy(median_filter(pixels.numpy(), size=(1, 2, 2)))
    means = denoise_nl_means(pixels.numpy(), patch_size=3, patch_distance=5, h=4 / 255, channel_axis=0)
    return _shift(pixels, classifier, five, median, torch.from_numpy(means.astype(np.float32)))


def jpeg_divergence(pixels: Tensor, classifier: Classifier) -> float:
    """Our own measure with JPEG 25 in place of the restoration."""
    with torch.no_grad():
        given, again = classifier(torch.stack([pixels, BASELINES["jpeg25"].apply(pixels)])).softmax(dim=-1)
    return divergence(again, given)


def jpeg_shift(pixels: Tensor, classifier: Classifier) -> float:
    """How far JPEG 50 moves the answer."""
    return _shift(pixels, classifier, BASELINES["jpeg50"].apply(pixels))


OTHERS: dict[str, Callable[[Tensor, Classifier], float]] = {
    "feature_squeezing": feature_squeezing,
    "jpeg_shift": jpeg_shift,
    "jpeg_divergence": jpeg_divergence,
}


def second_opinions() -> Others:
    """EfficientNet-Lite2's."""
    second = load_classifier("lite2")
    return {
        "second_opinion": _second_opinion(second, distance),
        "second_divergence": _second_opinion(second, divergence),
    }


def _second_opinion(
    other: Classifier, measure_of: Callable[[Tensor, Tensor], float], side: int = 260
) -> Callable[[Tensor, Tensor], float]:
    """How far another classifier's answer is, after prediction inconsistency (PID, arXiv:2506.03765)."""

    @torch.no_grad()
    def measure(pixels: Tensor, given: Tensor) -> float:
        larger = F.interpolate(pixels[None], size=(side, side), mode="bicubic").clamp(0, 1)
        return measure_of(other(larger).softmax(dim=-1)[0], given)

    return measure
