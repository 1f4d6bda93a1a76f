"""Images on which a fixed count is wrong: what the fit had drawn when it was right, and what it had at the end."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.evaluation.experiment.images import labelled_images
from deep_protection.evaluation.experiment.inputs import InputStore
from deep_protection.evaluation.experiment.judging import as_array
from deep_protection.evaluation.experiment.units import AttackUnit
from deep_protection.evaluation.panel import figure_class
from deep_protection.evaluation.report.document import Figure
from deep_protection.evaluation.report.rows import CLEAN, Rows, attack_title
from deep_protection.evaluation.report.stops import Fault, fault, is_right
from deep_protection.images import to_pillow
from deep_protection.restoration import PRESETS, purify
from deep_protection.stopping import Fixed

K = 5
"""The true class among so many is right, as on the poster."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A fit that a fixed count ends at the wrong moment."""

    kind: Fault
    image: str
    attack: str
    seed: int
    right_at: int
    """The nearest checkpoint at which the true class was among the first."""


def examples(rows: Rows, defence: str, count: int, inputs: Path | None = None) -> list[Figure]:
    """A figure of up to ``count`` overfit and ``count`` underfit images, fitted once more; none without inputs."""
    rule = PRESETS[defence].rule() if defence in PRESETS else None
    if not isinstance(rule, Fixed):
        return []
    chosen = _chosen(rows, defence, rule.max_iterations, count)
    found = _Found(rows.folder, inputs or rows.folder / "inputs")
    lines = [line for wrong in chosen if (line := found.line(wrong, defence, rule.max_iterations)) is not None]
    if not lines:
        return []
    caption = f"Wrong at a fixed count: {defence}, {rule!r}; green is the true class among the first {K}"
    return [Figure(f"faults-{defence}.png", caption, _draw(lines, found.classifier))]


def _chosen(rows: Rows, defence: str, limit: int, count: int) -> Iterator[Wrong]:
    """The first few of each kind by name, not by how they look."""
    left: dict[str, int] = {"overfit": count, "underfit": count}
    for (image, attack, seed), points in sorted(rows.trajectories[defence].items()):
        kind = fault(points, limit, K)
        if kind is None or attack == CLEAN or left.get(kind, 0) == 0:
            continue
        left[kind] -= 1
        right = [point["iteration"] for point in points if is_right(point, K)]
        yield Wrong(kind, image, attack, seed, min(right, key=lambda iteration: abs(iteration - limit)))


@dataclass(frozen=True, slots=True)
class _Line:
    wrong: Wrong
    label: int
    images: list[tuple[str, Tensor]]


class _Found:
    """The images and inputs that an experiment was made of."""

    def __init__(self, folder: Path, inputs: Path) -> None:
        about: dict[str, Any] = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
        self.classifier: Classifier = load_classifier(about["classifier"])
        found = labelled_images(about["images"], self.classifier, labels=about.get("labels", "folders"))
        self._images = {each.name: each for each in found}
        self._inputs = InputStore(inputs, about["classifier"], lambda attack: about["attacks"][attack])

    def line(self, wrong: Wrong, defence: str, limit: int) -> _Line | None:
        image = self._images.get(wrong.image)
        if image is None:
            return None
        clean = image.pixels(self.classifier)
        unit = AttackUnit(wrong.image, image.label, wrong.attack, wrong.seed, True, as_array(clean))
        attacked = self._inputs.load(unit)
        if attacked is None:
            return None
        given = torch.from_numpy(attacked.adversarial)
        preset = replace(PRESETS[defence], fits=1)
        at: list[tuple[str, Tensor]] = []
        for iteration in sorted({wrong.right_at, limit}):
            restored = purify(given, preset=preset, stop=f"fixed:{iteration}", seed=wrong.seed, workers=1)
            at.append((f"{iteration} iterations", restored))
        return _Line(wrong, image.label, [("original", clean), ("adversarial", given), *at])


def _draw(lines: list[_Line], classifier: Classifier) -> bytes:
    figure = figure_class()(figsize=(10.4, 2.9 * len(lines)), dpi=100, layout="constrained")
    axes = figure.subplots(len(lines), 4, squeeze=False)
    for line, row in zip(lines, axes, strict=True):
        for (title, pixels), axis in zip(line.images, row, strict=True):
            best = classifier.top(pixels[None], K)[0]
            right = line.label in [each.index for each in best]
            axis.imshow(to_pillow(pixels))
            axis.set_xticks([])
            axis.set_yticks([])
            axis.set_title(title, fontsize=9)
            axis.set_xlabel(
                f"{best[0].label} {best[0].probability:.0%}", fontsize=9, color="#1a7f37" if right else "#c62828"
            )
        row[0].set_ylabel(f"{line.wrong.kind}\n{attack_title(line.wrong.attack)}", fontsize=9)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
