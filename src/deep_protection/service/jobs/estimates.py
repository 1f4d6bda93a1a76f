"""How long a job is likely to run: the work of its kind, times what this machine was seen to need for such work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from deep_protection.restoration import DEJPEG, DENOISE, INPAINT, UPSCALE, Preset, find_preset, planned_fits, with_fits
from deep_protection.restoration.tiles import cut_tiles
from deep_protection.stopping import Fixed

NEWEST = 0.5
"""Share of the latest job in what a kind is said to need; the jobs before it have the rest."""
TELLING = 0.5
"""Seconds of work from which on a job tells how fast this machine is."""
AROUND = 0.3
"""Seconds that filters take however small an image is."""
SEEN = (224, 224)
"""Height and width of what most classifiers see, which an answer by contrast is made of."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """What a kind of job draws. Seconds are CPU seconds of one core, of an iteration of one fit."""

    preset: Preset
    each: float
    a_megapixel: float
    """That is drawn."""
    iterations: int
    """After which its own stop rule usually ends."""
    filters: float = 0.0
    """Of a megapixel that is drawn, for filters."""

    def seconds(self, height: int, width: int, options: Mapping[str, Any]) -> float:
        stop: str | None = options["stop"]
        factor: int = options.get("factor", 1)
        preset = with_fits(self.preset, options.get("fits"), stop) if self.filters else self.preset
        rule = preset.rule(stop)
        iterations = rule.max_iterations if isinstance(rule, Fixed) else min(self.iterations, rule.max_iterations)
        tiles = cut_tiles(height, width, preset.tile // factor, preset.overlap // factor)
        areas = [factor**2 * (tile.bottom - tile.top) * (tile.right - tile.left) / 1e6 for tile in tiles]
        fits = planned_fits(preset, rule, sum(areas), device=torch.device("cpu")) if self.filters else preset.fits
        around = AROUND if self.filters else 0.0
        return (
            around
            + self.filters * sum(areas)
            + fits * iterations * sum(self.each + self.a_megapixel * area for area in areas)
        )


_FITS = {
    "fast": _Fit(find_preset("fast"), 0.006, 0.16, 60),
    "thorough": _Fit(find_preset("thorough"), 0.006, 0.16, 60),
    "paper": _Fit(find_preset("paper"), 0.02, 9.0, 1750),
    "denoise": _Fit(DENOISE, 0.005, 0.25, 70, filters=5.0),
    "dejpeg": _Fit(DEJPEG, 0.005, 0.25, 70, filters=6.0),
    "inpaint": _Fit(INPAINT, 0.005, 0.7, 400, filters=15.0),
    "upscale": _Fit(UPSCALE, 0.005, 0.8, 700, filters=25.0),
}
_ATTACKS = {"fgsm": 0.3, "pgd": 2.5, "mifgsm": 1.0, "l2pgd": 4.0, "deepfool": 4.0, "saltpepper": 15.0, "ddn": 6.0}
_ATTACKS |= {"cw": 44.0, "gaussianblur": 1.0}
_CLASSIFY, _DETECT, _ANSWERS = 0.1, 1.2, 0.6
_READ = 1.0, 25.0
"""Of a map: for itself, and for each megapixel."""


def work_of(kind: str, options: Mapping[str, Any], height: int, width: int) -> float:
    """Seconds that a job of this kind takes on one core of the machine on which these figures were measured."""
    if kind == "classify":
        return _CLASSIFY
    if kind == "detect":
        return _DETECT
    if kind == "attack":
        return _ATTACKS[options["attack"]]
    if kind == "extract-text":
        return _READ[0] + _READ[1] * height * width / 1e6
    if kind != "protect":
        return _FITS[kind].seconds(height, width, options)
    fit = _FITS[options["preset"]]
    if options["answer"] == "restored":
        return fit.seconds(height, width, options) + 2 * _CLASSIFY
    if options["quick"]:
        return _ANSWERS
    stop = options["stop"] or (None if options["preset"] == "paper" else "fixed:30")
    return fit.seconds(*SEEN, {"stop": stop}) + _ANSWERS


class Estimates:
    """Learns from the jobs that ended how fast this machine is, for each kind and over all."""

    def __init__(self) -> None:
        self._factors: dict[str, float] = {}
        self._work, self._seconds = 1.0, 1.0  # of all kinds; as much as one second is taken for granted

    def seconds(self, kind: str, options: Mapping[str, Any], height: int, width: int) -> float:
        """What a job is likely to run for, once it has begun."""
        factor = self._factors.get(_sort(kind, options), self._seconds / self._work)
        return factor * work_of(kind, options, height, width)

    def learn(self, kind: str, options: Mapping[str, Any], work: float, seconds: float) -> None:
        """That a job of so much work ran for so long. A short one tells more of what surrounds it than of the work."""
        if work < TELLING:
            return
        sort, factor = _sort(kind, options), seconds / work
        self._factors[sort] = (1 - NEWEST) * self._factors.get(sort, factor) + NEWEST * factor
        self._work, self._seconds = self._work + work, self._seconds + seconds


def is_telling(answer: Mapping[str, Any]) -> bool:
    """Whether a job that is done did the work of its kind: neither less than that, nor as much as its budget."""
    reason = answer.get("stop_reason") or ""
    did_its_work = answer.get("iterations_run") != 0 or answer.get("fits") == 0
    return did_its_work and not reason.startswith(("time budget", "nothing"))


def _sort(kind: str, options: Mapping[str, Any]) -> str:
    """Jobs that take alike."""
    return f"{kind} {options.get('attack') or options.get('preset') or ''}".strip()
