"""The Adversarial Robustness Toolbox attacks a classifier, bare and protected; our detector stands beside.

pip install '.[art,attacks,lite]'; python examples/art_defence.py
"""

from typing import Any

import numpy as np
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from art.utils import compute_accuracy, to_categorical

import deep_protection as dp
from deep_protection.evaluation import imagenet_samples


def estimator(model: torch.nn.Module) -> Any:
    return PyTorchClassifier(
        model=model,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(3, 224, 224),
        nb_classes=1000,
        clip_values=(0, 1),
    )


def run(count: int = 6, steps: int = 10) -> dict[str, Any]:
    lite0 = dp.load_classifier("lite0")
    samples = imagenet_samples()[:count]
    x = np.stack([lite0.preprocess(image).numpy() for image, _ in samples])
    y = to_categorical(np.array([label for _, label in samples]), 1000)

    bare = estimator(lite0)
    defended = estimator(dp.protect(lite0))  # the one line
    detector = dp.art.DeepPriorDetector(bare)
    attack = {"eps": 4 / 255, "eps_step": 1 / 255, "max_iter": steps, "verbose": False}
    oblivious = ProjectedGradientDescent(bare, **attack).generate(x, y=y)
    adaptive = ProjectedGradientDescent(defended, **attack).generate(x, y=y)  # it knows of the defence

    def accuracy(classifier: Any, images: Any) -> float:
        return float(compute_accuracy(classifier.predict(images), y)[0])

    return {
        "attack": f"PGD, 4/255, {steps} steps",
        "images": count,
        "clean": accuracy(bare, x),
        "clean, defended": accuracy(defended, x),
        "attacked": accuracy(bare, oblivious),
        "attacked, defended": accuracy(defended, oblivious),
        "attacked through the defence": accuracy(defended, adaptive),
        "flagged, clean": float(detector.detect(x)[1].mean()),
        "flagged, attacked": float(detector.detect(oblivious)[1].mean()),
    }


if __name__ == "__main__":
    print(*(f"{name}: {value}" for name, value in run().items()), sep="\n")
