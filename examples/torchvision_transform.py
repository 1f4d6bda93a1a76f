"""The restoration as a step of torchvision's transforms, before Normalize; and models of torchvision and timm by name.

pip install '.[torchvision,timm,attacks,lite]'
python examples/torchvision_transform.py torchvision:resnet18     # or timm:resnet18.a1_in1k; downloads weights
"""

import sys
from typing import Any

import torch
from torchvision.transforms import v2

import deep_protection as dp
from deep_protection.evaluation import imagenet_samples


def run(model: str, count: int = 4) -> dict[str, Any]:
    classifier = dp.load_classifier(model)
    transform = v2.Compose(
        [
            v2.Resize(256),
            v2.CenterCrop(224),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            dp.Purify(),  # the one line
            v2.Normalize(classifier.mean.flatten().tolist(), classifier.std.flatten().tolist()),
        ]
    )
    batch = torch.stack([transform(image) for image, _ in imagenet_samples()[:count]])
    with torch.no_grad():
        logits = classifier.network(batch)
    return {"model": model, "restored": [classifier.label(int(index)) for index in logits.argmax(dim=1)]}


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "torchvision:resnet18"
    print(*(f"{key}: {value}" for key, value in run(name).items()), sep="\n")
