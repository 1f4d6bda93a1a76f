"""Fits whose progress is told: several jobs of one kind at once, each with its own rule, budget and cancellation."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from deep_protection import classifiers
from deep_protection.fitting import Progress
from deep_protection.images import ImageRecord
from deep_protection.restoration import FitOptions, Observation, Preset, Purified, purify_each
from deep_protection.restoration.tiles import cut_tiles
from deep_protection.service.workers.observed_rule import ObservedRule, Tell, Throttle, json_safe
from deep_protection.service.workers.worker_context import JobInput, WorkerContext, png, preview, to_thumbnail
from deep_protection.stopping import StopRule, Trajectory

REPORTS_A_SECOND = 10
WHOLE = 1000
"""Steps of what is told by fraction."""


class ProgressReporter:
    """One job's fits as they go on: what is reported of them, and what its answer tells of them."""

    def __init__(
        self,
        context: WorkerContext,
        job: JobInput,
        preset: Preset,
        image: ImageRecord,
        *,
        classified: bool = True,
        views: bool = False,
        factor: int = 1,
        frames: bool = False,
        is_by_fraction: bool = False,
    ) -> None:
        self._fraction = 0.0 if is_by_fraction else None
        self._has_all_tiles = not isinstance(image, Observation) or image.wanted is None
        # As the fit cuts it: what is bounded is the side of what is drawn, ``factor`` times that of the image.
        self._tiles = cut_tiles(*_side(image), preset.tile // factor, preset.overlap // factor)
        self._size, self._fits = _side(image), preset.fits
        tiles = len(self._tiles)
        self.job, self.parts, self.whole = job, tiles * preset.fits, tiles == 1
        self._every = preset.recipe.checkpoint_every
        self.course: list[dict[str, Any]] = []
        """Of the first fit of an image that was fitted whole."""
        self._answers: list[Tensor] = []
        self._frames: list[Image.Image] | None = [] if frames and tiles == 1 else None
        self._context, self._classified = context, classified and self.whole
        self._views = views
        self._pace, self._pace_between = Throttle(REPORTS_A_SECOND), Throttle(REPORTS_A_SECOND)
        self._asked: tuple[Tensor, Tensor] | None = None
        self._part = 0
        self._saying = threading.Lock()  # checkpoints come from the fit's thread, what lies between from another
        self._furthest = 0

    def ask(self, pixels: Tensor) -> Tensor:
        """``1×3×H×W`` to logits, remembered so that the same image is not classified twice."""
        if self._asked is not None and self._asked[0].data_ptr() == pixels.data_ptr():
            return self._asked[1]
        logits = self._context.logits(pixels[0], views=self._views)[None]
        self._asked = (pixels, logits)  # holding the image keeps its address from being used again
        return logits

    def begin(self, image: Tensor) -> None:
        """Note what there is before the first iteration: a ``3×H×W`` image."""
        if self._classified:
            self._note(0, None, image)

    def tell(self, part: int) -> Tell:
        def told(trajectory: Trajectory, limit: int, image: Tensor) -> None:
            self._part = part
            point = trajectory[-1]
            known = self._note(point.iteration, float(point.psnr), image, is_first=part == 0)
            if self._pace.allows():
                is_shown = self.job.is_watched() and (self.whole or self._has_all_tiles)
                shown = preview(image) if is_shown else None
                self._say({**self._place(point.iteration, limit), **known, "preview": shown, "box": self._box(part)})

        return told

    def _note(self, iteration: int, psnr: float | None, image: Tensor, *, is_first: bool = True) -> dict[str, Any]:
        """What is known of a moment, and for the first fit of a whole image in the course, too."""
        known: dict[str, Any] = {"psnr": json_safe(psnr), "label": None, "probability": None}
        if self._classified and (is_first or self.job.is_watched()):
            answer = self.ask(image[None])[0]
            top = self._context.top(answer)
            known |= {"label": top[0]["label"], "probability": top[0]["probability"], "top": top}
            if is_first:
                self._answers.append(answer)
        if is_first and self.whole:
            self.course.append({"iteration": iteration, **known})
            if self._frames is not None:
                self._frames.append(to_thumbnail(image))
        return known

    def followed(self, classes: Sequence[int]) -> list[str]:
        """Put the probabilities of a few classes to every point of the course, and give their labels."""
        if not self._answers:
            return []
        every = self._context.model.probabilities(torch.stack(self._answers))
        for point, row in zip(self.course, every, strict=True):
            point["followed"] = [json_safe(row[index].item()) for index in classes]
        return [self._context.model.label(index) for index in classes]

    def frames(self) -> dict[str, bytes]:
        """The images of the course, one beside the other, where they were asked for."""
        if not self._frames:
            return {}
        width, height = self._frames[0].size
        strip = Image.new("RGB", (width * len(self._frames), height))
        for number, frame in enumerate(self._frames):
            strip.paste(frame, (number * width, 0))
        return {"frames": png(strip)}

    def report(self, progress: Progress) -> None:
        """Between checkpoints: only how far it is."""
        if self._fraction is not None:
            self._fraction = progress.fraction
        elif not progress.iteration % self._every:
            return
        if self._pace_between.allows():
            self._say(self._place(progress.iteration, progress.max_iterations))

    def _say(self, progress: dict[str, Any]) -> None:
        """Tell it, unless something further was told while it was made: nobody's progress goes back."""
        with self._saying:
            if progress["iteration"] >= self._furthest:
                self._furthest = progress["iteration"]
                self.job.tell(progress)

    def _place(self, iteration: int, limit: int) -> dict[str, Any]:
        if self._fraction is not None:  # filters have their turn among the fits
            return {"iteration": round(WHOLE * self._fraction), "limit": WHOLE, "phase": "fitting"}
        return {"iteration": self._part * limit + iteration, "limit": self.parts * limit, "phase": "fitting"}

    def _box(self, part: int) -> list[float] | None:
        """Where in the image the tile of a fit lies: left, top, right and bottom as shares of its sides."""
        if self.whole or not self._has_all_tiles:
            return None
        tile, (height, width) = self._tiles[min(part // self._fits, len(self._tiles) - 1)], self._size
        edges = (tile.left / width, tile.top / height, tile.right / width, tile.bottom / height)
        return [round(edge, 5) for edge in edges]

    def answering(self) -> None:
        """Tell that the fits are done and the classifier is asked."""
        self.job.tell({"iteration": self._furthest, "limit": max(self._furthest, 1), "phase": "answering"})


def _side(image: ImageRecord) -> tuple[int, int]:
    height, width = image.pixels.shape[-2:]
    return height, width


def budget_of(seconds: float) -> Callable[[], str | None]:
    """Asked from now on: None, and the reason to stop once so many seconds have passed."""
    end = time.monotonic() + seconds
    return lambda: f"time budget of {seconds:.0f} s spent" if time.monotonic() > end else None


def fit_jobs(
    context: WorkerContext,
    reporters: Sequence[ProgressReporter],
    images: Sequence[ImageRecord],
    preset: Preset,
    rule_of: Callable[[int], StopRule],
    seed: int,
) -> list[Purified]:
    """Restore the images of jobs, which all have one size. A cancelled one ends early and is given all the same."""
    spent = budget_of(context.budget)

    def ended(index: int) -> str | None:
        return "cancelled" if reporters[index].job.is_cancelled() else spent()

    def report(progress: Progress) -> None:
        if len(reporters) == 1:  # of several, nobody can say whose progress it is
            reporters[0].report(progress)

    return list(
        purify_each(
            images,
            len(images),
            preset,
            ObservedRule(rule_of, lambda index, part: reporters[index].tell(part), ended),
            FitOptions(
                seed=seed,
                device=context.device,
                seconds=context.budget,
                workers=1,
                progress=report,
                is_cancelled=lambda: all(each.job.is_cancelled() for each in reporters),
            ),
        )
    )


def fitted(result: Purified) -> dict[str, Any]:
    """What an answer tells of the fits of an image."""
    return {
        "iterations_run": result.iterations_run,
        "iteration_chosen": result.iteration_chosen,
        "stop_reason": result.stop_reason,
        "psnr": json_safe(float(result.psnr_input)),
        "seconds": round(result.seconds, 3),
    }


def mean_answer(context: WorkerContext, result: Purified, restored: Tensor, *, views: bool) -> Tensor:
    """Logits for a restored image; of several fits of a whole image, the mean of their answers."""
    if result.tiles > 1 or result.fits == 1:
        return context.logits(restored, views=views)
    each = [context.logits(trajectory.restored, views=views) for trajectory in result.trajectories]
    return classifiers.mean_answer(context.model, torch.stack(each), dim=0, least=1e-12)
