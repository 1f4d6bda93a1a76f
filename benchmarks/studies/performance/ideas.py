"""Every idea for speed on the same images: what was expected, what came out.

    python -m benchmarks ideas --images DIR

One choice of `fast` is changed at a time. A row for each idea, attack and checkpoint goes to ``ideas.parquet``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks.studies.performance.batch import fit_batch
from benchmarks.studies.performance.variants import variant
from deep_protection.errors import OptionError
from deep_protection.evaluation.experiment import Store, Subjects, make_settings
from deep_protection.evaluation.experiment.plan import CLEAN
from deep_protection.evaluation.experiment.units import AttackUnit, Row
from deep_protection.fitting import Detail, Recipe
from deep_protection.restoration import PRESETS

SKIPPED = 20
"""The first images of the order are those of the peers; ideas are tried on others."""
KEY = ("source", "idea", "of", "attack", "n", "views", "iteration")
MEANS = ("top1_correct", "top5_correct", "probability_true", "psnr_clean")


@dataclass(frozen=True, slots=True)
class Idea:
    """One change, with what was expected of it before it was measured, and what was decided after."""

    name: str
    expected: str
    verdict: str
    generator: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    views: bool = False
    """Average the classifier's answers over views of the restored image."""

    def changed_recipe(self) -> Recipe:
        """The recipe with this change; the shipped one for no change."""
        generator = variant(self.name, self.generator) if self.generator else "fast"
        return replace(PRESETS["fast"].recipe, **{"generator": generator, "checkpoint_every": 10, **self.recipe})

    @property
    def settings(self) -> str:
        """What a row was measured of, so that rows of other settings never stand for it."""
        return f"{replace(self.changed_recipe(), generator='fast')!r} {sorted(self.generator.items())}"


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
        "keeps clean images, lets more of the perturbation through",
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
        "level here; tried by hand on all 89 clean images it needs as much more iterations as it saves",
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
        "flips and sizes of the restored image steady the answer",
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


def run(images: str, inputs: Path, out: Path, attacks: list[str], count: int, iterations: int) -> None:
    """Add to the table ``ideas`` in the folder ``out``; what is there is not measured again."""
    skipped = SKIPPED if images != "samples" else 0
    given = {"images": images, "attacks": [name for name in attacks if name != CLEAN], "limit": skipped + count}
    subjects = Subjects(make_settings({**given, "recognised": True}), inputs)
    chosen = list(subjects)[skipped:]
    if not chosen:
        raise OptionError(
            f"{images} has no more than {skipped} recognised images; ideas are tried on others than those"
        )
    with Store(out, {"ideas": KEY}) as store:
        for idea in IDEAS:
            for name in attacks:
                key: Row = {"source": Path(images).name, "idea": idea.name, "of": idea.settings, "attack": name}
                key |= {"n": len(chosen), "views": idea.views}
                known = [row for row in store.rows("ideas") if key.items() <= row.items()]
                if not any(row["iteration"] >= iterations for row in known):
                    made = measure(idea, chosen, name, subjects, iterations)
                    store.add(ideas=[{**key, **row} for row in made])
            print(idea.name, flush=True)


def measure(idea: Idea, chosen: list[AttackUnit], attack: str, subjects: Subjects, iterations: int) -> Iterator[Row]:
    """Fit every image; a row of means for each checkpoint."""
    given = [torch.from_numpy(subjects.under(unit, attack).adversarial) for unit in chosen]
    batch = fit_batch(idea.changed_recipe(), given, iterations)
    for point in zip(*(batch.outputs(number) for number in range(len(given))), strict=True):
        judged = [
            subjects.judge(unit, output, views=idea.views) for unit, (_, output) in zip(chosen, point, strict=True)
        ]
        yield {
            "iteration": point[0][0],
            "cpu_ms_an_iteration": batch.cpu_seconds_an_iteration * 1000,
            **{name: mean(float(row[name]) for row in judged) for name in MEANS},
        }
