"""Three problems of deepinv solved by our reconstructor, in deepinv's own decibels.

pip install '.[deepinv,attacks,lite]'; python examples/deepinv_reconstruction.py
"""

from typing import Any

import deepinv
import torch

import deep_protection as dp
from deep_protection.evaluation import imagenet_samples
from deep_protection.images import as_image


def run(count: int = 1, side: int = 128, stop: str | None = None) -> dict[str, Any]:
    images = [image.resize((side, side)) for image, _ in imagenet_samples()[:count]]
    truth = torch.stack([as_image(image).pixels for image in images])
    size, noise = (3, side, side), deepinv.physics.GaussianNoise(25 / 255)
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand((1, side, side), generator=generator) < 0.5).float()
    problems = {
        "denoising, 25/255": deepinv.physics.Denoising(noise),
        "inpainting, half of the pixels": deepinv.physics.Inpainting(mask=mask, img_size=size),
        "super-resolution, ×2": deepinv.physics.Downsampling(img_size=size, factor=2, filter="bicubic"),
    }
    psnr, found = deepinv.metric.PSNR(), dict[str, Any](images=count, side=side)
    for name, physics in problems.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            seen = physics(truth)
        made = dp.deepinv.DeepPriorReconstructor(stop=stop)(seen, physics)  # the one line
        simple = physics.A_dagger(seen)
        found[name] = {"pseudo-inverse": psnr(simple, truth).mean().item(), "ours": psnr(made, truth).mean().item()}
    return found


if __name__ == "__main__":
    print(*(f"{name}: {value}" for name, value in run().items()), sep="\n")
