"""Every idea for speed on the same pictures: what was expected, what came out.

    python -m benchmarks ideas --images DIR

One choice of `fast` is changed at a time. A row for each idea, attack and checkpoint goes to ``ideas.jsonl``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks import rows
from benchmarks.batch import fit_batch
from benchmarks.fingerprint import of_recipe
from benchmarks.judge import judge
from benchmarks.pictures import Subject, attacked, first
from benchmarks.variants import register
from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.fitting import Detail, Recipe
from deep_protection.restoration import PRESETS

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
        generator = register(self.name, self.generator) if self.generator else "fast"
        return replace(PRESETS["fast"].recipe, **{"generator": generator, "checkpoint_every": 10, **self.recipe})


_detail = PRESETS["fast"].recipe.detail
assert _detail is not None  # noqa: S101  (what `fast` ships with)
DETAIL: Detail = _detail

IDEAS = (
    Idea("as shipped", "", "the default"),
    Idea(
        "squared error",
        "Huber's loss costs a little on dense perturbations, gains much on sparse ones",
        "right: salt and pepper lost, the rest level; Huber's loss kept",
        recipe={"huber_delta": None},
    ),
    Idea(
        "Huber's loss from 0.05",
        "sturdier still, slower on the rest",
        "level; 0.1 kept",
        recipe={"huber_delta": 0.05},
    ),
    Idea(
        "no detail brought back",
        "bringing detail back saves half the iterations",
        "right, and more than half; kept",
        recipe={"detail": None},
    ),
    Idea(
        "detail above 12/255",
        "keeps clean pictures, lets more of the perturbation through",
        "sooner good, level after; 18 kept for fixed 8/255 attacks",
        recipe={"detail": replace(DETAIL, low=12 / 255)},
    ),
    Idea(
        "detail above 20/255",
        "the other way round",
        "level; 18 kept",
        recipe={"detail": replace(DETAIL, low=20 / 255)},
    ),
    Idea(
        "detail without an upper end",
        "brings salt and pepper back",
        "right; the end kept",
        recipe={"detail": replace(DETAIL, high=1000.0)},
    ),
    Idea(
        "joined branches",
        "adding instead of joining halves the work, at some loss",
        "a little better at twice the work; adding kept",
        {"skip": 32},
    ),
    Idea(
        "bilinear bringing back", "nearest neighbour saves little and may let blocks through", "level", {"smooth": True}
    ),
    Idea(
        "two convolutions down",
        "one is cheaper and a little slower to fit",
        "level at more work; one kept",
        {"downs": 2},
    ),
    Idea(
        "four scales",
        "three are cheaper, and miss large shapes the base has anyway",
        "level at more work; three kept",
        {"channels": (16, 32, 32, 32)},
    ),
    Idea("wider: 32-64-64", "fits in fewer iterations for twice the work", "not worth it", {"channels": (32, 64, 64)}),
    Idea("narrower: 8-16-32", "a third less work, more iterations", "level, little saved", {"channels": (8, 16, 32)}),
    Idea(
        "quarter resolution",
        "pixel shuffle by 4: a quarter of the pixels, if they suffice",
        "level here; tried by hand on all 89 clean pictures it needs as much more iterations as it saves",
        {"shuffle": 4, "channels": (32, 64)},
    ),
    Idea(
        "full resolution",
        "four times the work, finer detail early",
        "level at nearly three times the work",
        {"shuffle": 1},
    ),
    Idea("16 noise maps", "a little cheaper", "level, nothing saved", {"noise_channels": 16}),
    Idea(
        "grey and colours apart",
        "colours at half resolution, as JPEG has them, keep coloured noise out",
        "level at more work",
        {"colours_apart": True},
    ),
    Idea("base 4", "closer at the start, lets coarse perturbation through", "right; 8 kept", {"base_factor": 4}),
    Idea("base 16", "stronger low pass, more left to fit", "level; 8 kept", {"base_factor": 16}),
    Idea(
        "learning rate 0.02",
        "half the iterations if it stays stable",
        "no faster; 0.01 kept",
        recipe={"learning_rate": 0.02},
    ),
    Idea("learning rate 0.005", "steadier, more iterations", "level", recipe={"learning_rate": 0.005}),
    Idea(
        "last output, no average",
        "the average lags in so few iterations",
        "level here; the average kept, which costs nothing",
        recipe={"ema_decay": 0.0},
    ),
    Idea("average of 0.9", "lags less than 0.95", "level", recipe={"ema_decay": 0.9}),
    Idea(
        "classifier's views",
        "flips and sizes of the restored picture steady the answer",
        "better, for one and every defence: left to the experiment, where all get them",
        views=True,
    ),
    Idea(
        "float32",
        "twice the arithmetic of bfloat16",
        "level; less saved than twice, see the table of iterations",
        recipe={"precision": "float32"},
    ),
)


def run(images: Path, out: Path, attacks: list[str], pictures: int, iterations: int) -> None:
    classifier = load_classifier("lite0")
    skipped = SKIPPED if str(images) != "samples" else 0
    chosen = first(images, classifier, skipped + pictures)[skipped:]
    if not chosen:
        raise SystemExit(
            f"{images} has no more than {skipped} recognised pictures; ideas are tried on others than those"
        )
    for idea in IDEAS:
        recipe = idea.changed_recipe()
        for name in attacks:
            key: rows.Row = {"source": images.name, "idea": idea.name, "attack": name, "of": of_recipe(recipe)}
            key |= {"n": len(chosen), "views": idea.views}
            if not any(row["iteration"] >= iterations for row in rows.matching(out, key)):
                given = [attacked(subject, name, classifier) for subject in chosen]
                made = measure(recipe, chosen, given, classifier, iterations, idea.views)
                rows.append(out, ({**key, **row} for row in made))
        print(idea.name, flush=True)


def measure(
    recipe: Recipe, chosen: list[Subject], given: list[Tensor], classifier: Classifier, iterations: int, views: bool
) -> Iterator[rows.Row]:
    """Fit every picture; a row of means for each checkpoint."""
    batch = fit_batch(recipe, given, iterations)
    points = zip(*(batch.outputs(number) for number in range(len(given))), strict=True)
    for point in points:
        judged = [
            judge(output, picture, subject, classifier, views=views)
            for subject, picture, (_, output) in zip(chosen, given, point, strict=True)
        ]
        means = {key: round(sum(one[key] for one in judged) / len(judged), 4) for key in judged[0]}
        yield {
            "iteration": point[0][0],
            "cpu_ms_an_iteration": round(batch.cpu_seconds_an_iteration * 1000, 2),
            **means,
        }
