"""Running an experiment: which units there are, in which order, and what is done already."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from deep_protection.classifiers import Classifier, load_classifier, refuse_multi_label
from deep_protection.evaluation.baselines import Baseline
from deep_protection.evaluation.defences import DEFENCES, find_defence
from deep_protection.evaluation.experiment.engine import Engine, LocalEngine
from deep_protection.evaluation.experiment.images import Labelled, answer_to, labelled_images, recognised
from deep_protection.evaluation.experiment.inputs import InputStore
from deep_protection.evaluation.experiment.judging import as_array
from deep_protection.evaluation.experiment.plan import CLEAN, Job, jobs
from deep_protection.evaluation.experiment.record import defended_by, environment, keep_settings
from deep_protection.evaluation.experiment.settings import Settings, make_settings
from deep_protection.evaluation.experiment.store import Store, read_rows
from deep_protection.evaluation.experiment.units import (
    UNTOUCHED,
    Attacked,
    AttackUnit,
    DefenceUnit,
    Judged,
    Outcome,
    Row,
    Unit,
)

Report = Callable[[int, int, str], None]
"""Units done, units in all, what was done last."""


@dataclass(slots=True)
class Run:
    """What is left of an experiment, and what comes of it."""

    settings: Settings
    store: Store
    inputs: InputStore
    engine: Engine
    report: Report
    about: Row

    @torch.no_grad()
    def __call__(self, images: list[Labelled]) -> None:
        """Work on everything that is not in the tables yet."""
        todo = jobs(self.settings, images, self.store.rows("results"))
        total, done = sum(job.units for job in todo), 0
        # An attack's image is defended as soon as it is there, so ready units go first.
        ready: deque[Unit] = deque()
        waiting = deque(todo)
        pending: dict[AttackUnit, Job] = {}
        running = 0
        classifier = load_classifier(self.settings.classifier)
        self.report(0, total, "")
        while ready or waiting or running:
            while self.engine.has_room and (ready or waiting):
                if not ready:
                    job = waiting.popleft()
                    unit = self._attack(job, classifier)
                    done += 1
                    known = Attacked(unit.clean, UNTOUCHED) if job.attack == CLEAN else self.inputs.load(unit)
                    if known is not None:
                        ready.extend(self._defences(unit, known, job))
                        done += 1
                        continue
                    pending[unit] = job
                    ready.append(unit)
                self.engine.submit(ready.popleft())
                running += 1
            if not running:
                continue
            for ended, outcome in self.engine.finished():
                running -= 1
                done += 1
                self._take(ended, outcome, ready, pending)
                self.report(done, total, ended.title)

    def _attack(self, job: Job, classifier: Classifier) -> AttackUnit:
        clean = job.image.pixels(classifier)
        return AttackUnit(
            image=job.image.name,
            label=job.image.label,
            attack=job.attack,
            seed=self.settings.seed,
            clean_correct=answer_to(classifier, clean) == job.image.label,
            against=job.against,
            through=defended_by(job.against),
            spec=self.settings.through_the_defence(job.attack) if job.against else None,
            clean=as_array(clean),
        )

    def _take(self, unit: Unit, outcome: Outcome, ready: deque[Unit], pending: dict[AttackUnit, Job]) -> None:
        if isinstance(unit, AttackUnit) and isinstance(outcome, Attacked):
            self.inputs.save(unit, outcome)
            ready.extendleft(reversed(list(self._defences(unit, outcome, pending.pop(unit)))))
        elif isinstance(outcome, Judged):
            results = [{**row, **self.about} for row in outcome.results]
            self.store.add(results=results, trajectories=outcome.checkpoints)

    def _defences(self, unit: AttackUnit, attacked: Attacked, job: Job) -> Iterator[DefenceUnit]:
        for defence, seed in job.defences:
            yield DefenceUnit(
                image=unit.image,
                label=unit.label,
                attack=unit.attack,
                defence=defence,
                stops=self.settings.stops_of(defence),
                seed=seed,
                clean_correct=unit.clean_correct,
                views=self.settings.views,
                iterations=self.settings.iterations,
                clean=unit.clean,
                attacked=attacked,
            )


class Experiment:
    """An experiment in Python: images × attacks × defences × stop rules, your own defences among them.

    ::

        experiment = Experiment(images="photographs", attacks="pgd", defences=[my_defence, "jpeg25", "none"])
        rows = experiment.run("results")
    """

    def __init__(self, config: str | None = None, **settings: Any) -> None:
        """``settings`` are those of :class:`Settings`, over the named configuration or TOML file ``config``.

        Raises:
            OptionError: one is unknown or out of range.
        """
        self.settings = make_settings(settings, config)

    def run(self, out: str | os.PathLike[str], report: Report = lambda *_: None) -> list[Row]:
        """Run it, or go on with it, in the folder ``out``; all rows that are there, one an image and way of ending.

        Workers are processes, so a script calls this under ``if __name__ == "__main__":``.
        """
        run_experiment(self.settings, Path(out), report)
        return read_rows(Path(out), "results")


def run_experiment(settings: Settings, out: Path, report: Report = lambda *_: None) -> None:
    """Run, or go on with, an experiment whose rows are in ``out``."""
    for attack in (*settings.attacks, *settings.black_box, *settings.adaptive):
        if other := attack.partition("@")[2]:
            load_classifier(other)
        settings.parameters(attack)  # what is missing is said before anything is computed
    classifier = load_classifier(settings.classifier)
    refuse_multi_label(classifier, "an experiment")
    limit = None if settings.recognised else settings.limit
    images = labelled_images(settings.images, classifier, limit, settings.labels)
    if settings.recognised:
        images = recognised(images, classifier, settings.limit)
    for name in settings.defences:
        if name not in DEFENCES and isinstance(own := find_defence(name), Baseline):
            own.apply(images[0].pixels(classifier))  # what it gets wrong is said before anything is computed
    with Store(out) as store:
        keep_settings(settings, out)
        inputs = InputStore(settings.inputs or out / "inputs", settings.classifier, settings.parameters)
        engine = _engine(settings)
        try:
            Run(settings, store, inputs, engine, report, environment(settings))(images)
        finally:
            engine.close()


def _engine(settings: Settings) -> Engine:
    if settings.engine == "ray":
        from deep_protection.evaluation.experiment.ray_engine import RayEngine

        return RayEngine(settings.ray_address, settings.workers, settings.classifier, settings.device)
    return LocalEngine(settings.workers, settings.classifier, settings.device)
