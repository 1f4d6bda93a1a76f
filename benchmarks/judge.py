"""What is written down about one restored picture."""

from typing import Any

import torch
from torch import Tensor

from benchmarks.pictures import Subject
from deep_protection.classifiers import Classifier
from deep_protection.evaluation.views import probabilities
from deep_protection.stopping import psnr


@torch.no_grad()
def judge(
    output: Tensor, given: Tensor, subject: Subject, classifier: Classifier, *, views: bool = False
) -> dict[str, Any]:
    """Top-1, top-5, probability of the true class, and PSNR to what was given and to the clean picture.

    With ``views`` the classifier's answers to the picture, its mirror image and two sizes of it are averaged.
    """
    output = output.clamp(0, 1)
    chances = probabilities(classifier, output[None], views=views)[0]
    best = chances.topk(5).indices.tolist()
    return {
        "top1": best[0] == subject.label,
        "top5": subject.label in best,
        "probability_true": round(chances[subject.label].item(), 4),
        "psnr_input": round(min(psnr(output, given), 99.0), 2),
        "psnr_clean": round(min(psnr(output, subject.clean), 99.0), 2),
    }
