"""What detectors and the restoration cost, in one interleaved run on one thread."""

import json
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

import benchmarks
from benchmarks.machine import describe
from benchmarks.studies.detection.evidence import OTHERS, second_opinions
from deep_protection.classifiers import Classifier, ClassifierAdapter, load_classifier
from deep_protection.detection import classifier_responses, compute_evidence
from deep_protection.detection._detect import ITERATIONS
from deep_protection.evaluation.samples import imagenet_samples
from deep_protection.restoration import FitOptions, find_preset, purify

RESULTS = benchmarks.RESULTS / "detection/costs.json"
IMAGES, ROUNDS = 6, 3


def run(out: Path = RESULTS) -> None:
    """Median CPU seconds an image."""
    torch.set_num_threads(1)
    classifier = load_classifier("lite0")
    rule = find_preset("fast").rule_asking(ClassifierAdapter(classifier), 224)
    with torch.no_grad():
        images = [classifier.preprocess(image) for image, _ in imagenet_samples()[:IMAGES]]

    def detection(iterations: int) -> Callable[[Tensor], object]:
        return lambda pixels: compute_evidence(
            pixels, classifier_responses([pixels], classifier, iterations=iterations, options=FitOptions(workers=1))[0]
        )

    measured: dict[str, Callable[[Tensor], object]] = {
        "fit": detection(ITERATIONS),
        "quick": detection(0),
        "restore": lambda pixels: purify(pixels, stop=rule, workers=1),
    }
    with torch.no_grad():
        for name, measure in OTHERS.items():
            measured[name] = partial(_other, measure, classifier)
        for name, compare in second_opinions().items():
            measured[name] = partial(_second, compare, classifier)
        spent: dict[str, list[float]] = defaultdict(list)
        for turn in range(ROUNDS + 1):
            for pixels in images:
                for name, call in measured.items():
                    begin = time.process_time()
                    call(pixels)
                    if turn:  # the first round is for whatever happens only once
                        spent[name].append(time.process_time() - begin)
    costs = {name: round(median(values), 5) for name, values in spent.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": describe(), "cpu_seconds": costs}, indent=1) + "\n")


def _other(measure: Callable[[Tensor, Classifier], float], classifier: Classifier, pixels: Tensor) -> float:
    return measure(pixels, classifier)


def _second(compare: Callable[[Tensor, Tensor], float], classifier: Classifier, pixels: Tensor) -> float:
    return compare(pixels, classifier(pixels[None])[0].softmax(dim=-1))
