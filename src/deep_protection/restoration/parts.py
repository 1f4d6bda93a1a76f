"""One image that is being restored: the work it takes, part by part, and what is put together of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from deep_protection.errors import OptionError
from deep_protection.fitting import FitTask, effective_precision
from deep_protection.generators import find_generator
from deep_protection.images import ImageRecord
from deep_protection.restoration.observation import Observation, factor_of, operator_of, psnr_to_observed
from deep_protection.restoration.options import FitOptions
from deep_protection.restoration.planning import planned_fits
from deep_protection.restoration.presets import Preset
from deep_protection.restoration.result import Purified
from deep_protection.restoration.tiles import Tile, TileBlender, cut_tiles
from deep_protection.seeds import image_seed
from deep_protection.stopping import StopRule, Trajectory

Shift = tuple[int, int]
"""Rows and columns that an image is moved by."""
FILTERS_TIME = 0.1
"""Part of an image's time that its filters take, where there are fits beside them."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A filter's turn (``fit`` is None) or a fit, of one tile."""

    tile: Tile
    weight: float
    """Of what it makes, in the result."""
    time: float
    """Of the image's, as a share."""
    fit: int | None = None
    shift: Shift = (0, 0)


class PendingImage:
    """An image, cut into tiles, of which each is drawn as often as there is time for, and filtered."""

    def __init__(
        self,
        image: ImageRecord,
        preset: Preset,
        rule: StopRule,
        index: int,
        options: FitOptions,
        device: torch.device,
        images_total: int,
    ) -> None:
        self.image, self.preset, self._fit_device = image, preset, device
        self._rule, self._index = rule, index
        height, width = image.pixels.shape[-2:]
        factor = factor_of(image)  # what is bounded is the size of what is drawn
        self.tiles = cut_tiles(height, width, preset.tile // factor, preset.overlap // factor)
        seconds = None if options.seconds is None else options.seconds / images_total
        self._reason = ""
        self.fits = self._planned(seconds, options.workers)
        self._parts = list(self._cut())
        self._done = 0
        self.trajectories: list[Trajectory] = []
        self._filtered = 0.0
        self._blender: TileBlender | None = None
        if len(self._parts) != 1 or len(self.tiles) > 1:
            self._blender = TileBlender(factor * height, factor * width, preset.overlap, self._device)
            for tile in self.tiles:
                if isinstance(image, Observation) and not image.is_wanted(tile):
                    self._blender.add(tile, tile.of(image.pixels))

    def _planned(self, seconds: float | None, workers: int | None) -> int:
        """How many fits there are of each tile."""
        image, preset = self.image, self.preset
        if not isinstance(image, Observation) or image.estimate is None:
            if preset.fits < 1:
                raise OptionError("fits must be at least 1: nothing but fits draws this image")
            return preset.fits
        factor = factor_of(image)
        drawn = [tile for tile in self.tiles if image.is_wanted(tile) and image.can_be_fitted(tile)]
        megapixels = factor**2 * sum((tile.bottom - tile.top) * (tile.right - tile.left) for tile in drawn) / 1e6
        fits = planned_fits(preset, self._rule, megapixels, device=self._fit_device, seconds=seconds, workers=workers)
        if fits == 0:
            self._reason = "filters alone"
            if preset.fits and not preset.megapixels:
                self._reason += ", to which the prior adds next to nothing"
            elif preset.fits and drawn:
                enough = "there is time for" if seconds is not None else "is done in a minute; ask for fits or seconds"
                self._reason += f": {megapixels:.2g} megapixels are more to draw than {enough}"
        return fits

    def _cut(self) -> Iterator[_Part]:
        image = self.image
        if not isinstance(image, Observation) or image.estimate is None:
            for tile in self.tiles:
                yield from self._drawn(tile, 1.0, 1 / len(self.tiles))  # each as much as the others
            return
        wanted = [tile for tile in self.tiles if image.is_wanted(tile)]
        for tile in wanted:
            time = 1 / len(wanted)
            if not self.fits or not image.can_be_fitted(tile):
                yield _Part(tile, 1.0, time)
                continue
            yield _Part(tile, 1 - image.share, FILTERS_TIME * time)
            yield from self._drawn(tile, image.share / self.fits, (1 - FILTERS_TIME) * time)

    def _drawn(self, tile: Tile, weight: float, time: float) -> Iterator[_Part]:
        for number in range(self.fits):
            # Odd steps, so that no two fits halve the image at the same places; of a tiny one no farther than it goes.
            shift = (3 * number % 8, 5 * number % 8) if self.preset.is_shifted else (0, 0)
            shift = (min(shift[0], tile.bottom - tile.top - 1), min(shift[1], tile.right - tile.left - 1))
            yield _Part(tile, weight, time / self.fits, number, shift)

    @property
    def is_done(self) -> bool:
        return self._done == len(self._parts)

    @property
    def _device(self) -> torch.device:
        """The image's own: what was restored elsewhere comes back to it."""
        return self.image.pixels.device

    def tasks(self, run_seed: int, *, keep_outputs: bool) -> Iterator[FitTask]:
        """All that is to be done, in the order in which :meth:`add` is to be told."""
        shown = self.image.target
        for part in self._parts:
            target, operator = part.tile.of(shown), operator_of(self.image, part.tile)
            yield FitTask(
                target=_moved(target, part.shift),
                recipe=self.preset.recipe,
                rule=self._rule.for_image(self._index),
                seed=image_seed(run_seed, target, part.fit or 0),
                device=self._fit_device,
                keep_outputs=keep_outputs,
                operator=operator,
                make=self._filter_of(part.tile) if part.fit is None else None,
                share=part.time,
            )

    def _filter_of(self, tile: Tile) -> Callable[[], Tensor]:
        assert isinstance(self.image, Observation) and self.image.estimate is not None  # noqa: S101, PT018
        return partial(self.image.estimate, tile)

    def add(self, trajectory: Trajectory) -> None:
        """What came of the next part."""
        part = self._parts[self._done]
        self._done += 1
        rows, columns = part.shift
        if rows or columns:
            trajectory.outputs = {at: drawn[:, rows:, columns:] for at, drawn in trajectory.outputs.items()}
            trajectory.target = trajectory.target[:, rows:, columns:]
        if self._blender is not None:
            made = trajectory.restored.to(self._device)
            self._blender.add(part.tile.enlarged(factor_of(self.image)), made, part.weight)
        else:
            self._only = trajectory.restored
        if part.fit is None:
            self._filtered += trajectory[-1].seconds
            return
        if len(self.tiles) > 1:
            trajectory.outputs = {}  # the blender has it; hundreds of tiles are not kept twice
        self.trajectories.append(trajectory)

    def result(self, stop_rule: str, seed: int) -> Purified:
        """The image put together, once all parts are there."""
        recipe = self.preset.recipe
        whole = self._only.to(self._device) if self._blender is None else self._blender.finish()
        longest = max(self.trajectories, key=lambda trajectory: trajectory.iteration_chosen, default=None)
        return Purified(
            image=self.image.to_original(whole),
            preset=self.preset.name,
            generator=find_generator(recipe.generator).name,
            fits=self.fits,
            seed=seed,
            stop_rule=stop_rule,
            stop_reason=self._reason if longest is None else longest.reason,
            iteration_chosen=0 if longest is None else longest.iteration_chosen,
            iterations_run=max((trajectory.iterations_run for trajectory in self.trajectories), default=0),
            seconds=self._filtered + sum(trajectory[-1].seconds for trajectory in self.trajectories),
            psnr_input=psnr_to_observed(whole, self.image),
            rollbacks=sum(trajectory.rollbacks for trajectory in self.trajectories),
            device=str(self._fit_device),
            precision=effective_precision(recipe.precision, self._fit_device),
            trajectories=tuple(self.trajectories),
            tiles=len(self.tiles),
            notes=self.image.notes,
        )


def _moved(target: Tensor, shift: Shift) -> Tensor:
    """``3×H×W`` moved down and to the right, mirrored where it came from."""
    rows, columns = shift
    return F.pad(target[None], (columns, 0, rows, 0), mode="reflect")[0] if rows or columns else target
