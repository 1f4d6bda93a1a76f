"""The function that puts the protection in front of a classifier."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Unpack

from torch import nn

from deep_protection.classifiers import load_classifier
from deep_protection.detection import Calibration
from deep_protection.protection.protected_classifier import AnswerBy, ProtectedClassifier, When
from deep_protection.restoration import FitKeywords, Preset
from deep_protection.stopping import StopRule


def protect(
    classifier: nn.Module | str | os.PathLike[str] | Callable[..., Any],
    *,
    answer: AnswerBy | None = None,
    quick: bool = False,
    preset: str | Preset = "fast",
    stop: str | StopRule | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    views: bool | None = None,
    when: When | None = None,
    false_positive_rate: float = 0.05,
    calibration: Calibration | str | os.PathLike[str] | None = None,
    **options: Unpack[FitKeywords],
) -> ProtectedClassifier:
    """Put the protection in front of ``classifier`` (a module that takes pixels in ``[0, 1]``, or a name).

    >>> import deep_protection as dp
    >>> model = dp.protect(dp.load_classifier("lite0"))

    An image that the detector does not flag gets the classifier's own answer, untouched; what is clearly clean at a
    first look is not even fitted (:mod:`deep_protection.protection.suspicion`). A suspicious one is answered by
    contrast: the classifier is asked about several restorations, and where they agree on how they move the answer, the
    answer goes further in that direction (:mod:`deep_protection.protection.contrast`). ``model(pixels)`` gives logits,
    ``model.explain(pixels)`` also what was seen and why which answer was taken.

    Args:
        classifier: a module from ``N×3×H×W`` pixels in ``[0, 1]`` to logits, put into evaluation mode, or what
            :func:`deep_protection.load_classifier` takes.
        answer: ``"contrast"``, or ``"restored"`` for the answer to the restored image alone. None is ``"contrast"``,
            but for remote classifiers, where each of its 16 questions is paid for, and for those of several labels a
            image, which have no one right class that contrast could go further to.
        quick: fit nothing; a low-pass copy stands for the restoration. Quicker, and a little less often right.
        preset: ``"fast"``, ``"thorough"``, ``"paper"`` or a :class:`Preset`. Of several fits, each is asked about.
        stop: when to end a fit; None is where the answer by contrast is best, and the preset's rule with
            ``answer="restored"``.
        mean: of a bare network that expects normalised pixels: normalisation belongs after the restoration.
        std: as ``mean``.
        views: with ``answer="restored"``, average the answer over the restored image, its mirror image and two sizes of
            it; not for classes that mirroring changes, such as letters. The answer by contrast always does.
        when: ``"suspicious"``: only images that the detector flags are taken for attacked; ``"always"``: all are. None
            is ``"suspicious"`` by contrast and ``"always"`` with ``answer="restored"``.
        false_positive_rate: how many clean images may be flagged.
        calibration: what clean images look like to this classifier, or its file; None takes the one that comes with the
            package. Of one that is given, its own kind counts, with a fit or ``quick``. Where there is none, a fixed
            threshold on the agreement decides, which finds attacks that least change the image less often; make one
            with ``deep-protection detect calibrate``. There is a first look where the calibration holds one, ``stop``
            is not given, and ``false_positive_rate`` is at most 0.1.
        options: ``seed``, ``device``, ``seconds`` (of every call), ``workers``, ``progress`` and ``is_cancelled`` of
            the fits: :class:`deep_protection.FitOptions`. What ``seed=None`` draws an attacker cannot foresee.

    Raises:
        OptionError, ClassifierError: an argument cannot be used.
    """
    if not isinstance(classifier, nn.Module) or mean is not None or std is not None:
        classifier = load_classifier(classifier, mean=mean, std=std)
    return ProtectedClassifier(
        classifier,
        answer=answer,
        quick=quick,
        preset=preset,
        stop=stop,
        views=views,
        when=when,
        false_positive_rate=false_positive_rate,
        calibration=calibration,
        **options,
    )
