"""What workers do: one function a kind of job, from the images that came to the answer and the images made."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from deep_protection.attacks import ATTACKS, attack
from deep_protection.errors import CancelledError, DeepProtectionError, OptionError
from deep_protection.fitting import Progress
from deep_protection.images import ImageRecord, from_pillow, read_image, to_pillow, without_missing
from deep_protection.logits import as_classes
from deep_protection.maps import as_record, extract_text
from deep_protection.maps.vocabulary import split_words
from deep_protection.restoration import (
    DEJPEG,
    DENOISE,
    INPAINT,
    UPSCALE,
    FitOptions,
    Preset,
    enlargeable,
    factor_of,
    missing_pixels,
    purify_each,
    with_blocks,
    with_fits,
    with_missing,
    with_noise,
)
from deep_protection.service.errors import TimeUpError
from deep_protection.service.jobs.job_types import JOB_TYPES
from deep_protection.service.workers.observed_rule import ObservedRule
from deep_protection.service.workers.progress import ProgressReporter, budget_of, fitted
from deep_protection.service.workers.protect import protect_all
from deep_protection.service.workers.worker_context import (
    JobInput,
    JobOutput,
    Outcome,
    WorkerContext,
    decode_image,
    png,
)


def run_jobs(context: WorkerContext, jobs: Sequence[JobInput]) -> list[Outcome]:
    """Do jobs that share kind and options; one that cannot be done does not touch the others.

    What an older version queued, or another machine sends, lacks the options that were added since: they are filled in.
    """
    known = JOB_TYPES[jobs[0].kind].options
    jobs = [replace(job, options=known.model_validate(job.options).model_dump(exclude={"wait"})) for job in jobs]
    if jobs[0].kind == "protect":
        return protect_all(context, jobs)
    outcomes: list[Outcome] = []
    for job in jobs:
        try:
            outcomes.append(HANDLERS[job.kind](context, job))
        except DeepProtectionError as error:
            outcomes.append(error)
    return outcomes


def _detect(context: WorkerContext, job: JobInput) -> JobOutput:
    image, options = decode_image(job.inputs["image"]), job.options
    return JobOutput(context.detection(job, image, options["false_positive_rate"], quick=options["quick"]))


def _classify(context: WorkerContext, job: JobInput) -> JobOutput:
    pixels = context.seen(decode_image(job.inputs["image"]).pixels)
    files = {"seen": png(to_pillow(pixels.cpu()))} if job.options["seen"] else {}
    return JobOutput({"top": context.top(context.logits(pixels), job.options["top"])}, files)


def _attack(context: WorkerContext, job: JobInput) -> JobOutput:
    spec = ATTACKS[job.options["attack"]]
    if job.options["epsilon_255"] is not None:
        spec = replace(spec, epsilon=job.options["epsilon_255"] / 255)
    pixels = context.seen(decode_image(job.inputs["image"]).pixels)
    logits = context.logits(pixels)
    answered = as_classes(logits).argmax(dim=-1)
    given = pixels[None].to(context.device)
    target = None if job.options["target"] is None else context.index_of(job.options["target"])
    if target == int(answered):
        raise OptionError(f"the classifier answers {context.model.label(target)!r} already; aim at another class")
    found = attack(
        context.model,
        given,
        answered[None].to(context.device),
        spec,
        targets=None if target is None else [target],
        seed=job.options["seed"] % 2**32,
        seconds=context.budget,
        is_cancelled=job.is_cancelled,
    )
    if found.is_out_of_time:
        raise TimeUpError(f"it did not end within its time budget of {context.budget:.0f} s; ask for less")
    image = png(to_pillow(found.adversarial[0].float().cpu()))
    made = decode_image(image).pixels
    after = context.logits(made)
    change = made - pixels
    answer = {
        "before": context.top(logits),
        "after": context.top(after),
        "fooled": bool(as_classes(after).argmax() != answered),
        "undone_by_rounding": bool(found.success[0]) and not bool(found.success_8bit[0]),
        "target": None if target is None else context.model.label(target),
        "attack": spec.name,
        "epsilon_255": None if spec.epsilon is None or spec.norm != "Linf" else round(spec.epsilon * 255, 3),
        "linf": round(change.abs().max().item(), 6),
        "l2": round(change.norm().item(), 6),
        "pixels_changed": int((change != 0).any(dim=0).sum()),
        "size": list(context.size),
    }
    return JobOutput(answer, {"result": image, "clean": png(to_pillow(pixels.cpu()))})


def _denoise(context: WorkerContext, job: JobInput) -> JobOutput:
    image = decode_image(job.inputs["image"])
    return _restore(context, job, DENOISE, with_noise(image, job.options["sigma"]))


def _dejpeg(context: WorkerContext, job: JobInput) -> JobOutput:
    return _restore(context, job, DEJPEG, with_blocks(decode_image(job.inputs["image"])))


def _inpaint(context: WorkerContext, job: JobInput) -> JobOutput:
    missing = missing_pixels(read_image(job.inputs["mask"])[0])
    image, _, notes = read_image(job.inputs["image"])
    given = from_pillow(without_missing(image, missing), notes)
    seen = with_missing(given, missing)
    if seen is not None:
        return _restore(context, job, INPAINT, seen)
    as_it_was = png(given.to_original(given.pixels))
    return JobOutput({"iterations_run": 0, "stop_reason": "nothing is missing", "fits": 0}, {"result": as_it_was})


def _upscale(context: WorkerContext, job: JobInput) -> JobOutput:
    image = decode_image(job.inputs["image"])
    return _restore(context, job, UPSCALE, enlargeable(image, job.options["factor"]))


def _restore(context: WorkerContext, job: JobInput, preset: Preset, seen: ImageRecord) -> JobOutput:
    """What is drawn of an image of which something was lost."""
    options = job.options
    preset = with_fits(preset, options["fits"], options["stop"])
    reporter = ProgressReporter(
        context, job, preset, seen, classified=False, factor=factor_of(seen), is_by_fraction=True
    )
    spent, out_of_patience = budget_of(context.budget), budget_of(PATIENCE * context.budget)
    cut_short: list[str] = []

    def ended(_: int) -> str | None:
        reason = spent()
        cut_short.extend([reason] if reason else [])
        return reason

    rule = ObservedRule(lambda _: preset.rule(options["stop"]), lambda _, part: reporter.tell(part), ended)
    how = FitOptions(
        seed=options["seed"],
        device=context.device,
        workers=1,
        progress=reporter.report,
        is_cancelled=lambda: job.is_cancelled() or out_of_patience() is not None,
    )
    try:
        result = next(purify_each([seen], 1, preset, rule, how))
    except CancelledError:
        if job.is_cancelled():
            raise
        raise TimeUpError(
            f"it did not end within its time budget of {context.budget:.0f} s; make the image smaller"
        ) from None
    told = {**fitted(result), "fits": result.fits, "seed": options["seed"], "notes": list(result.notes)}
    if cut_short:  # one fit may have ended by itself, and the next not
        told["stop_reason"] = cut_short[0]
    return JobOutput(told, {"result": png(result.image)})


PATIENCE = 10
"""Times its budget that a job may take: fits end when it is spent, and filters, which do not, have this long."""


def _extract_text(context: WorkerContext, job: JobInput) -> JobOutput:
    fits = 1

    def report(progress: Progress) -> None:
        # Drawing the residual and reading take about as long; painting over the words is a moment.
        nonlocal fits
        fits = progress.max_iterations
        phase = "fitting" if progress.fraction < 1 else "reading"
        job.tell({"iteration": round(fits * progress.fraction), "limit": 2 * fits, "phase": phase})

    def on_window(done: int, total: int) -> None:
        phase = "painting" if done == total else "reading"
        job.tell({"iteration": fits + fits * done // total, "limit": 2 * fits, "phase": phase})

    image, _, notes = read_image(job.inputs["image"])
    found = extract_text(
        image,
        ocr=job.options["ocr"],
        script=job.options["script"],
        vocabulary=split_words(job.options["vocabulary"]),
        seed=job.options["seed"],
        device=context.device,
        workers=1,
        progress=report,
        is_cancelled=job.is_cancelled,
        on_window=on_window,
    )
    files = {"layer": found.text_layer, "without_text": found.without_text, "result": found.overlay}
    words = [as_record(word) for word in found.words]
    answer = {"words": words, "notes": [*notes, *found.notes]}
    return JobOutput(answer, {name: png(each) for name, each in files.items()})


HANDLERS: dict[str, Callable[[WorkerContext, JobInput], JobOutput]] = {
    "detect": _detect,
    "classify": _classify,
    "attack": _attack,
    "denoise": _denoise,
    "dejpeg": _dejpeg,
    "inpaint": _inpaint,
    "upscale": _upscale,
    "extract-text": _extract_text,
}
