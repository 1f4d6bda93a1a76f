"""What would be harder for an attacker who knows: changes of `fast`, each attacked through itself, and their price.

python -m benchmarks harder --images DIR --inputs DIR
"""

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.rows import Row, append, matching
from benchmarks.variants import register
from deep_protection.attacks import find_attack
from deep_protection.evaluation.experiment.adaptive import Knowing
from deep_protection.evaluation.experiment.inputs import InputStore
from deep_protection.evaluation.experiment.pictures import answer_to, labelled_pictures
from deep_protection.evaluation.experiment.units import UNTOUCHED, Attacked, AttackUnit, DefenceUnit, Judged
from deep_protection.evaluation.experiment.worker import Worker, as_array
from deep_protection.restoration import PRESETS, Preset

RESULTS = Path("docs/results/adaptive/harder.jsonl")
SEEDS = (1, 2, 3)


def variants() -> dict[str, Preset]:
    """What is tried, by the name that its rows bear."""
    fast = PRESETS["fast"]
    coarse = replace(fast.recipe, generator=register("base factor 16", {"base_factor": 16}))
    return {
        "as shipped": replace(fast, stop="fixed:50"),
        "10 iterations": replace(fast, stop="fixed:10"),
        "no detail brought back": replace(fast, recipe=replace(fast.recipe, detail=None), stop="fixed:50"),
        "no detail, 10 iterations": replace(fast, recipe=replace(fast.recipe, detail=None), stop="fixed:10"),
        "no detail, base ÷16": replace(fast, recipe=replace(coarse, detail=None), stop="fixed:50"),
    }


def run(images: str, inputs: Path, pictures: int, out: Path = RESULTS) -> None:
    """Clean, oblivious PGD, and BPDA through each variant, on pictures that lite0 gets right untouched."""
    worker, knowing = Worker("lite0", "cpu"), Knowing()
    store = InputStore(inputs, "lite0", lambda name: find_attack(name).parameters())
    chosen = 0
    for picture in labelled_pictures(images, worker.classifier):
        clean = picture.pixels(worker.classifier)
        right = answer_to(worker.classifier, clean) == picture.label
        if not right:
            continue
        chosen += 1
        if chosen > pictures:
            return
        for name, preset in variants().items():
            PRESETS[name] = replace(preset, name=name)
            for attack in ("none", "pgd", "bpda"):
                about = {"image": picture.name, "variant": name, "attack": attack}
                if matching(out, about):
                    continue
                unit = AttackUnit(
                    picture.name,
                    picture.label,
                    attack,
                    0,
                    right,
                    as_array(clean),
                    against=name if attack == "bpda" else None,
                    spec=knowing.spec(attack) if attack == "bpda" else None,
                )
                append(out, [{**about, **row} for row in _judged(worker, store, unit, name)])
        sys.stderr.write(f"harder: {chosen} of {pictures} pictures\n")


def _judged(worker: Worker, store: InputStore, unit: AttackUnit, name: str) -> list[Row]:
    made = Attacked(unit.clean, UNTOUCHED) if unit.attack == "none" else None
    if unit.attack == "pgd":
        made = store.load(unit)
    if made is None:
        outcome = worker(unit)
        assert isinstance(outcome, Attacked)  # noqa: S101  (an attack's unit gives no other)
        made = outcome
    found = []
    for seed in SEEDS if unit.attack == "bpda" else SEEDS[:1]:
        stops = (PRESETS[name].stop,)
        defended = worker(
            DefenceUnit(unit.image, unit.label, unit.attack, name, stops, seed, True, False, None, unit.clean, made)
        )
        assert isinstance(defended, Judged)  # noqa: S101  (a defence's unit gives no other)
        (row,) = defended.results
        kept = ("top1_correct", "top5_correct", "probability_true", "cpu_seconds", "linf", "error")
        found.append({"seed": seed, **{key: row[key] for key in kept}})
    return found
