"""What a worker has at hand: the classifier, the detector's calibration, the device; and what it is handed."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from deep_protection.classifiers import Classifier, Prediction, load_classifier, mean_logits
from deep_protection.detection import Calibration, detect
from deep_protection.errors import CancelledError, DeepProtectionError, OptionError
from deep_protection.fitting import Progress
from deep_protection.images import ImageRecord, encode, from_pillow, read_image, to_pillow
from deep_protection.protection import ProtectedClassifier, protect
from deep_protection.restoration import find_device
from deep_protection.service.jobs.job_types import calibration_of
from deep_protection.service.jobs.options import ProtectOptions
from deep_protection.service.workers.observed_rule import json_safe

PREVIEW_SIDE = 320
"""Pixels of the longer side of a preview."""


@dataclass(slots=True, kw_only=True)
class JobInput:
    """One job in a worker's hands."""

    id: str
    kind: str
    options: dict[str, Any]
    inputs: dict[str, bytes]
    tell: Callable[[dict[str, Any]], None] = lambda _: None
    """Reports progress."""
    is_cancelled: Callable[[], bool] = lambda: False
    is_watched: Callable[[], bool] = lambda: False
    """Whether anyone wants to see previews."""


@dataclass(frozen=True, slots=True)
class JobOutput:
    """What came of it."""

    answer: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)


Outcome = JobOutput | DeepProtectionError


class WorkerContext:
    """Loads the classifier once, for all jobs."""

    def __init__(self, classifier: str, calibration: str | None, device: str, budget: float) -> None:
        self.device = find_device(device)
        self.model: Classifier = load_classifier(classifier).to(self.device)
        self.calibration_file, self.budget = calibration, budget

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of what the classifier sees."""
        height, width = self.model.preprocess(Image.new("RGB", (64, 64))).shape[-2:]
        return int(height), int(width)

    def seen(self, pixels: Tensor) -> Tensor:
        """``3×H×W`` pixels as the classifier is given them. Those of just its size are not resized again: an attack
        that was made for these very pixels must not be undone by that.
        """
        if tuple(pixels.shape[-2:]) == self.size:
            return pixels
        return self.model.preprocess(to_pillow(pixels.cpu())).clamp(0, 1)

    @torch.no_grad()
    def logits(self, pixels: Tensor, *, views: bool = False) -> Tensor:
        """``classes`` logits for a ``3×H×W`` image of any size."""
        given = self.seen(pixels)[None].to(self.device)
        answer: Tensor = (mean_logits(self.model, given) if views else self.model(given))[0].float().cpu()
        return answer

    def top(self, logits: Tensor, count: int = 5) -> list[dict[str, Any]]:
        return [as_answer(each) for each in self.model.best(logits[None], count)[0]]

    def index_of(self, name: str) -> int:
        """The class that a label or an index means. Raises :class:`~deep_protection.errors.OptionError`."""
        labels = self.model.labels or []
        for index, label in enumerate(labels):
            if label.casefold() == name.strip().casefold():
                return index
        if name.strip().isdecimal() and (index := int(name)) < (len(labels) or 2**31):
            return index
        near = get_close_matches(name.casefold(), [label.casefold() for label in labels], 3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; ask for its labels and give one of them"
        raise OptionError(f"the classifier has no class {name[:60]!r}{hint}")

    def first(self, probabilities: Tensor) -> dict[str, Any]:
        """The best of ``classes`` probabilities."""
        probability, index = probabilities.max(dim=-1)
        return as_answer(Prediction(int(index), self.model.label(int(index)), probability.item()))

    def protected(self, chosen: ProtectOptions) -> ProtectedClassifier:
        """The classifier behind the protection. Raises :class:`~deep_protection.errors.OptionError`."""
        is_restored = chosen.answer == "restored"
        return protect(
            self.model,
            answer=chosen.answer,
            quick=chosen.quick,
            when=None if is_restored else chosen.when,  # the detector is asked before, with progress
            preset=chosen.preset,
            stop=chosen.stop,
            seed=chosen.seed,
            device=self.device,
            workers=1,
            false_positive_rate=chosen.false_positive_rate,
            calibration=Calibration.load(self.calibration_file) if self.calibration_file else None,
        )

    def detection(self, job: JobInput, image: ImageRecord, rate: float, *, quick: bool = False) -> dict[str, Any]:
        """The detector's verdict on an image."""

        def report(progress: Progress) -> None:
            if job.is_cancelled():
                raise CancelledError("the job was cancelled")
            job.tell({"iteration": progress.iteration, "limit": progress.max_iterations})

        (found,) = detect(
            [self.seen(image.pixels)],
            self.model,
            false_positive_rate=rate,
            calibration=calibration_of(self.model.name, self.calibration_file, quick=quick),
            device=self.device,
            workers=1,
            progress=report,
        )
        answer = json_safe(asdict(replace(found, notes=image.notes)))
        return {**answer, "false_positive_rate": rate}


def as_answer(prediction: Prediction) -> dict[str, Any]:
    probability = round(prediction.probability, 6)
    return {"index": prediction.index, "label": prediction.label, "probability": probability}


def decode_image(data: bytes) -> ImageRecord:
    """The image in a file; restored, it comes back as a Pillow image."""
    image, _, notes = read_image(data)
    return from_pillow(image, notes)


def png(image: Image.Image) -> bytes:
    return encode(image, "PNG")


def to_thumbnail(pixels: Tensor) -> Image.Image:
    """``3×H×W`` values as an image of at most :data:`PREVIEW_SIDE`."""
    image = to_pillow(pixels.detach().float().cpu())
    image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    return image


def preview(pixels: Tensor) -> str:
    """A small image as a data URL."""
    from base64 import b64encode
    from io import BytesIO

    buffer = BytesIO()
    to_thumbnail(pixels).save(buffer, format="WEBP", quality=80, method=0)
    return "data:image/webp;base64," + b64encode(buffer.getvalue()).decode()
