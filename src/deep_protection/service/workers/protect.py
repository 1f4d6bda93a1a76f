"""Jobs that protect: what the classifier would have said without an attack, by contrast or to the restored picture."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from deep_protection.detection import Responses, repair_specks
from deep_protection.errors import CancelledError, DeepProtectionError
from deep_protection.images import Picture, to_pillow
from deep_protection.protection import Explanation, ProtectedClassifier
from deep_protection.service.jobs.options import ProtectOptions
from deep_protection.service.workers.observed_rule import plain
from deep_protection.service.workers.progress import Told, fit_jobs, fitted, mean_answer
from deep_protection.service.workers.worker_context import Made, Outcome, Work, Workshop, opened, png

Job = tuple[Work, Picture, dict[str, Any]]
"""With what is to be fitted for it, and what its answer holds so far."""

_NOTHING_FITTED: dict[str, Any] = {
    "iterations_run": 0,
    "iteration_chosen": 0,
    "stop_reason": None,
    "psnr": None,
    "seconds": 0.0,
    "trajectory": [],
}


def protect_all(shop: Workshop, works: Sequence[Work]) -> list[Outcome]:
    """Answer and restore; all have the same options, and pictures of one size are fitted together."""
    chosen = ProtectOptions.model_validate(works[0].options)
    try:
        protected = shop.protected(chosen)
    except DeepProtectionError as error:
        return [error] * len(works)
    is_by_contrast = protected.answer == "contrast"
    outcomes: dict[str, Outcome] = {}
    groups: defaultdict[tuple[int, ...], list[Job]] = defaultdict(list)
    for work in works:
        try:
            picture = opened(work.inputs["image"])
            if is_by_contrast:
                picture = Picture(shop.seen(picture.pixels), rebuild=lambda pixels: pixels)
                about: dict[str, Any] = {"suspicious": None}
            else:
                about = _looked_at(shop, work, picture, chosen)
                if about["suspicious"] and not about["suspicious"]["is_suspicious"]:
                    same = png(picture.rebuild(picture.pixels))
                    told = {**about, **_NOTHING_FITTED, "stop_reason": "not suspicious"}
                    outcomes[work.id] = Made({**told, **_asked(chosen)}, {"result": same})
                    continue
            groups[tuple(picture.pixels.shape)].append((work, picture, about))
        except DeepProtectionError as error:
            outcomes[work.id] = error
    answer = _by_contrast if is_by_contrast else _restored
    for group in groups.values():
        try:
            outcomes |= answer(shop, group, chosen, protected)
        except DeepProtectionError as error:
            outcomes |= {work.id: error for work, *_ in group}
    return [outcomes[work.id] for work in works]


def _asked(chosen: ProtectOptions) -> dict[str, Any]:
    return {"seed": chosen.seed, "preset": chosen.preset}


def _looked_at(shop: Workshop, work: Work, picture: Picture, chosen: ProtectOptions) -> dict[str, Any]:
    """The answer to a picture before it is restored, and the detector's verdict where that decides."""
    before = shop.top(shop.logits(picture.pixels))
    about: dict[str, Any] = {"before": before, "after": before, "restored": False}
    is_asked = chosen.when == "suspicious" or (chosen.only_if_suspicious and chosen.when is None)
    verdict = shop.detection(work, picture.pixels, chosen.false_positive_rate) if is_asked else None
    return {**about, "suspicious": verdict, "explanation": None}


def _restored(
    shop: Workshop, group: list[Job], chosen: ProtectOptions, protected: ProtectedClassifier
) -> dict[str, Outcome]:
    """The answers to the restored pictures alone."""
    works, pictures, abouts = zip(*group, strict=True)
    preset, views = protected.preset, chosen.views
    told = [Told(shop, work, preset, pictures[0], views=views) for work in works]
    side = max(pictures[0].pixels.shape[-2:])
    results = fit_jobs(
        shop,
        told,
        pictures,
        preset,
        lambda index: preset.rule_asking(told[index].ask, side, protected.stop),
        chosen.seed,
    )
    outcomes: dict[str, Outcome] = {}
    for each, about, result in zip(told, abouts, results, strict=True):
        if each.work.is_cancelled():
            outcomes[each.work.id] = CancelledError("the job was cancelled")
            continue
        image = png(result.image)
        restored = opened(image).pixels  # as whoever gets the file will see it
        after = shop.top(mean_answer(shop, result, restored, views=views))
        answer = {**about, **fitted(result), "after": after, "restored": True, "trajectory": each.course}
        outcomes[each.work.id] = Made({**answer, **_asked(chosen)}, {"result": image})
    return outcomes


def _by_contrast(
    shop: Workshop, group: list[Job], chosen: ProtectOptions, protected: ProtectedClassifier
) -> dict[str, Outcome]:
    """As ``protected`` explains them, with fits that are told of as they go on."""
    works, pictures, abouts = zip(*group, strict=True)
    facts: list[dict[str, Any]] = [_NOTHING_FITTED] * len(works)
    restored: list[Tensor | None] = [None] * len(works)
    if protected.iterations != 0:
        whole = [Picture(repair_specks(picture.pixels), picture.rebuild) for picture in pictures]
        told = [Told(shop, work, protected.preset, whole[0], views=True) for work in works]
        side = max(whole[0].pixels.shape[-2:])
        results = fit_jobs(
            shop,
            told,
            whole,
            protected.preset,
            lambda index: protected.preset.rule_asking(told[index].ask, side, protected.stop),
            chosen.seed,
        )
        facts = [{**fitted(result), "trajectory": each.course} for each, result in zip(told, results, strict=True)]
        restored = [torch.stack(result.restored_by_fit)[None] for result in results]
    outcomes: dict[str, Outcome] = {}
    for work, picture, about, fit, made in zip(works, pictures, abouts, facts, restored, strict=True):
        if work.is_cancelled():
            outcomes[work.id] = CancelledError("the job was cancelled")
            continue
        try:
            found = _explained(shop, protected, picture.pixels, made)
        except DeepProtectionError as error:
            outcomes[work.id] = error
            continue
        before = shop.top(found.responses.original)
        answer = {
            "before": before,
            "after": before if found.answer == "own" else shop.top(found.logits),
            "restored": True,
            **about,
            "explanation": _told(shop, found),
            **fit,
        }
        files = {"result": found.restored, "seen": picture.pixels}
        outcomes[work.id] = Made(
            {**answer, **_asked(chosen)}, {name: png(to_pillow(pixels.cpu())) for name, pixels in files.items()}
        )
    return outcomes


@torch.no_grad()
def _explained(shop: Workshop, protected: ProtectedClassifier, pixels: Tensor, restored: Tensor | None) -> Explanation:
    made = None if restored is None else restored.to(shop.device)
    return protected.explain(pixels[None].to(shop.device), made)[0]


def _told(shop: Workshop, found: Explanation) -> dict[str, Any]:
    """Which answer was taken, why, and the first answers that it was made of."""
    names = ("answer", "reason", "is_suspicious", "p_value", "agreement", "strength", "evidence")
    told = {name: plain(getattr(found, name)) for name in names}
    references = [
        {"name": name, **shop.first(rows.exp().mean(dim=0))} for name, rows in _references(found.responses).items()
    ]
    return {**told, "references": references}


def _references(found: Responses) -> dict[str, Tensor]:
    """``K×classes`` log-probabilities by name, in the order in which they are shown."""
    return {
        "original": found.original[None],
        "views": found.image[1:],
        "restored": found.restored,
        "compressed": found.compressed,
        "mild": found.mild,
    }
