"""Images under attack one after the other, in this process: for studies that write down more than an experiment's rows.

They meet the very images that experiments with the same folder of ``inputs`` meet.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from deep_protection.classifiers import Classifier
from deep_protection.evaluation.experiment.images import Labelled, answer_to, labelled_images
from deep_protection.evaluation.experiment.inputs import InputStore
from deep_protection.evaluation.experiment.judging import BEST, answer_columns, as_array
from deep_protection.evaluation.experiment.plan import CLEAN
from deep_protection.evaluation.experiment.settings import Settings
from deep_protection.evaluation.experiment.units import UNTOUCHED, Attacked, AttackUnit, Row
from deep_protection.evaluation.experiment.worker import Worker
from deep_protection.stopping import psnr


class Subjects:
    """The images of an experiment, in its order, untouched and under its attacks."""

    def __init__(self, settings: Settings, inputs: Path) -> None:
        """``inputs`` is the folder of attacked images; what is missing there is made and kept."""
        self.settings = settings
        self.worker = Worker(settings.classifier, settings.device)
        self._inputs = InputStore(inputs, settings.classifier, settings.parameters)

    @property
    def classifier(self) -> Classifier:
        return self.worker.classifier

    def __iter__(self) -> Iterator[AttackUnit]:
        """Each image as it came, up to the settings' limit; only those recognised where the settings ask for that."""
        settings = self.settings
        limit = None if settings.recognised else settings.limit
        images = labelled_images(settings.images, self.classifier, limit, settings.labels)
        every = (self._untouched(each) for each in images)
        found = (each for each in every if each.clean_correct) if settings.recognised else every
        return islice(found, settings.limit)

    def _untouched(self, image: Labelled) -> AttackUnit:
        clean = image.pixels(self.classifier)
        right = answer_to(self.classifier, clean) == image.label
        return AttackUnit(image.name, image.label, CLEAN, self.settings.seed, right, as_array(clean))

    def under(self, unit: AttackUnit, attack: str) -> Attacked:
        """The image under an attack, made once; as it came under :data:`CLEAN`."""
        if attack == CLEAN:
            return Attacked(unit.clean, UNTOUCHED)
        wanted = replace(unit, attack=attack)
        known = self._inputs.load(wanted)
        if known is None:
            known = self.worker.attack(wanted)
            self._inputs.save(wanted, known)
        return known

    def judge(self, unit: AttackUnit, output: Tensor, *, views: bool = False) -> Row:
        """What the classifier says of ``output``, which a defence made of the image, and its PSNR to the clean one."""
        output = output.clamp(0, 1)
        probabilities = self.worker.probabilities(output[None], views)[0]
        distance = min(psnr(output, torch.from_numpy(unit.clean)), BEST)
        return {**answer_columns(probabilities, unit.label), "psnr_clean": distance}
