"""The demonstration: photographs attacked, and what a classifier says of them, bare, filtered and protected."""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from deep_protection.attacks import ATTACKS, AttackSpec, attack
from deep_protection.attacks.libraries import foolbox
from deep_protection.classifiers import Classifier, Prediction, load_classifier
from deep_protection.errors import DeepProtectionError, OptionError
from deep_protection.evaluation.accuracy import Accuracy
from deep_protection.evaluation.baselines import BASELINES
from deep_protection.evaluation.grid import AMPLIFICATION, Pair, draw_grid
from deep_protection.evaluation.processes import Processes
from deep_protection.evaluation.samples import imagenet_samples
from deep_protection.protection import Kind, ProtectedClassifier, protect
from deep_protection.seeds import image_seed

CLASSIFIER = "lite0"
CLEAN = "none"
PROTECTED = "protected"
"""What results call our own defence, beside the baselines' names."""
REFERENCE = "jpeg25"
"""The filter that always has a row of its own."""

_SALT_AND_PEPPER = replace(
    ATTACKS["saltpepper"],
    title="salt and pepper, 30 steps",
    build=lambda: foolbox().attacks.SaltAndPepperNoiseAttack(steps=30, across_channels=True),
)
"""A tenth of the steps that experiments take, and so of the time: what it finds is larger."""
ATTACKED_BY: dict[str, AttackSpec] = {each.name: each for each in (ATTACKS["pgd"], ATTACKS["fgsm"], _SALT_AND_PEPPER)}

SHOWN = 2
"""Photographs in the figure."""
_FOOT = f"squares: the perturbation in that corner, {AMPLIFICATION} times as strong"
_TAKEN = {"own": "its own answer", "mild": "answer to mild changes", "contrast": "answer by contrast"}

Array = npt.NDArray[np.float32]
Report = Callable[[int, int, str], None]
"""Called with things done, things in all and the last one's name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of one image behind one defence."""

    best: Prediction
    is_right: bool
    is_among_five: bool
    """Whether the true class is among the first five."""
    seconds: float
    """CPU time, for defence and classifier together: what else the machine does counts little."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One photograph under one attack."""

    photograph: int
    """Its number."""
    attack: str
    label: int
    clean: Array
    """``3×H×W``, as the others."""
    given: Array
    """What classifier and defences see."""
    restored: Array
    """What the protection made of it."""
    answers: dict[str, Answer]
    """By defence."""
    kind: Kind
    """Which answer the protection took."""
    is_suspicious: bool


@dataclass(frozen=True, slots=True, eq=False)
class Demonstration:
    """Everything that came of it."""

    taken: int
    """Photographs tried."""
    recognised: int
    """Of them right before any attack; only these are attacked."""
    cases: dict[str, list[Case]]
    """By attack, in the order of the photographs, where the attack succeeded."""

    def results(self) -> list[dict[str, Any]]:
        """A column each, ready for JSON."""
        return [
            {
                "attack": name,
                "title": title(name),
                "n": len(cases),
                "suspicious": sum(case.is_suspicious for case in cases),
                "answered": {kind: sum(case.kind == kind for case in cases) for kind in _TAKEN},
                "defences": {defence: _score(cases, defence) for defence in (*BASELINES, PROTECTED)},
            }
            for name, cases in self.cases.items()
        ]

    def draw(self, path: Path) -> None:
        """The figure: the first two photographs that every attack changes the answer to, so none is chosen for how it
        came out.
        """
        columns = [{case.photograph: case for case in cases} for cases in self.cases.values()]
        whole = [number for number in columns[0] if all(number in column for column in columns)]
        rows = [[_pair(column[number]) for column in columns] for number in whole[:SHOWN]]
        if rows:
            draw_grid([short_title(name) for name in self.cases], rows, path, foot=_FOOT)


def demonstrate(*, images: int, seed: int, workers: int, report: Report, **options: Any) -> Demonstration:
    """Attack up to ``images`` sample photographs and ask everything about them.

    ``options`` are of :func:`deep_protection.protect`. A result depends neither on ``workers``, which are processes,
    nor on the other photographs.

    Raises:
        OptionError, MissingExtraError: an argument cannot be used, or something is not installed.
    """
    model = load_classifier(CLASSIFIER)
    protect(model, seed=seed, **options)  # what it refuses is said now, not by a process
    photographs = _recognised(model, images)
    wanted = [(place, name) for place in range(len(photographs)) for name in (CLEAN, *ATTACKED_BY)]
    processes = Processes(min(workers, len(wanted)), _prepare, seed, options)
    found: dict[tuple[int, str], Case | None] = {}
    try:
        waiting: dict[Future[Case | None], tuple[int, str]] = {
            processes.submit(_work, place, *photographs[place], name): (place, name) for place, name in wanted
        }
        report(0, len(wanted), "starting")
        while waiting:
            ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ended:
                key = waiting.pop(future)
                found[key] = future.result()
                report(len(found), len(wanted), title(key[1]))
    except BrokenProcessPool:
        raise DeepProtectionError(
            "a worker process died, most likely for want of memory; use fewer --workers"
        ) from None
    finally:
        processes.close()
    every = {name: [found[place, name] for place in range(len(photographs))] for name in (CLEAN, *ATTACKED_BY)}
    cases = {name: [case for case in each if case is not None] for name, each in every.items()}
    return Demonstration(images, len(photographs), cases)


def title(attack: str) -> str:
    """Of a column."""
    return ATTACKED_BY[attack].title if attack in ATTACKED_BY else "clean, not attacked"


def short_title(attack: str) -> str:
    """Without what only matters to those who know the attack."""
    if attack == CLEAN:
        return "not attacked"
    return " ".join(part for part in title(attack).split(", ") if not part.endswith("steps"))


def shown(results: list[dict[str, Any]]) -> dict[str, str]:
    """Defences that a short table shows, with their titles: of all filters but JPEG 25 only the one that turned out
    best on the attacked photographs.
    """
    hurt = [column for column in results if column["attack"] != CLEAN and column["n"]]

    def mean(defence: str) -> float:
        return sum(float(column["defences"][defence]["top1"]) for column in hurt)

    others = [name for name in BASELINES if name not in (CLEAN, REFERENCE)]
    best = max(others, key=mean)
    return {
        CLEAN: BASELINES[CLEAN].title,
        REFERENCE: BASELINES[REFERENCE].title,
        best: f"{BASELINES[best].title}, best of {len(others)} others",
        PROTECTED: PROTECTED,
    }


def _recognised(model: Classifier, count: int) -> list[tuple[Array, int]]:
    """The sample photographs that the classifier gets right, with their labels."""
    samples = [(model.preprocess(image), label) for image, label in imagenet_samples()[:count]]
    right = [(pixels, label) for pixels, label in samples if model.top(pixels[None], 1)[0][0].index == label]
    if not right:
        raise OptionError(f"{CLASSIFIER} gets none of the first {count} sample images right; use more --images")
    for baseline in BASELINES.values():
        baseline(right[0][0][None])  # what is missing is said now, not by a process
    return [(pixels.numpy(), label) for pixels, label in right]


def _score(cases: list[Case], defence: str) -> dict[str, Any]:
    answers = [case.answers[defence] for case in cases]
    counts = Accuracy(len(answers), sum(a.is_right for a in answers), sum(a.is_among_five for a in answers))
    return {**counts.summary(), "seconds": round(sum(a.seconds for a in answers), 4)}


def _pair(case: Case) -> Pair:
    clean, given, restored = (torch.from_numpy(each) for each in (case.clean, case.given, case.restored))
    return Pair(
        label=case.label,
        given=given,
        perturbation=None if case.attack == CLEAN else given - clean,
        alone=case.answers[CLEAN].best,
        seen=given if case.kind == "own" else restored,
        protected=case.answers[PROTECTED].best,
        told=f"{'suspicious' if case.is_suspicious else 'not suspicious'}: {_TAKEN[case.kind]}",
    )


_made: tuple[Classifier, ProtectedClassifier, int] | None = None


def _prepare(seed: int, options: dict[str, Any]) -> None:
    """In a process: classifier and defences, each used once, since what a first call imports is no defence's cost."""
    global _made
    model = load_classifier(CLASSIFIER)
    protected = protect(model, seed=seed, workers=1, **options)
    grey = torch.full((1, 3, 64, 64), 0.5)
    for baseline in BASELINES.values():
        model.top(baseline(grey))
    _made = model, protected, seed


def _work(photograph: int, clean: Array, label: int, name: str) -> Case | None:
    """None where the attack does not change the answer."""
    assert _made is not None  # noqa: S101  (the process was prepared)
    model, protected, seed = _made
    given = pixels = torch.from_numpy(clean)[None]
    if name != CLEAN:
        made = attack(model, pixels, [label], ATTACKED_BY[name], seed=image_seed(seed, pixels[0]))
        if not made.success[0]:
            return None
        given = made.adversarial
    answers = {}
    with torch.no_grad():
        for defence, baseline in BASELINES.items():
            begin = time.process_time()
            logits = model(baseline(given))
            answers[defence] = _answer(model, logits, label, time.process_time() - begin)
        begin = time.process_time()
        [found] = protected.explain(given)
        answers[PROTECTED] = _answer(model, found.logits[None], label, time.process_time() - begin)
    return Case(
        photograph=photograph,
        attack=name,
        label=label,
        clean=clean,
        given=given[0].numpy(),
        restored=found.restored.numpy(),
        answers=answers,
        kind=found.answer,
        is_suspicious=found.is_suspicious,
    )


def _answer(model: Classifier, logits: Tensor, label: int, seconds: float) -> Answer:
    five = model.best(logits)[0]
    return Answer(five[0], five[0].index == label, label in [each.index for each in five], seconds)
