"""Telling images that were tampered with from those that were not.

Over 300 lines by a few, as much of it are overloads.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Unpack, overload

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from deep_protection.classifiers import (
    Classifier,
    ClassifierAdapter,
    Prediction,
    ask,
    evaluating,
    load_classifier,
    log_probabilities,
    refuse_multi_label,
    try_out,
)
from deep_protection.detection.calibration import Calibration
from deep_protection.detection.evidence import compute_evidence
from deep_protection.detection.responses import (
    MILD_QUALITY,
    STRONG_QUALITY,
    Responses,
    compress_range,
    look_first,
    respond,
)
from deep_protection.detection.specks import repair_specks
from deep_protection.fitting import Progress
from deep_protection.generators.fast import low_pass
from deep_protection.images import ImageRecord, as_image, to_pillow
from deep_protection.restoration import FitKeywords, FitOptions, ImageFile, ImageLike, find_preset, purify_each

Apply = Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]
"""From a tensor and a function of it to what the function gives."""
ITERATIONS = 30
"""Of the partial restoration that is looked at: where the answer by contrast is best (docs/contrast.md)."""
_AT_ONCE = 32
"""Images of a calibration that are in memory together."""
BASE_FACTOR = 4
"""Of the low-pass copy that stands for it where nothing is fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What the detector says of one image."""

    score: float
    """How much the evidence stands out, in standard deviations of clean images."""
    p_value: float
    """How often a clean image scores as high."""
    is_suspicious: bool
    """Whether ``p_value`` is at most the false-positive rate that was asked for."""
    label_before: Prediction
    """What the classifier says of the image as it is."""
    label_after: Prediction
    """What it says of the partial restoration, which is not what :func:`deep_protection.purify` gives."""
    agreement: float
    """How much everything that was done to the image moves the answer in one direction, from -1 to 1."""
    evidence: dict[str, float] = field(hash=False)
    """Everything that was looked at, in standard deviations of clean images."""
    seconds: float
    """Wall time, shared evenly among the images of a call."""
    notes: tuple[str, ...] = ()
    """What the image's reading has to tell, such as that only its first frame was looked at."""


class DetectKeywords(FitKeywords, total=False):
    """What :func:`detect` takes."""

    false_positive_rate: float
    quick: bool
    calibration: Calibration | str | os.PathLike[str] | None


@overload
def detect(  # type: ignore[overload-overlap]  # a str is a sequence too
    images: ImageFile | bytes | Image.Image,
    classifier: Classifier | str | os.PathLike[str] = ...,
    **options: Unpack[DetectKeywords],
) -> Detection: ...
@overload
def detect(
    images: NDArray[Any] | Tensor,
    classifier: Classifier | str | os.PathLike[str] = ...,
    **options: Unpack[DetectKeywords],
) -> Detection | list[Detection]: ...
@overload
def detect(
    images: Sequence[ImageLike],
    classifier: Classifier | str | os.PathLike[str] = ...,
    **options: Unpack[DetectKeywords],
) -> list[Detection]: ...
def detect(
    images: ImageLike | Sequence[ImageLike],
    classifier: Classifier | str | os.PathLike[str] = "lite0",
    *,
    false_positive_rate: float = 0.05,
    quick: bool = False,
    calibration: Calibration | str | os.PathLike[str] | None = None,
    **options: Unpack[FitKeywords],
) -> Detection | list[Detection]:
    """Say of an image, or of each of several, whether it was tampered with to fool ``classifier``.

    >>> import deep_protection as dp
    >>> dp.detect("photo.jpg").is_suspicious                # doctest: +SKIP

    Args:
        images: what :func:`deep_protection.purify` takes. Files, Pillow images, arrays and tensors of integers are
            images, resized as the classifier wants them; a tensor of floats is the pixels that it has been given.
        classifier: a :class:`Classifier` or what :func:`deep_protection.load_classifier` takes.
        false_positive_rate: how many clean images may be flagged.
        quick: fit nothing; a low-pass copy stands for the restoration. Of a calibration that is given, its own kind
            counts.
        calibration: a :class:`Calibration` or its file; None takes the one that comes with the package, if there is
            one for this classifier.
        options: ``seed``, ``device``, ``seconds``, ``workers``, ``progress`` and ``is_cancelled`` of the fits:
            :class:`deep_protection.FitOptions`.

    Returns:
        The :class:`Detection` of one image; of a list or a batch (an ``N×H×W×C`` array, an ``N×C×H×W`` tensor) a list
        of them. These are the details, so there is no ``return_details``.

    Raises:
        ImageError: an image cannot be used. OptionError: an argument cannot. Nothing is fitted then.

    An attacker who knows of the detector can attack it along with the classifier; see the documentation for how far
    they get.
    """
    model = classifier if isinstance(classifier, Classifier) else load_classifier(classifier)
    refuse_multi_label(model, "the detector")  # or it would be told to make a calibration
    if calibration is None:
        calibration = Calibration.shipped(model.name, quick=quick)
    elif not isinstance(calibration, Calibration):
        calibration = Calibration.load(calibration)
    calibration.check_classifier(model.name)
    calibration.check_rate(false_positive_rate)
    records, single = classifier_images(images, model)
    pixels = [record.pixels for record in records]
    begin = time.perf_counter()
    seen = classifier_responses(pixels, model, iterations=calibration.iterations, options=FitOptions(**options))
    seconds = (time.perf_counter() - begin) / max(1, len(pixels))
    found = []
    for record, responses in zip(records, seen, strict=True):
        evidence = compute_evidence(record.pixels, responses)
        score = calibration.score(evidence)
        p_value = calibration.p_value(score)
        found.append(
            Detection(
                score=score,
                p_value=p_value,
                is_suspicious=p_value <= false_positive_rate,
                label_before=_best(model, responses.original.exp()),
                label_after=_best(model, responses.restored.exp().mean(dim=0)),
                agreement=responses.agreement,
                evidence=calibration.deviations(evidence),
                seconds=seconds,
                notes=record.notes,
            )
        )
    return found[0] if single else found


def calibrate(
    images: Iterable[ImageLike],
    classifier: Classifier | str | os.PathLike[str] = "lite0",
    *,
    quick: bool = False,
    description: str | None = None,
    **options: Unpack[FitKeywords],
) -> Calibration:
    """Learn what clean images look like to the detector with ``classifier``. No attack and no label is needed.

    >>> import deep_protection as dp
    >>> calibration = dp.calibrate(photographs, "lite1")    # doctest: +SKIP

    Args:
        images: at least 20, one by one as for :func:`detect`; they are read as they are needed. The false-positive rate
            holds for images like these; with N of them it can be 1 / (1 + N) at least.
        classifier: as for :func:`detect`.
        quick: for detecting without a fit.
        description: what the images are, for whoever uses the calibration; None counts them.
        options: as for :func:`detect`. Where ``images`` has a length, ``seconds`` and ``progress`` are of the whole
            call, else of 32 images at a time.

    Raises:
        ImageError: an image cannot be used. DeepProtectionError: there are too few.
    """
    model = classifier if isinstance(classifier, Classifier) else load_classifier(classifier)
    iterations, given = 0 if quick else ITERATIONS, FitOptions(**options)
    total, begin = len(images) if isinstance(images, Sized) else None, time.perf_counter()
    evidence: list[dict[str, float]] = []
    looks: list[dict[str, float]] = []
    notes: dict[str, None] = {}
    source = iter(images)
    while some := list(islice(source, _AT_ONCE)):
        records = [_image(image, model) for image in some]
        notes |= dict.fromkeys(note for record in records for note in record.notes)
        share = given if total is None else _share(given, len(evidence), len(some), total, begin)
        pixels = [record.pixels for record in records]
        seen = classifier_responses(pixels, model, iterations=iterations, options=share)
        evidence += [compute_evidence(*both) for both in zip(pixels, seen, strict=True)]
        looks += [compute_evidence(*both) for both in zip(pixels, first_looks(pixels, model), strict=True)]
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return Calibration.from_evidence(
        evidence,
        classifier=model.name,
        iterations=iterations,
        description=description or f"{len(evidence)} images",
        looks=looks,
    )


def _share(options: FitOptions, done: int, count: int, total: int, begin: float) -> FitOptions:
    """What the next ``count`` of ``total`` images get of a call that began at ``begin``, ``done`` being done."""
    progress, seconds = options.progress, options.seconds
    if progress is not None:
        tell = progress  # the function inside must not see a wider type

        def progress(part: Progress) -> None:
            fraction = (done + count * part.fraction) / total
            left = (time.perf_counter() - begin) * (1 - fraction) / fraction if fraction else None
            images_done = done + part.images_done
            tell(replace(part, images_done=images_done, images_total=total, fraction=fraction, seconds_left=left))

    if seconds is not None:  # what is left; where it is used up each fit ends with what it has at once
        seconds = max(1e-3, seconds - (time.perf_counter() - begin)) * count / (total - done)
    return replace(options, seconds=seconds, progress=progress)


def classifier_responses(
    pixels: Sequence[Tensor],
    classifier: torch.nn.Module,
    *,
    iterations: int = ITERATIONS,
    options: FitOptions | None = None,
) -> list[Responses]:
    """The classifier's answers to every ``3×H×W`` image in ``[0, 1]`` and what was made of it."""
    refuse_multi_label(classifier, "the detector")
    if pixels:
        try_out(classifier, pixels[0][None])
    repaired = [repair_specks(image) for image in pixels]
    restored = partial_restorations(repaired, iterations=iterations, options=options)
    asked = ClassifierAdapter(classifier, lambda given: log_probabilities(classifier, ask(classifier, given)))
    with evaluating(classifier):
        return [
            respond(asked, image, reference_images(whole, made[None]))
            for image, whole, made in zip(pixels, repaired, restored, strict=True)
        ]


def first_looks(pixels: Sequence[Tensor], classifier: torch.nn.Module) -> list[Responses]:
    """What :func:`look_first` says of every ``3×H×W`` image in ``[0, 1]``: nothing is fitted."""
    asked = ClassifierAdapter(classifier, lambda given: log_probabilities(classifier, ask(classifier, given)))
    repaired = [repair_specks(image) for image in pixels]
    with evaluating(classifier):
        return [
            look_first(asked, image, reference_images(whole, _low(whole)[None]))
            for image, whole in zip(pixels, repaired, strict=True)
        ]


def reference_images(image: Tensor, restored: Tensor, apply: Apply | None = None) -> list[Tensor]:
    """What the classifier is asked about: ``N×3×H×W`` of each kind, from ``3×H×W`` without specks and its ``N×3×H×W``
    restorations.

    ``apply`` is how compression is applied where it has to have a gradient.
    """

    def through(quality: int) -> Tensor:
        def make(given: Tensor) -> Tensor:
            return compress_range(given.float().cpu(), quality).to(given)

        return apply(image, make) if apply else make(image)

    return [image[None], restored, through(STRONG_QUALITY)[None], through(MILD_QUALITY)[None]]


def partial_restorations(
    pixels: Sequence[Tensor],
    *,
    iterations: int,
    options: FitOptions | None = None,
) -> list[Tensor]:
    """What ``fast`` has drawn of every image after ``iterations``; 0 is the low-pass copy and its detail."""
    if not iterations:
        return [_low(image) for image in pixels]
    fast = find_preset("fast")
    records = (ImageRecord(image.float()) for image in pixels)
    results = purify_each(records, len(pixels), fast, fast.rule(f"fixed:{iterations}"), options or FitOptions())
    return [result.image for result in results]


def classifier_images(images: Any, classifier: Classifier) -> tuple[list[ImageRecord], bool]:
    """Images as the classifier sees them from whatever a caller has, with their notes, and whether it was one."""
    batch = images.ndim == 4 if hasattr(images, "ndim") else isinstance(images, list | tuple)
    return [_image(image, classifier) for image in (images if batch else [images])], not batch


def _image(image: Any, classifier: Classifier) -> ImageRecord:
    record = as_image(image)
    pixels = record.pixels
    if not isinstance(image, Tensor) or not image.dtype.is_floating_point:
        pixels = classifier.preprocess(to_pillow(pixels)).clamp(0, 1)
    return ImageRecord(pixels, notes=record.notes)


def _low(image: Tensor) -> Tensor:
    copy = low_pass(image[None], BASE_FACTOR)[0]
    detail = find_preset("fast").recipe.detail
    return copy if detail is None else detail.restore_detail(copy, image)


def _best(classifier: Classifier, probabilities: Tensor) -> Prediction:
    value, index = probabilities.max(dim=-1)
    return Prediction(int(index), classifier.label(int(index)), value.item())
