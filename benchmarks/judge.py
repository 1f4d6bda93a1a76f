"""What is written down about one restored picture."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.pictures import Subject
from deep_protection.classifiers import Classifier
from deep_protection.stopping import psnr


@torch.no_grad()
def judge(
    output: Tensor, given: Tensor, subject: Subject, classifier: Classifier, *, views: bool = False
) -> dict[str, Any]:
    """Top-1, top-5, probability of the true class, and PSNR to what was given and to the clean picture.

    With ``views`` the classifier's answers to the picture, its mirror image and two sizes of it are averaged.
    """
    output = output.clamp(0, 1)
    seen = _views(output) if views else [output]
    probabilities = torch.stack([classifier(view.unsqueeze(0)).softmax(-1)[0] for view in seen]).mean(dim=0)
    best = probabilities.topk(5).indices.tolist()
    return {
        "top1": best[0] == subject.label,
        "top5": subject.label in best,
        "probability_true": round(probabilities[subject.label].item(), 4),
        "psnr_input": round(min(psnr(output, given), 99.0), 2),
        "psnr_clean": round(min(psnr(output, subject.clean), 99.0), 2),
    }


def _views(output: Tensor) -> list[Tensor]:
    scaled = [
        F.interpolate(output.unsqueeze(0), scale_factor=factor, mode="bicubic", antialias=True)[0].clamp(0, 1)
        for factor in (0.9, 1.1)
    ]
    return [output, output.flip(-1), *scaled]
