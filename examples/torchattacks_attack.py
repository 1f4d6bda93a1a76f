"""torchattacks attacks a classifier as it is and with the protection in front.

pip install '.[lite]'; pip install --no-deps torchattacks; python examples/torchattacks_attack.py
"""

from typing import Any

import torch
import torchattacks

import deep_protection as dp
from deep_protection.evaluation import imagenet_samples

SIZE, STEPS = 4 / 255, 10


def run(count: int = 6, steps: int = STEPS) -> dict[str, Any]:
    lite0 = dp.load_classifier("lite0")
    samples = imagenet_samples()[:count]
    images = torch.stack([lite0.preprocess(image) for image, _ in samples])
    labels = torch.tensor([label for _, label in samples])

    defended = dp.protect(lite0)  # the one line
    attack = {"eps": SIZE, "alpha": SIZE / 4, "steps": steps}
    oblivious = torchattacks.PGD(lite0, **attack)(images, labels)
    adaptive = torchattacks.PGD(defended, **attack)(images, labels)  # it knows of the defence

    def accuracy(model: torch.nn.Module, given: torch.Tensor) -> float:
        logits = torchattacks.VANILA(model).get_logits(given)  # the library has no measure of its own
        return float((logits.argmax(dim=1) == labels).float().mean())

    return {
        "attack": f"PGD, 4/255, {steps} steps",
        "images": count,
        "clean": accuracy(lite0, images),
        "clean, defended": accuracy(defended, images),
        "attacked": accuracy(lite0, oblivious),
        "attacked, defended": accuracy(defended, oblivious),
        "attacked through the defence": accuracy(defended, adaptive),
    }


if __name__ == "__main__":
    print(*(f"{name}: {value}" for name, value in run().items()), sep="\n")
