"""Variants of the `fast` generator side by side: recovery and cost at every checkpoint.

    python -m benchmarks.fast_variants --images DIR --out docs/results/fast-variants

``DIR`` holds one folder a class, named by WordNet id. Rows go to ``rows.jsonl``: one for each variant, attack and
checkpoint. Rows that are there are not measured again, so an interrupted run goes on where it was.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from deep_protection.attacks import attack
from deep_protection.classifiers import Classifier, load_classifier, wordnet_ids
from deep_protection.evaluation import accuracy
from deep_protection.fitting import FitTask, fit_all
from deep_protection.generators import GENERATORS, FastGenerator
from deep_protection.purification import PRESETS
from deep_protection.seeds import picture_seed
from deep_protection.stopping import Fixed, psnr

VARIANTS: dict[str, dict[str, Any]] = {
    "skip 4": {"skip": 4},
    "skip 16": {"skip": 16},
    "skip 32": {"skip": 32},
}
"""Attributes of the generator that differ."""


def load_folder(folder: Path, classifier: Classifier, every: int) -> tuple[Tensor, Tensor]:
    """Every ``every``-th picture of those that the classifier gets right."""
    index = {wordnet_id: number for number, wordnet_id in enumerate(wordnet_ids())}
    files = sorted(file for file in folder.glob("n*/*") if file.parent.name in index)[::every]
    pixels = torch.stack([classifier.preprocess(Image.open(file)) for file in files])
    labels = torch.tensor([index[file.parent.name] for file in files])
    with torch.no_grad():
        right = classifier(pixels).argmax(dim=1) == labels
    return pixels[right], labels[right]


def measure(
    variant: str, name: str, clean: Tensor, attacked: Tensor, labels: Tensor, classifier: Classifier, iterations: int
) -> Iterator[dict[str, Any]]:
    """Fit every picture with the variant; a row for each checkpoint."""
    kind: type[FastGenerator] = type("Variant", (FastGenerator,), {"name": f"fast ({variant})", **VARIANTS[variant]})
    GENERATORS[kind.name] = kind
    recipe = replace(PRESETS["fast"].recipe, generator=kind.name)
    tasks = [
        FitTask(target=picture, recipe=recipe, rule=Fixed(iterations), seed=picture_seed(0, picture), keep_outputs=True)
        for picture in attacked
    ]
    begin = time.process_time()
    fits = list(fit_all(tasks, pictures_total=len(tasks)))
    cpu = time.process_time() - begin
    for number, point in enumerate(fits[0]):
        outputs = torch.stack([fitted.outputs[number] for fitted in fits])
        yield {
            "variant": variant,
            "attack": name,
            "iteration": point.iteration,
            **accuracy(classifier, outputs, labels).summary(),
            "psnr_input": sum(fitted[number].psnr for fitted in fits) / len(fits),
            "psnr_clean": sum(psnr(output, picture) for output, picture in zip(outputs, clean, strict=True))
            / len(fits),
            "cpu_ms_per_iteration": 1000 * cpu / len(fits) / iterations,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/results/fast-variants"))
    parser.add_argument("--every", type=int, default=5, help="take every n-th picture")
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--attacks", default="none,pgd,fgsm")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = options.out / "rows.jsonl"
    lines = rows.read_text().splitlines() if rows.exists() else []
    done = {(row["variant"], row["attack"]) for row in map(json.loads, lines)}
    classifier = load_classifier("lite0")
    clean, labels = load_folder(options.images, classifier, options.every)
    for name in options.attacks.split(","):
        attacked = clean if name == "none" else attack(classifier, clean, labels, name).adversarial
        for variant in VARIANTS:
            if (variant, name) in done:
                continue
            made = list(measure(variant, name, clean, attacked, labels, classifier, options.iterations))
            with rows.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in made)
            best = max(made, key=lambda row: row["top1"])
            print(f"{variant} · {name}: best top-1 {best['top1']:.2f} at iteration {best['iteration']}", flush=True)


if __name__ == "__main__":
    main()
