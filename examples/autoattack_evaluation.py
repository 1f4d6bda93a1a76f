"""AutoAttack (its own code, on PyPI as pyautoattack) over a classifier and over the defence, cut short.

    pip install '.[autoattack,lite]'; python examples/autoattack_evaluation.py

An evaluation in earnest leaves the attacks as they are and takes version="rand" with dp.protect(…, seed=None).
"""

from typing import Any

import torch
from pyautoattack import AutoAttack

import deep_protection as dp
from deep_protection.evaluation import imagenet_samples

SIZE, STEPS = 4 / 255, 10


def evaluated(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, steps: int) -> torch.Tensor:
    run = AutoAttack(model, norm="Linf", eps=SIZE, version="custom", attacks=["apgd-ce"], seed=0)
    run.apgd.n_iter, run.apgd.n_restarts = steps, 1
    adversarial: torch.Tensor = run.run_standard_evaluation(images, labels, batch_size=len(images))[0]
    return adversarial


def run(count: int = 6, steps: int = STEPS) -> dict[str, Any]:
    lite0 = dp.load_classifier("lite0")
    samples = imagenet_samples()[:count]
    images = torch.stack([lite0.preprocess(image) for image, _ in samples])
    labels = torch.tensor([label for _, label in samples])

    defended = dp.protect(lite0)  # the one line
    oblivious = evaluated(lite0, images, labels, steps)
    adaptive = evaluated(defended, images, labels, steps)  # it knows of the defence

    @torch.no_grad()
    def accuracy(model: torch.nn.Module, given: torch.Tensor) -> float:
        return float((model(given).argmax(dim=1) == labels).float().mean())

    return {
        "attack": f"APGD-CE, 4/255, {steps} steps",
        "images": count,
        "clean": accuracy(lite0, images),
        "clean, defended": accuracy(defended, images),
        "attacked": accuracy(lite0, oblivious),
        "attacked, defended": accuracy(defended, oblivious),
        "attacked through the defence": accuracy(defended, adaptive),
    }


if __name__ == "__main__":
    print(*(f"{name}: {value}" for name, value in run().items()), sep="\n")
