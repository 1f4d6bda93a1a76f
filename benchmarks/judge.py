"""What is written down about one restored picture."""

from typing import Any

import torch
from torch import Tensor

from benchmarks.pictures import Subject
from deep_protection.classifiers import Classifier
from deep_protection.stopping import psnr


@torch.no_grad()
def judge(output: Tensor, given: Tensor, subject: Subject, classifier: Classifier) -> dict[str, Any]:
    """Top-1, top-5, probability of the true class, and PSNR to what was given and to the clean picture."""
    output = output.clamp(0, 1)
    probabilities = classifier(output.unsqueeze(0)).softmax(-1)[0]
    best = probabilities.topk(5).indices.tolist()
    return {
        "top1": best[0] == subject.label,
        "top5": subject.label in best,
        "probability_true": round(probabilities[subject.label].item(), 4),
        "psnr_input": round(min(psnr(output, given), 99.0), 2),
        "psnr_clean": round(min(psnr(output, subject.clean), 99.0), 2),
    }
