"""One fit, or several of different seeds together: what they give for what they cost."""

import sys
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from benchmarks import ROOT
from benchmarks.studies.stopping.differences import gain
from deep_protection.classifiers import Classifier, mean_logits
from deep_protection.evaluation.experiment import Store, Subjects, make_settings
from deep_protection.evaluation.experiment.plan import CLEAN
from deep_protection.evaluation.experiment.store import read_table
from deep_protection.evaluation.report.document import Table, block_markdown
from deep_protection.fitting import FitTask, fit
from deep_protection.restoration import PRESETS
from deep_protection.seeds import image_seed
from deep_protection.stopping import Fixed, Stability, Trajectory, replay

RESULTS = Path("docs/results/stopping")
FITS = 4
LONGEST, EVERY = 80, 10
TOGETHER = (1, 2, 4)
RUNS = (2, 3, 4)
"""Stable answers after which a fit may end."""


def run(images: str, inputs: Path, attacks: list[str], limit: int, out: Path = RESULTS) -> None:
    """Every recognised image, untouched and under every attack; what is in ``out`` already is left alone."""
    torch.set_num_threads(1)
    settings = make_settings({"images": images, "attacks": attacks, "limit": limit, "recognised": True})
    subjects = Subjects(settings, inputs)
    with Store(out, {"several_fits": ("image", "attack")}) as store:
        done = {(row["image"], row["attack"]) for row in store.rows("several_fits")}
        for number, unit in enumerate(subjects):
            for name in (CLEAN, *attacks):
                if (unit.image, name) not in done:
                    given = torch.from_numpy(subjects.under(unit, name).adversarial)
                    about = {"image": unit.image, "attack": name, "label": unit.label}
                    store.add(several_fits=[{**about, **_measured(given, subjects.classifier)}])
            sys.stderr.write(f"several fits: {number + 1} images\n")


@torch.no_grad()
def _measured(given: Tensor, classifier: Classifier) -> dict[str, Any]:
    """The first five classes of every way of putting fits together, best first."""
    fits = [_fitted(given, number) for number in range(FITS)]
    images = torch.stack([torch.stack([fit.outputs[index] for index in range(len(fit))]) for fit in fits])
    answers = torch.stack([classifier(of_fit).softmax(dim=-1) for of_fit in images])  # fits × checkpoints × classes
    row: dict[str, Any] = {"iterations": [point.iteration for point in fits[0]], "fits": _best(answers)}
    for number in TOGETHER[1:]:
        row[f"answers of {number}"] = _best(answers[:number].mean(dim=0))
        row[f"images of {number}"] = _best(classifier(images[:number].mean(dim=0)))
    for runs in RUNS:
        stops = [_stop(fit, own, runs) for fit, own in zip(fits, answers, strict=True)]
        taken = torch.stack([own[chosen] for own, (chosen, _) in zip(answers, stops, strict=True)])
        shown = torch.stack([own[chosen] for own, (chosen, _) in zip(images, stops, strict=True)])
        viewed = mean_logits(classifier, shown).softmax(dim=-1)
        row[f"stable:{runs}"] = {
            "spent": [spent for _, spent in stops],
            "fits": _best(taken),
            "sure": [round(each, 4) for each in taken.amax(dim=-1).tolist()],
            "answers": {number: _best(taken[:number].mean(dim=0)) for number in TOGETHER},
            "images": {number: _best(classifier(shown[:number].mean(dim=0, keepdim=True))[0]) for number in TOGETHER},
            "views": {number: _best(viewed[:number].mean(dim=0)) for number in TOGETHER},
        }
    return row


def _fitted(given: Tensor, number: int) -> Trajectory:
    recipe = replace(PRESETS["fast"].recipe, checkpoint_every=EVERY)
    seed = image_seed(0, given, number)
    return fit(FitTask(target=given, recipe=recipe, rule=Fixed(LONGEST), seed=seed, keep_outputs=True))


def _stop(fitted: Trajectory, answers: Tensor, runs: int) -> tuple[int, int]:
    """The checkpoint that the rule takes, and the iterations spent until it knows."""
    known = iter(answers)
    ended = replay(
        Stability(max_iterations=LONGEST, consecutive=runs, classifier=lambda _: next(known).log()[None]), fitted
    )
    return ended.chosen, ended.iterations_run


def _best(probabilities: Tensor) -> Any:
    return probabilities.topk(5).indices.tolist()


Right = dict[tuple[str, str], bool]
"""By image and attack: whether the first answer is the true class."""


def counts() -> str:
    """Ended at fixed counts: one fit, or several as long together, with their images or answers averaged."""
    rows = _rows()
    lines = []
    for spent in (40, 60, 80, 120, 160, 240, 320):
        one: Right = {}
        for number, how in ((1, "fits"), (2, "images"), (2, "answers"), (4, "images"), (4, "answers")):
            each = spent // number
            if each > LONGEST or each % EVERY:
                continue
            at = each // EVERY - 1
            right = _right(rows, [row["fits"][0] if number == 1 else row[f"{how} of {number}"] for row in rows], at)
            one = one or right
            lines.append([str(spent), _name(number, how), *_shares(right), _against(right, one)])
    return _table(["iterations in all", "how", "mean", "worst", "clean", "mean against the first"], lines, rows)


def stops() -> str:
    """Every fit ended by its own stable answer."""
    rows = _rows()
    lines = []
    shipped = _right(rows, [row["stable:4"]["answers"] for row in rows], "1")
    for rule in [f"stable:{runs}" for runs in RUNS]:
        for number in TOGETHER:
            spent = mean(sum(row[rule]["spent"][:number]) for row in rows)
            for how in ("images", "answers", "views") if number > 1 else ("answers", "views"):
                right = _right(rows, [row[rule][how] for row in rows], str(number))
                line = [f"`{rule}`", _name(number, how), f"{spent:.0f}", *_shares(right), _against(right, shipped)]
                lines.append(line)
    return _table(["rule", "how", "iterations in all", "mean", "worst", "clean", "mean against `fast`"], lines, rows)


def _rows() -> list[dict[str, Any]]:
    """Those of images that are complete."""
    rows = read_table(ROOT / RESULTS / "several_fits.parquet")
    attacks = {row["attack"] for row in rows}
    whole = {image for image, count in Counter(row["image"] for row in rows).items() if count == len(attacks)}
    return [row for row in rows if row["image"] in whole]


def _name(number: int, how: str) -> str:
    if number == 1:
        return "one fit, answers over views" if how == "views" else "one fit"
    averaged = "answers over views" if how == "views" else how
    return f"{number} fits, {averaged} averaged"


def _right(rows: list[dict[str, Any]], answers: list[Any], which: int | str) -> Right:
    return {
        (row["image"], row["attack"]): own[which][0] == row["label"] for row, own in zip(rows, answers, strict=True)
    }


def _shares(right: Right) -> list[str]:
    """Mean over the attacks, worst attack and clean, percent."""
    share: dict[str, float] = {}
    for name in sorted({attack for _, attack in right}):
        share[name] = 100 * mean(answer for (_, attack), answer in right.items() if attack == name)
    clean = share.pop(CLEAN)
    return [f"{mean(share.values()):.1f}", f"{min(share.values()):.1f}", f"{clean:.1f}"]


def _against(right: Right, other: Right) -> str:
    if right == other:
        return ""
    of_images: dict[str, list[float]] = defaultdict(list)
    for (image, attack), answer in right.items():
        if attack != CLEAN:
            of_images[image].append(float(answer) - float(other[image, attack]))
    points, interval = gain(of_images)
    return f"{points} ({interval})"


def _table(headings: list[str], lines: list[list[str]], rows: list[dict[str, Any]]) -> str:
    made = block_markdown(Table(headings, lines)).rstrip()
    images = len({row["image"] for row in rows})
    return f"{made}\n\n{images} images; in brackets the 95 % interval, paired bootstrap over images.\n"
