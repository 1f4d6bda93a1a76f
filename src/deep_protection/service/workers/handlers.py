"""What workers do: one function a kind of job, from the pictures that came to the answer and the pictures made."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from deep_protection.attacks import ATTACKS, attack
from deep_protection.errors import CancelledError, DeepProtectionError
from deep_protection.fitting import Progress
from deep_protection.images import read_image, to_pillow
from deep_protection.logits import as_classes
from deep_protection.maps import as_record, extract_text
from deep_protection.restoration import DEJPEG, DENOISE, INPAINT, UPSCALE, Preset, inpaint, stop_for, upscale
from deep_protection.service.workers.observed_rule import Watched
from deep_protection.service.workers.progress import Told, budget_of, fit_jobs, fitted
from deep_protection.service.workers.protect import protect_all
from deep_protection.service.workers.worker_context import Made, Outcome, Work, Workshop, opened, png


def make(shop: Workshop, works: Sequence[Work]) -> list[Outcome]:
    """Do jobs that share kind and options; one that cannot be done does not touch the others."""
    if works[0].kind == "protect":
        return protect_all(shop, works)
    outcomes: list[Outcome] = []
    for work in works:
        try:
            outcomes.append(MAKERS[work.kind](shop, work))
        except DeepProtectionError as error:
            outcomes.append(error)
    return outcomes


def _detect(shop: Workshop, work: Work) -> Made:
    pixels = opened(work.inputs["image"]).pixels
    return Made(
        shop.detection(work, pixels, work.options["false_positive_rate"], quick=work.options["quick"]),
    )


def _classify(shop: Workshop, work: Work) -> Made:
    return Made({"top": shop.top(shop.logits(opened(work.inputs["image"]).pixels), work.options["top"])})


def _attack(shop: Workshop, work: Work) -> Made:
    spec = ATTACKS[work.options["attack"]]
    if work.options["epsilon_255"] is not None:
        spec = replace(spec, epsilon=work.options["epsilon_255"] / 255)
    pixels = shop.seen(opened(work.inputs["image"]).pixels)
    logits = shop.logits(pixels)
    answered = as_classes(logits).argmax(dim=-1)
    given = pixels[None].to(shop.device)
    with shop.interruptible(work):
        found = attack(shop.model, given, answered[None].to(shop.device), spec, seed=work.options["seed"] % 2**32)
    image = png(to_pillow(found.adversarial[0].float().cpu()))
    made = opened(image).pixels
    after = shop.logits(made)
    change = made - pixels
    answer = {
        "before": shop.top(logits),
        "after": shop.top(after),
        "fooled": bool(as_classes(after).argmax() != answered),
        "attack": spec.name,
        "epsilon_255": None if spec.epsilon is None or spec.norm != "Linf" else round(spec.epsilon * 255, 3),
        "linf": round(change.abs().max().item(), 6),
        "l2": round(change.norm().item(), 6),
        "size": list(shop.size),
    }
    return Made(answer, {"result": image, "clean": png(to_pillow(pixels.cpu()))})


def _denoise(shop: Workshop, work: Work) -> Made:
    return _restore(shop, work, DENOISE, stop_for(work.options["sigma"], work.options["stop"]))


def _dejpeg(shop: Workshop, work: Work) -> Made:
    return _restore(shop, work, DEJPEG, work.options["stop"])


def _restore(shop: Workshop, work: Work, preset: Preset, stop: Any) -> Made:
    picture = opened(work.inputs["image"])
    told = Told(shop, work, preset, picture, classified=False)
    seed = work.options["seed"]
    result = fit_jobs(shop, [told], [picture], preset, lambda _: preset.rule(stop), seed)[0]
    if work.is_cancelled():
        raise CancelledError("the job was cancelled")
    return Made({**fitted(result), "seed": seed}, {"result": png(result.image)})


def _inpaint(shop: Workshop, work: Work) -> Made:
    mask, _, _ = read_image(work.inputs["mask"])
    return _drawn(shop, work, INPAINT, partial(inpaint, mask=mask))


def _upscale(shop: Workshop, work: Work) -> Made:
    return _drawn(shop, work, UPSCALE, partial(upscale, factor=work.options["factor"]))


def _drawn(shop: Workshop, work: Work, preset: Preset, draw: Callable[..., Any]) -> Made:
    """What a function of the library draws of a picture that was not seen whole."""
    image, _, _ = read_image(work.inputs["image"])
    factor = work.options.get("factor", 1)
    told = Told(shop, work, preset, opened(work.inputs["image"]), classified=False, factor=factor)
    spent = budget_of(shop.budget)
    reasons: list[str] = []

    def ended(_: int) -> str | None:
        reason = spent()
        reasons.extend([reason] if reason else [])
        return reason

    rule = Watched(lambda _: preset.rule(work.options["stop"]), lambda _, part: told.tell(part), ended)
    restored = draw(
        image,
        stop=rule,
        seed=work.options["seed"],
        device=shop.device,
        workers=1,
        progress=told.report,
        is_cancelled=work.is_cancelled,
    )
    course = told.course
    run = course[-1]["iteration"] if course else 0
    answer = {"iterations_run": run, "stop_reason": reasons[0] if reasons else None, "seed": work.options["seed"]}
    return Made(answer, {"result": png(restored)})


def _extract_text(shop: Workshop, work: Work) -> Made:
    def report(progress: Progress) -> None:
        work.tell({"iteration": progress.iteration, "limit": progress.max_iterations})

    image, _, _ = read_image(work.inputs["image"])
    found = extract_text(
        image,
        ocr=work.options["ocr"],
        seed=work.options["seed"],
        device=shop.device,
        workers=1,
        progress=report,
        is_cancelled=work.is_cancelled,
    )
    files = {"layer": found.text_layer, "without_text": found.without_text, "result": found.overlay}
    return Made({"words": [as_record(word) for word in found.words]}, {name: png(each) for name, each in files.items()})


MAKERS: dict[str, Callable[[Workshop, Work], Made]] = {
    "detect": _detect,
    "classify": _classify,
    "attack": _attack,
    "denoise": _denoise,
    "dejpeg": _dejpeg,
    "inpaint": _inpaint,
    "upscale": _upscale,
    "extract-text": _extract_text,
}
