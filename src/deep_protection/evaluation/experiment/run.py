"""Running an experiment: which units there are, in which order, and what is done already."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.evaluation.experiment.engine import Engine, LocalEngine
from deep_protection.evaluation.experiment.inputs import InputStore
from deep_protection.evaluation.experiment.pictures import Labelled, answer_to, labelled_pictures, recognised
from deep_protection.evaluation.experiment.plan import CLEAN, Job, jobs
from deep_protection.evaluation.experiment.record import defended_by, environment, keep_settings
from deep_protection.evaluation.experiment.settings import Settings
from deep_protection.evaluation.experiment.store import Store
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
from deep_protection.evaluation.experiment.worker import as_array

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
    def __call__(self, pictures: list[Labelled]) -> None:
        """Work on everything that is not in the tables yet."""
        todo = jobs(self.settings, pictures, self.store.results())
        total, done = sum(job.units for job in todo), 0
        # An attack's picture is defended as soon as it is there, so ready units go first.
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
        clean = job.picture.pixels(classifier)
        return AttackUnit(
            image=job.picture.name,
            label=job.picture.label,
            attack=job.attack,
            seed=self.settings.seed,
            clean_correct=answer_to(classifier, clean) == job.picture.label,
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
            self.store.add(replace(outcome, results=[{**row, **self.about} for row in outcome.results]))

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


def run_experiment(settings: Settings, out: Path, report: Report = lambda *_: None) -> None:
    """Run, or go on with, an experiment whose rows are in ``out``."""
    for attack in (*settings.attacks, *settings.black_box, *settings.adaptive):
        if other := attack.partition("@")[2]:
            load_classifier(other)
        settings.parameters(attack)  # what is missing is said before anything is computed
    classifier = load_classifier(settings.classifier)
    limit = None if settings.recognised else settings.limit
    pictures = labelled_pictures(settings.images, classifier, limit, settings.labels)
    if settings.recognised:
        pictures = recognised(pictures, classifier, settings.limit)
    with Store(out) as store:
        keep_settings(settings, out)
        inputs = InputStore(settings.inputs or out / "inputs", settings.classifier, settings.parameters)
        engine = _engine(settings)
        try:
            Run(settings, store, inputs, engine, report, environment(settings))(pictures)
        finally:
            engine.close()


def _engine(settings: Settings) -> Engine:
    if settings.engine == "ray":
        from deep_protection.evaluation.experiment.ray_engine import RayEngine

        return RayEngine(settings.ray_address, settings.workers, settings.classifier, settings.device)
    return LocalEngine(settings.workers, settings.classifier, settings.device)
