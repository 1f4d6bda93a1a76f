"""What a row says of an image that was defended: the classifier's answer, and how far it is from the clean one."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from deep_protection.evaluation.experiment.units import Attacked, AttackUnit, Pixels, Row, tier_of
from deep_protection.evaluation.fidelity import detail_kept
from deep_protection.stopping import Trajectory, psnr

BEST = 99.0
"""PSNR of an image to itself, which is infinite, in dB."""


def judged(unit: AttackUnit, attacked: Attacked, output: Tensor, probabilities: Tensor) -> Row:
    """What every row holds of an image under an attack and of what a defence made of it."""
    return {
        "image": unit.image,
        "label": unit.label,
        "attack": unit.attack,
        "tier": tier_of(unit.attack),
        "clean_correct": unit.clean_correct,
        **attacked.measured,
        **answer_columns(probabilities, unit.label),
        **distance_columns(output, torch.from_numpy(unit.clean)),
    }


def answer_columns(probabilities: Tensor, label: int) -> Row:
    best = probabilities.topk(min(5, len(probabilities))).indices.tolist()
    return {
        "predicted": best[0],
        "top1_correct": best[0] == label,
        "top5_correct": label in best,
        "probability_true": probabilities[label].item(),
    }


def distance_columns(output: Tensor, clean: Tensor) -> Row:
    from torchmetrics.functional.image import structural_similarity_index_measure

    ssim = structural_similarity_index_measure(output[None], clean[None], data_range=1.0)
    assert isinstance(ssim, Tensor)  # noqa: S101  (a tuple only where more is asked of it)
    return {
        "psnr_clean": min(psnr(output, clean), BEST),
        "ssim_clean": ssim.item(),
        "detail_kept": detail_kept(output, clean),
    }


def checkpoint_rows(about: Row, trajectory: Trajectory, known: Tensor, label: int, clean: Tensor) -> Iterator[Row]:
    for index, (point, probabilities) in enumerate(zip(trajectory, known, strict=True)):
        values, best = probabilities.topk(min(5, len(probabilities)))
        yield {
            **about,
            "iteration": point.iteration,
            "loss": point.loss,
            "psnr_input": min(point.psnr, BEST),
            "psnr_clean": min(psnr(trajectory.outputs[index], clean), BEST),
            "seconds": point.seconds,
            "probability_true": probabilities[label].item(),
            "predicted": best.tolist(),
            "probabilities": [round(value, 6) for value in values.tolist()],
        }


def as_array(pixels: Tensor) -> Pixels:
    """``3×H×W`` for a unit."""
    return np.ascontiguousarray(pixels.cpu().numpy(), dtype=np.float32)
