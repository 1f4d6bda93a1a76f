"""Jobs that protect: what the classifier would have said without an attack, by contrast or to the restored image."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from deep_protection.detection import Responses, partial_restorations, repair_specks
from deep_protection.errors import CancelledError, DeepProtectionError
from deep_protection.images import ImageRecord, to_pillow
from deep_protection.protection import Explanation, ProtectedClassifier
from deep_protection.service.jobs.options import ProtectOptions
from deep_protection.service.workers.observed_rule import json_safe
from deep_protection.service.workers.progress import ProgressReporter, fit_jobs, fitted, mean_answer
from deep_protection.service.workers.worker_context import (
    JobInput,
    JobOutput,
    Outcome,
    WorkerContext,
    decode_image,
    png,
)
from deep_protection.stopping import Fixed

FRAME_EVERY = 2
"""Iterations from one frame to the next, where frames are wanted. The restoration is the same, bit for bit."""
SHOWN = 6
"""Classes of which is told how the restorations move them."""
Pending = tuple[JobInput, ImageRecord, dict[str, Any]]
"""With what is to be fitted for it, and what its answer holds so far."""

_NOTHING_FITTED: dict[str, Any] = {
    "iterations_run": 0,
    "iteration_chosen": 0,
    "stop_reason": None,
    "psnr": None,
    "seconds": 0.0,
    "followed": [],
    "trajectory": [],
}


def protect_all(context: WorkerContext, jobs: Sequence[JobInput]) -> list[Outcome]:
    """Answer and restore; all have the same options, and images of one size are fitted together."""
    chosen = ProtectOptions.model_validate(jobs[0].options)
    try:
        protected = context.protected(chosen)
    except DeepProtectionError as error:
        return [error] * len(jobs)
    is_by_contrast = protected.answer == "contrast"
    outcomes: dict[str, Outcome] = {}
    groups: defaultdict[tuple[int, ...], list[Pending]] = defaultdict(list)
    for job in jobs:
        try:
            image = decode_image(job.inputs["image"])
            if is_by_contrast:
                image = ImageRecord(context.seen(image.pixels))
                about: dict[str, Any] = {"suspicious": None}
            else:
                about = _detected(context, job, image, chosen)
                if about["suspicious"] and not about["suspicious"]["is_suspicious"]:
                    same = png(image.to_original(image.pixels))
                    told = {**about, **_NOTHING_FITTED, "stop_reason": "not suspicious"}
                    outcomes[job.id] = JobOutput({**told, **_echoed(chosen)}, {"result": same})
                    continue
            groups[tuple(image.pixels.shape)].append((job, image, about))
        except DeepProtectionError as error:
            outcomes[job.id] = error
    answer = _by_contrast if is_by_contrast else _restored
    for group in groups.values():
        try:
            outcomes |= answer(context, group, chosen, protected)
        except DeepProtectionError as error:
            outcomes |= {job.id: error for job, *_ in group}
    return [outcomes[job.id] for job in jobs]


def _echoed(chosen: ProtectOptions) -> dict[str, Any]:
    return {"seed": chosen.seed, "preset": chosen.preset}


def _detected(context: WorkerContext, job: JobInput, image: ImageRecord, chosen: ProtectOptions) -> dict[str, Any]:
    """The answer to an image before it is restored, and the detector's verdict where that decides."""
    before = context.top(context.logits(image.pixels))
    about: dict[str, Any] = {"before": before, "after": before, "restored": False}
    is_asked = chosen.when == "suspicious"
    verdict = context.detection(job, image, chosen.false_positive_rate) if is_asked else None
    return {**about, "suspicious": verdict, "explanation": None}


def _restored(
    context: WorkerContext, group: list[Pending], chosen: ProtectOptions, protected: ProtectedClassifier
) -> dict[str, Outcome]:
    """The answers to the restored images alone."""
    jobs, images, abouts = zip(*group, strict=True)
    preset, views = protected.preset, chosen.views
    reporters = [ProgressReporter(context, job, preset, images[0], views=views, frames=chosen.frames) for job in jobs]
    side = max(images[0].pixels.shape[-2:])
    results = fit_jobs(
        context,
        reporters,
        images,
        preset,
        lambda index: preset.rule_asking(reporters[index].ask, side, protected.stop),
        chosen.seed,
    )
    outcomes: dict[str, Outcome] = {}
    for each, about, result in zip(reporters, abouts, results, strict=True):
        if each.job.is_cancelled():
            outcomes[each.job.id] = CancelledError("the job was cancelled")
            continue
        image = png(result.image)
        restored = decode_image(image).pixels  # as whoever gets the file will see it
        after = context.top(mean_answer(context, result, restored, views=views))
        course = _course_document(each, about["before"], after)
        answer = {**about, **fitted(result), "after": after, "restored": True, **course}
        outcomes[each.job.id] = JobOutput({**answer, **_echoed(chosen)}, {"result": image, **each.frames()})
    return outcomes


def _by_contrast(
    context: WorkerContext, group: list[Pending], chosen: ProtectOptions, protected: ProtectedClassifier
) -> dict[str, Outcome]:
    """As ``protected`` explains them, with fits that are told of as they go on."""
    jobs, images, abouts = zip(*group, strict=True)
    facts: list[dict[str, Any]] = [_NOTHING_FITTED] * len(jobs)
    reporters: list[ProgressReporter] = []
    restored: list[Tensor | None] = [None] * len(jobs)
    if protected.iterations != 0:
        whole = [ImageRecord(repair_specks(image.pixels)) for image in images]
        preset, is_close = protected.preset, chosen.frames and isinstance(protected.stop, Fixed)
        if is_close:  # a rule that asks would decide otherwise at other moments, or by one view of four
            preset = replace(preset, recipe=replace(preset.recipe, checkpoint_every=FRAME_EVERY))
        reporters = [
            ProgressReporter(context, job, preset, whole[0], views=not is_close, frames=chosen.frames) for job in jobs
        ]
        if chosen.frames:
            nothing = partial_restorations([image.pixels.float() for image in whole], iterations=0)
            for each, image in zip(reporters, nothing, strict=True):
                each.begin(image)
        side = max(whole[0].pixels.shape[-2:])
        results = fit_jobs(
            context,
            reporters,
            whole,
            preset,
            lambda index: preset.rule_asking(reporters[index].ask, side, protected.stop),
            chosen.seed,
        )
        for each in reporters:
            each.answering()
        facts = [fitted(result) for result in results]
        restored = [torch.stack(result.restored_by_fit)[None] for result in results]
    outcomes: dict[str, Outcome] = {}
    for number, (job, image, about, fit, made) in enumerate(zip(jobs, images, abouts, facts, restored, strict=True)):
        if job.is_cancelled():
            outcomes[job.id] = CancelledError("the job was cancelled")
            continue
        try:
            found = _explained(context, protected, image.pixels, made)
        except DeepProtectionError as error:
            outcomes[job.id] = error
            continue
        before = context.top(found.responses.original)
        answer = {
            "before": before,
            "after": before if found.answer == "own" else context.top(found.logits),
            "restored": True,
            **about,
            "explanation": _explanation_document(context, found),
            **fit,
        }
        files = {"result": png(to_pillow(found.restored.cpu())), "seen": png(to_pillow(image.pixels.cpu()))}
        if reporters:
            answer |= _course_document(reporters[number], before, answer["after"])
            files |= reporters[number].frames()
        outcomes[job.id] = JobOutput({**answer, **_echoed(chosen)}, files)
    return outcomes


@torch.no_grad()
def _explained(
    context: WorkerContext, protected: ProtectedClassifier, pixels: Tensor, restored: Tensor | None
) -> Explanation:
    made = None if restored is None else restored.to(context.device)
    return protected.explain(pixels[None].to(context.device), made)[0]


def _course_document(
    reporter: ProgressReporter, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> dict[str, Any]:
    """The course of the fit, with what became of the answer as it came and of the one that was given, or of the second
    where these are the same.
    """
    own, *others = (each["index"] for each in (before[0], after[0], *after[1:2]))
    classes = [own, *(index for index in others if index != own)][:2]
    return {"followed": reporter.followed(classes), "trajectory": reporter.course}


def _explanation_document(context: WorkerContext, found: Explanation) -> dict[str, Any]:
    """Which answer was taken, why, and the first answers that it was made of."""
    names = ("answer", "reason", "is_suspicious", "p_value", "agreement", "strength", "evidence")
    told = {name: json_safe(getattr(found, name)) for name in names}
    references = [
        {"name": name, **context.first(rows.exp().mean(dim=0))} for name, rows in _references(found.responses).items()
    ]
    return {**told, "references": references, "direction": _direction(context, found)}


def _direction(context: WorkerContext, found: Explanation) -> list[dict[str, Any]]:
    """Which classes the restorations raise and lower, in nats: of those that lead before or after, the most moved."""
    shift = found.responses.shift
    leading = {
        int(index)
        for each in (found.responses.original, found.responses.mean)
        for index in each.topk(min(5, len(each))).indices
    }
    moved = sorted(leading, key=lambda index: -abs(shift[index].item()))[:SHOWN]
    return [{"label": context.model.label(index), "shift": json_safe(shift[index].item())} for index in moved]


def _references(found: Responses) -> dict[str, Tensor]:
    """``K×classes`` log-probabilities by name, in the order in which they are shown."""
    return {
        "original": found.original[None],
        "views": found.image[1:],
        "restored": found.restored,
        "compressed": found.compressed,
        "mild": found.mild,
    }
