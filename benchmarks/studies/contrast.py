"""What the answer by contrast is made of: references, λ, means and routes, beside what was expected of them.

Two steps. :func:`collect` asks the classifier about every image under every attack and about all that could be a
reference; its files are large and stay where they are made. :func:`search` tries every variant on them and writes how
many answers are right. Every image is taken for attacked here, clean ones too: who is, the detector decides.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from torch import Tensor

import benchmarks
from deep_protection.classifiers import Classifier, views
from deep_protection.detection import Responses, centred, compress_range, repair_specks
from deep_protection.evaluation.baselines import BASELINES
from deep_protection.evaluation.experiment import Subjects, make_settings
from deep_protection.evaluation.experiment.plan import CLEAN
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.protection import contrast, decide
from deep_protection.restoration import purify

RESULTS = benchmarks.RESULTS / "contrast/search.json"
QUALITIES = (15, 25, 40, 75)
ITERATIONS = (10, 30, 50)


def _references(image: Tensor) -> dict[str, Tensor]:
    """All that could be a reference, ``3×H×W`` each, of one such image without specks."""
    fit = purify(image, stop=f"fixed:{max(ITERATIONS)}", workers=1, return_details=True, keep_outputs=True).trajectory
    fits = {
        f"fit{point.iteration}": fit.outputs[number]
        for number, point in enumerate(fit)
        if point.iteration in ITERATIONS
    }
    compressed = {f"jpeg{quality}": compress_range(image, quality) for quality in QUALITIES}
    filtered = {name: BASELINES[name].apply(image) for name in ("median3", "unfitted")}
    return {"image": image, **fits, **compressed, **filtered}


@torch.no_grad()
def collect(images: str, inputs: Path, out: Path, attacks: list[str], limit: int, name: str = "lite0") -> None:
    """One file an image and attack: log-probabilities of the image as it came, and of the views of every reference."""
    settings = make_settings({"images": images, "classifier": name, "attacks": attacks, "limit": limit})
    subjects = Subjects(settings, inputs)
    classifier = subjects.classifier
    out.mkdir(parents=True, exist_ok=True)
    for attack in (CLEAN, *attacks):
        for number, unit in enumerate(subjects):
            path = out / f"{attack}.{number:03}.npz"
            if path.exists():
                continue
            given = torch.from_numpy(subjects.under(unit, attack).adversarial)
            repaired = repair_specks(given)
            references = _references(repaired)
            np.savez(
                path,
                original=_ask(classifier, given[None])[0].numpy(),
                answers=np.stack([_ask(classifier, each).numpy() for each in _viewed(references)]).astype(np.float16),
                names=list(references),
                label=unit.label,
                right=unit.clean_correct,
                repaired=repaired is not given,
            )
        sys.stderr.write(f"contrast: {attack} collected\n")


def _viewed(references: dict[str, Tensor]) -> Iterator[Tensor]:
    for each in references.values():
        yield torch.cat(views(each[None]))


def _ask(classifier: Classifier, pixels: Tensor) -> Tensor:
    return classifier.log_probabilities(classifier(pixels))


@dataclass(frozen=True, slots=True)
class Case:
    """One image under one attack, and what the classifier said of everything."""

    original: Tensor
    answers: dict[str, Tensor]
    """``V×classes`` of each reference."""
    label: int
    is_repaired: bool

    def responses(self, fit: str = "fit30", quality: int = 25) -> Responses:
        """As the protection has them."""
        found = self.answers
        shown = (found["image"], found[fit], found[f"jpeg{quality}"], found["jpeg75"])
        return Responses(self.original, *shown, self.is_repaired)


def load(folder: Path, attack: str) -> list[Case]:
    """The images that the classifier gets right untouched."""
    found = []
    for path in sorted(folder.glob(f"{attack}.[0-9]*.npz")):
        with np.load(path) as file:
            if file["right"]:
                answers = torch.from_numpy(file["answers"]).float()
                named = dict(zip(map(str, file["names"]), answers, strict=True))
                original = torch.from_numpy(file["original"])
                found.append(Case(original, named, int(file["label"]), bool(file["repaired"])))
    return found


Answer = Callable[[Case], Tensor]


def followed(kinds: tuple[str, ...], strength: float, *, log_of_mean: bool = False) -> Answer:
    """``z̄ + λ (z̄ - z₀)`` with these references; of the image itself only the other views count."""

    def answer(case: Case) -> Tensor:
        rows = [case.answers[kind][1:] if kind == "image" else case.answers[kind] for kind in kinds]
        each = [row.exp().mean(dim=0).clamp(min=1e-30).log() if log_of_mean else row.mean(dim=0) for row in rows]
        middle = torch.stack(each).mean(dim=0)
        return middle + strength * centred(middle - case.original)

    return answer


def shipped(fit: str = "fit30", quality: int = 25) -> Answer:
    """What the protection answers to a suspicious image."""
    return lambda case: decide(case.responses(fit, quality), is_suspicious=True).log_probabilities


def constant(strength: float) -> Answer:
    """The same without following the agreement: λ as it is."""

    def answer(case: Case) -> Tensor:
        decision = decide(case.responses(), is_suspicious=True)
        if decision.kind != "contrast":
            return decision.log_probabilities
        return case.responses().mean + strength * case.responses().shift

    return answer


def ramped(strength: float) -> Answer:
    """λ that follows the agreement up to ``strength``, without the mild routes."""

    def answer(case: Case) -> Tensor:
        found = case.responses()
        return found.mean + strength * contrast.share_followed(found) * found.shift

    return answer


@dataclass(frozen=True, slots=True)
class Variant:
    """Something that was tried, and what was expected of it."""

    part: str
    name: str
    expected: str
    answer: Answer


THREE = ("image", "fit30", "jpeg25")
_REFERENCES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("image",), "views alone leave the attacked class in front"),
    (("fit30",), "one restoration: FGSM 72"),
    (("jpeg25",), "one JPEG: FGSM 67"),
    (("unfitted",), "low pass alone is worse than the fit"),
    (("median3",), "weak against dense perturbations"),
    (("fit30", "jpeg25"), "two kinds: FGSM 74"),
    (("fit10", "jpeg25"), "fewer iterations are worse"),
    (("fit50", "jpeg25"), "more iterations are worse: the perturbation comes back"),
    (("unfitted", "jpeg25"), "without a fit: a few points less"),
    (("image", "jpeg25"), "without a fit: a few points less"),
    (THREE, "three kinds are steadier than two"),
    (("image", "fit30", "jpeg15"), "stronger compression: FGSM up, clean down"),
    (("image", "fit30", "jpeg40"), "weaker compression: FGSM down"),
    (("image", "fit30", "jpeg25", "median3"), "a fourth kind adds nothing"),
)
VARIANTS: tuple[Variant, ...] = (
    *(
        Variant("references, λ = 1", " + ".join(kinds), expected, followed(kinds, 1.0))
        for kinds, expected in _REFERENCES
    ),
    *(
        Variant(
            "λ",
            f"λ = {strength:g}",
            "untargeted attacks want much, targeted ones and clean images little",
            followed(THREE, strength),
        )
        for strength in (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
    ),
    Variant("mean", "log of the mean, λ = 1", "the mean of logarithms is better", followed(THREE, 1, log_of_mean=True)),
    *(
        Variant("λ follows the agreement", f"up to {strength:g}", "best of both", ramped(strength))
        for strength in (1.0, 2.0)
    ),
    *(
        Variant("with mild routes", f"λ = {strength:g}", "targeted and least-norm attacks up", constant(strength))
        for strength in (0.0, 1.0, 2.0)
    ),
    Variant("with mild routes", "as shipped", "the best everywhere", shipped()),
    Variant("with mild routes", "as shipped, 10 iterations", "two to five points less on FGSM", shipped("fit10")),
    Variant("with mild routes", "as shipped, no fit", "five points less on FGSM", shipped("unfitted")),
    Variant("with mild routes", "as shipped, JPEG 15", "FGSM up, carried-over attacks down", shipped(quality=15)),
)


def search(folder: Path, attacks: list[str], name: str, out: Path = RESULTS) -> None:
    """Count right answers of every variant, attack by attack."""
    rows: dict[str, dict[str, list[int]]] = {}
    for attack in (CLEAN, *attacks):
        cases = load(folder, attack)
        for variant in VARIANTS if cases else ():
            right = sum(int(variant.answer(case).argmax()) == case.label for case in cases)
            rows.setdefault(f"{variant.part}: {variant.name}", {})[attack] = [right, len(cases)]
    known = json.loads(out.read_text()) if out.exists() else {}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({**known, name: rows}, indent=1) + "\n")


def table(name: str = "lite0") -> str:
    """Percent right, attack by attack, with the expectation beside it."""
    rows = json.loads(RESULTS.read_text())[name]
    attacks = list(next(iter(rows.values())))
    lines = []
    for variant in VARIANTS:
        found = rows.get(f"{variant.part}: {variant.name}")
        if found is not None:
            share = {attack: 100 * right / n for attack, (right, n) in found.items()}
            attacked = [share[attack] for attack in attacks if attack != CLEAN]
            lines.append(
                [
                    f"{variant.part}: {variant.name}",
                    *(f"{share[attack]:.0f}" for attack in attacks),
                    f"{mean(attacked):.1f}",
                    variant.expected,
                ]
            )
    counts = next(iter(rows.values()))
    heading = ["", *(f"{attack} ({counts[attack][1]})" for attack in attacks), "mean", "expected"]
    return block_markdown(Table(heading, lines))


def left_out(name: str = "lite0") -> str:
    """Leave one attack out: the λ that is best on the others, and what it loses on the one that was not looked at."""
    rows = json.loads(RESULTS.read_text())[name]
    choices = {key: found for key, found in rows.items() if key.startswith(("λ:", "λ follows", "with mild routes:"))}
    attacks = [attack for attack in next(iter(choices.values())) if attack != CLEAN]
    lines = []
    for attack in attacks:
        others = [each for each in attacks if each != attack]

        def score(key: str, over: list[str] = others) -> float:
            return float(mean(choices[key][each][0] / choices[key][each][1] for each in over))

        def own(key: str, attack: str = attack) -> float:
            return float(100 * choices[key][attack][0] / choices[key][attack][1])

        chosen, best = max(choices, key=score), max(choices, key=own)
        lines.append([attack, chosen, f"{own(chosen):.0f}", f"{own(best):.0f}", f"{own(best) - own(chosen):.0f}"])
    return block_markdown(Table(["left out", "chosen on the others", "right there", "best there", "lost"], lines))


TABLES = {"contrast_search": table, "contrast_left_out": left_out}
