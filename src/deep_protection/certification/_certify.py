"""A promise for one image: no change of it up to a radius moves the answer, whoever makes it and whatever they know."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from deep_protection.certification.bounds import Plan, certified_radius, lower_bound
from deep_protection.certification.denoisers import Denoiser
from deep_protection.certification.smoothing import NoisyAnswers, NoisyClassifier, Smoothing
from deep_protection.classifiers import Classifier, evaluating, load_classifier, refuse_multi_label, try_out
from deep_protection.detection import classifier_images
from deep_protection.fitting import ProgressCallback, find_device
from deep_protection.fitting.progress import ProgressMeter
from deep_protection.restoration.options import never
from deep_protection.seeds import checked_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What can be promised of one image."""

    prediction: int | None
    """The class of the classifier under noise; None where it abstains."""
    label: str | None
    """The name of the class."""
    radius: float
    """Within this L2 distance of the image, over all pixels in ``[0, 1]`` that the classifier sees, the answer of the
    classifier under noise is ``prediction``, but with probability ``alpha``. 0 where it abstains."""
    candidate: int
    """The class that the first draws chose, promised or not."""
    lower: float
    """Bound from below on the probability of ``candidate`` under noise, as the last count gave it; 0 where none was
    looked at, as it could not have sufficed."""
    counts: dict[int, int] = field(hash=False)
    """How often each class came among the draws that the bound is of, most often first."""
    samples: int
    """How many these were; those that chose the class are not among them."""
    sigma: float
    alpha: float
    denoiser: str
    seconds: float
    """Wall time."""

    @property
    def abstains(self) -> bool:
        """Whether nothing is promised."""
        return self.prediction is None


def certify(
    images: Any,
    classifier: Classifier | str | os.PathLike[str] | torch.nn.Module = "lite0",
    *,
    sigma: float = 0.12,
    samples: int = 1000,
    alpha: float = 0.001,
    selection: int = 100,
    denoiser: str | Denoiser = "none",
    views: bool = False,
    radius: float | None = None,
    batch: int = 32,
    seed: int | None = 0,
    device: str | torch.device = "auto",
    progress: ProgressCallback | None = None,
    is_cancelled: Callable[[], bool] = never,
) -> Any:
    """Certify an image, or each of several: a :class:`Certificate`, or a list of them.

    >>> import deep_protection as dp
    >>> dp.certify("photo.jpg", "lite0", denoiser="tv").radius    # doctest: +SKIP

    The classifier that the promise is about is another than ``classifier``: what that answers most often under noise
    (randomised smoothing: Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918). Their procedure: ``selection`` draws
    choose the class, ``samples`` fresh ones bound its probability from below (one-sided Clopper–Pearson), and the
    radius is ``sigma`` times the normal quantile of the bound; where it is not above 1/2, the answer is an abstention.
    A denoiser, and whatever it draws or fits, is part of the classifier (Salman et al. 2020, arXiv:2003.01908).

    With ``radius`` it is only asked whether that much holds, which ends earlier: the draws are looked at when there are
    ``samples`` of them and, as long as it could hold there, at a half, a quarter and so on, each time at an equal part
    of ``alpha``. The looks are fixed beforehand and by the union bound all their bounds hold together, so the first
    that suffices may be taken. It also ends when no later look could find that it holds, which costs nothing. Then
    ``prediction`` is None; a smaller radius may still hold.

    Args:
        images: as for :func:`deep_protection.detect`.
        classifier: a :class:`Classifier`, a module, or what :func:`deep_protection.load_classifier` takes. It sees
            values below 0 and above 1; one that refuses them, as a protected one does, wants a ``denoiser`` that clips.
            It is asked ``selection`` + ``samples`` times an image: mind what a service takes for that.
        sigma: of the normal noise, in values of pixels. More noise, larger radii, fewer images.
        samples: draws that bound the probability. 1,000 that all agree give 2.46 ``sigma`` at most, 10,000 3.2.
        alpha: how often a certificate may be wrong.
        selection: draws that choose the class.
        denoiser: ``"none"``, ``"tv"``, ``"dct"``, ``"fast"`` (a short fit) or a function of noisy ``N×3×H×W``
            values, which are not clipped.
        views: average each answer over two images: the denoised one, and its mirror image with half of what was taken
            out left in. Twice the questions, and more draws agree; not for classes that mirroring changes, such as
            letters.
        radius: only ask whether this one holds.
        batch: draws at once. It changes nothing but memory and time.
        seed: with the image it decides the noise. Who knows it could look for an image whose draws are unlucky; None
            draws a fresh one.
        device: where noise is denoised; a classifier given by name goes there too, others stay where they are.
        progress: called with a :class:`deep_protection.Progress`, whose iterations are draws.
        is_cancelled: asked before every batch; when true, :class:`deep_protection.CancelledError` is raised.

    Raises:
        ImageError: an image cannot be used. OptionError: an argument cannot. ClassifierError: the classifier cannot.
        MissingExtraError: the extra ``certify`` is not installed.
    """
    settings = Smoothing(
        sigma=sigma,
        samples=samples,
        alpha=alpha,
        selection=selection,
        denoiser=denoiser,
        views=views,
        radius=radius,
        batch=batch,
        seed=checked_seed(seed),
    )
    where = find_device(device)
    if isinstance(classifier, torch.nn.Module):
        model = load_classifier(classifier)
    else:
        model = load_classifier(classifier).to(where)
    records, single = classifier_images(images, model)
    pixels = [record.pixels for record in records]
    found = certify_each(
        pixels, len(pixels), model, settings, device=where, progress=progress, is_cancelled=is_cancelled
    )
    certificates = list(found)
    return certificates[0] if single else certificates


def certify_each(
    images: Iterable[Tensor],
    total: int,
    classifier: Classifier,
    settings: Smoothing,
    *,
    device: torch.device,
    progress: ProgressCallback | None = None,
    is_cancelled: Callable[[], bool] = never,
) -> Iterator[Certificate]:
    """Certify ``total`` images, ``3×H×W`` pixels as the classifier sees them, one after the other."""
    refuse_multi_label(classifier, "a certificate")
    base, plan = NoisyClassifier(classifier, settings, device), settings.plan()
    meter = ProgressMeter(total, progress)
    for index, image in enumerate(images):
        begin = time.perf_counter()
        try_out(classifier, image[None])

        def tell(drawn: int, number: int = index) -> None:
            meter.report(number, 1.0, drawn, settings.most_draws)

        answers = NoisyAnswers(image, base, settings, tell, is_cancelled)
        with evaluating(classifier):
            chosen = int(torch.cat(list(answers.take(settings.selection))).bincount().argmax())
            classes, lower, reached = _bound(answers, chosen, settings, plan)
        meter.finish(index, 1.0, settings.selection + len(classes), settings.most_draws)
        kinds, counts = classes.unique(return_counts=True)
        order = sorted(zip(kinds.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
        yield Certificate(
            prediction=chosen if reached > 0 else None,
            label=classifier.label(chosen) if reached > 0 else None,
            radius=reached,
            candidate=chosen,
            lower=lower,
            counts=dict(order),
            samples=len(classes),
            sigma=settings.sigma,
            alpha=settings.alpha,
            denoiser=settings.denoiser_name,
            seconds=time.perf_counter() - begin,
        )


def _bound(answers: NoisyAnswers, chosen: int, settings: Smoothing, plan: Plan | None) -> tuple[Tensor, float, float]:
    """The classes of fresh draws, the bound on the probability of ``chosen``, and the radius: 0 where none is found."""
    if plan is None:
        classes = torch.cat(list(answers.take(settings.samples)))
        lower = lower_bound(int((classes == chosen).sum()), len(classes), settings.alpha)
        return classes, lower, certified_radius(lower, settings.sigma)
    classes, lower = torch.empty(0, dtype=torch.int64), 0.0
    for look in plan.looks:
        for some in answers.take(look.draws - len(classes)):
            classes = torch.cat([classes, some])
            too_many = (classes != chosen).cumsum(dim=0) > plan.misses
            if bool(too_many[-1]):
                return classes[: int(too_many.nonzero()[0]) + 1], 0.0, 0.0
        count = int((classes == chosen).sum())
        lower = lower_bound(count, look.draws, plan.share)
        if count >= look.needed:
            return classes, lower, certified_radius(lower, settings.sigma)
    return classes, lower, 0.0
