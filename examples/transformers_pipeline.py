"""A transformers pipeline with the protection between its own resizing and normalisation.

pip install '.[hub,attacks]'; python examples/transformers_pipeline.py google/vit-base-patch16-224
"""

import sys
from typing import Any

from transformers import pipeline

import deep_protection as dp
from deep_protection.evaluation import imagenet_samples


def run(model: str, count: int = 4) -> dict[str, Any]:
    images = [image for image, _ in imagenet_samples()[:count]]
    classify = pipeline("image-classification", model=model)
    protected = dp.hf.protect(classify)  # the one line
    before, after = classify(images), protected(images, batch_size=count)
    return {
        "model": model,
        "as they are": [answers[0]["label"] for answers in before],
        "protected": [answers[0]["label"] for answers in after],
    }


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "google/vit-base-patch16-224"
    print(*(f"{key}: {value}" for key, value in run(name).items()), sep="\n")
