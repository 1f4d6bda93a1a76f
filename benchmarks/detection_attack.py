"""An attacker who knows the detector: the classifier is to be wrong, and everything the detector looks at to agree.

PGD towards the second most probable class of the clean picture, on the mean cross-entropy of all twelve pictures that
the detector shows to the classifier. Restoration and compression let the gradient straight through (BPDA).
"""

import sys
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.pictures import first
from benchmarks.rows import append, matching
from deep_protection.classifiers import Classifier, load_classifier, views
from deep_protection.detection import gather, look, partial_restorations
from deep_protection.detection.detect import ITERATIONS
from deep_protection.detection.evidence import compressed
from deep_protection.protection import straight_through

RESULTS = Path("docs/results/detection/joint.jsonl")
STEPS = 40
STEP = 0.1
"""Of ε."""


def run(images: Path, pictures: int, epsilons: list[float], out: Path = RESULTS) -> None:
    """Attack ``pictures`` pictures at every ε (in 255ths), through the quick detector and through the one that fits."""
    classifier = load_classifier("lite0")
    for weights in classifier.parameters():
        weights.requires_grad_(False)
    for number, subject in enumerate(first(images, classifier, pictures)):
        for part, iterations in (("quick", 0), ("fit", ITERATIONS)):
            for epsilon in epsilons:
                key = {"image": subject.name, "part": part, "epsilon": epsilon, "steps": STEPS}
                if matching(out, key):
                    continue
                found = attack(classifier, subject.clean, epsilon / 255, iterations).mul(255).round().div(255)
                seen = look([found], classifier, iterations=iterations, seed=1, workers=1)[0]
                measured = {name: round(value, 5) for name, value in gather(found, seen).items()}
                append(out, [{**key, "label": subject.label, "predicted": int(seen.given.argmax()), part: measured}])
        sys.stderr.write(f"joint attack: {number + 1} of {pictures} pictures\n")


def attack(classifier: Classifier, clean: Tensor, epsilon: float, iterations: int) -> Tensor:
    """``3×H×W`` within ``epsilon`` (Linf) of ``clean``. Fresh randomness for every fit."""
    with torch.no_grad():
        target = classifier(clean[None]).topk(2).indices[:, 1]
    given = clean.clone()
    for step in range(STEPS):
        leaf = given.clone().requires_grad_()
        restored = straight_through(leaf, partial(_restored, iterations=iterations, step=step))
        shown = torch.cat(views(torch.stack([leaf, restored, straight_through(leaf, compressed)])))
        loss = F.cross_entropy(classifier(shown), target.expand(len(shown)))
        (gradient,) = torch.autograd.grad(loss, leaf)
        moved = given - STEP * epsilon * gradient.sign()
        given = torch.minimum(torch.maximum(moved, clean - epsilon), clean + epsilon).clamp(0, 1)
    return given


def _restored(pixels: Tensor, iterations: int, step: int) -> Tensor:
    return partial_restorations([pixels], iterations=iterations, seed=1000 + step, workers=1)[0]
