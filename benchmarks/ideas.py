"""Every idea for speed on the same pictures: what was expected, what came out.

    python -m benchmarks ideas --images DIR

One choice of `fast` is changed at a time. A row for each idea, attack and checkpoint goes to ``ideas.jsonl``.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks import rows
from benchmarks.fingerprint import of_recipe
from benchmarks.judge import judge
from benchmarks.pictures import Subject, attacked, subjects
from benchmarks.variants import register
from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.fitting import FitTask, Recipe, fit_all
from deep_protection.purification import PRESETS
from deep_protection.seeds import picture_seed
from deep_protection.stopping import Fixed

SKIPPED = 20
"""The first pictures of the order are those of the peers; ideas are tried on others."""


@dataclass(frozen=True, slots=True)
class Idea:
    """One change, with what was expected of it before it was measured, and what was decided after."""

    name: str
    expected: str
    verdict: str
    generator: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    views: bool = False
    """Average the classifier's answers over views of the restored picture."""

    def changed_recipe(self) -> Recipe:
        """The recipe with this change; the shipped one for no change."""
        generator = register(self.name, **self.generator) if self.generator else "fast"
        return replace(PRESETS["fast"].recipe, **{"generator": generator, "checkpoint_every": 10, **self.recipe})


IDEAS = (
    Idea("as shipped", "", "the default"),
    Idea(
        "joined branches",
        "adding instead of joining halves the work, at some loss",
        "adding kept: about half the work, no loss seen",
        {"skip": 32},
    ),
    Idea(
        "bilinear bringing back",
        "nearest neighbour saves little and may let blocks through",
        "nearest kept: the saving is in iterations, about half as many",
        {"smooth": True},
    ),
    Idea("two convolutions down", "one is cheaper and a little slower to fit", "one kept", {"downs": 2}),
    Idea("four scales", "three are cheaper, and miss large shapes the base has anyway", "three kept",
         {"channels": (16, 32, 32, 32)}),
    Idea("wider: 32-64-64", "fits in fewer iterations for twice the work", "not worth it",
         {"channels": (32, 64, 64)}),
    Idea("narrower: 8-16-32", "a third less work, more iterations", "level; the wider one kept",
         {"channels": (8, 16, 32)}),
    Idea("quarter resolution", "pixel shuffle by 4: a quarter of the pixels, if they suffice",
         "needs more iterations than it saves", {"shuffle": 4, "channels": (32, 64)}),
    Idea("full resolution", "four times the work, finer detail early", "not worth it", {"shuffle": 1}),
    Idea("16 noise maps", "a little cheaper", "no difference beyond noise", {"noise_channels": 16}),
    Idea("base 4", "closer at the start, lets coarse perturbation through", "8 kept", {"base_factor": 4}),
    Idea("base 16", "stronger low pass, more left to fit", "8 kept", {"base_factor": 16}),
    Idea("learning rate 0.02", "half the iterations if it stays stable", "slower: 0.01 kept",
         recipe={"learning_rate": 0.02}),
    Idea("learning rate 0.005", "steadier, more iterations", "0.01 kept", recipe={"learning_rate": 0.005}),
    Idea("last output, no average", "the average lags in so few iterations", "average kept",
         recipe={"averaging": 0.0}),
    Idea("average of 0.9", "lags less than 0.95", "no difference beyond noise", recipe={"averaging": 0.9}),
    Idea("Huber loss, 0.05", "keeps salt and pepper out, slower on the rest", "?", recipe={"huber": 0.05}),
    Idea("classifier's views", "flips and sizes of the restored picture steady the answer", "?", views=True),
    Idea("float32", "twice the arithmetic of bfloat16", "bfloat16 kept where the processor has it",
         recipe={"precision": "float32"}),
)  # fmt: skip


def run(images: Path, out: Path, attacks: list[str], pictures: int, iterations: int) -> None:
    classifier = load_classifier("lite0")
    skipped = SKIPPED if str(images) != "samples" else 0
    chosen = [subject for subject, _ in zip(subjects(images, classifier), range(skipped + pictures), strict=False)]
    chosen = chosen[skipped:]
    if not chosen:
        raise SystemExit(
            f"{images} has no more than {skipped} recognised pictures; ideas are tried on others than those"
        )
    for idea in IDEAS:
        recipe = idea.changed_recipe()
        for name in attacks:
            key: rows.Row = {"source": images.name, "idea": idea.name, "attack": name, "of": of_recipe(recipe)}
            key |= {"n": len(chosen), "views": idea.views}
            done = [row for row in rows.read(out) if all(row.get(field) == value for field, value in key.items())]
            if not any(row["iteration"] >= iterations for row in done):
                given = [attacked(subject, name, classifier) for subject in chosen]
                made = measure(recipe, chosen, given, classifier, iterations, idea.views)
                rows.append(out, ({**key, **row} for row in made))
        print(idea.name, flush=True)


def measure(
    recipe: Recipe, chosen: list[Subject], given: list[Tensor], classifier: Classifier, iterations: int, views: bool
) -> Iterator[rows.Row]:
    """Fit every picture; a row of means for each checkpoint."""
    tasks = [
        FitTask(target=picture, recipe=recipe, rule=Fixed(iterations), seed=picture_seed(0, picture), keep_outputs=True)
        for picture in given
    ]
    begin = time.process_time()
    fits = list(fit_all(tasks, pictures_total=len(tasks)))
    cpu = (time.process_time() - begin) / len(fits) / iterations
    for index, point in enumerate(fits[0]):
        judged = [
            judge(trajectory.outputs[index], picture, subject, classifier, views=views)
            for subject, picture, trajectory in zip(chosen, given, fits, strict=True)
        ]
        means = {key: round(sum(one[key] for one in judged) / len(judged), 4) for key in judged[0]}
        yield {"iteration": point.iteration, "cpu_ms_an_iteration": round(cpu * 1000, 2), **means}
