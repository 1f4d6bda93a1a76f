"""A defence of your own in an experiment: a function of images, beside JPEG and nothing.

pip install '.[experiment]'; python examples/own_defence.py
"""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from deep_protection.evaluation.experiment import Experiment


def blur(images: Tensor) -> Tensor:
    """``N×3×H×W`` in ``[0, 1]``, to the same."""
    return F.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)


def run(out: str = "own-defence", count: int = 4) -> list[dict[str, Any]]:
    return Experiment(attacks="pgd", defences=[blur, "jpeg25", "none"], limit=count).run(out)


if __name__ == "__main__":
    for row in run():
        print(row["image"], row["attack"], row["defence"], "right" if row["top1_correct"] else "wrong")
