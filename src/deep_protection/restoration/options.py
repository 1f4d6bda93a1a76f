"""How a fit is run: everything that is asked of a call apart from what is fitted and when it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import torch

from deep_protection.arguments import real, whole
from deep_protection.errors import OptionError
from deep_protection.fitting import ProgressCallback, find_device
from deep_protection.seeds import checked_seed


def never() -> bool:
    """Nobody cancels."""
    return False


class FitKeywords(TypedDict, total=False):
    """The fields of :class:`FitOptions`, as keyword arguments of every function that fits."""

    seed: int | None
    device: str | torch.device
    seconds: float | None
    workers: int | None
    progress: ProgressCallback | None
    is_cancelled: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """Checked when they are made.

    Raises:
        OptionError: one of them cannot be used.
    """

    seed: int | None = 0
    """With the image's content it decides all that is drawn at random: same image, same seed, same result. None draws
    a fresh one."""
    device: str | torch.device = "auto"
    """``"auto"``, ``"cpu"``, ``"cuda"`` or any device of PyTorch's."""
    seconds: float | None = None
    """Wall time for the whole call; each image gets a fair part and ends there with what it has."""
    workers: int | None = None
    """Images fitted at once on the CPU; None is one a core."""
    progress: ProgressCallback | None = None
    """Called in the caller's thread with a :class:`deep_protection.Progress`."""
    is_cancelled: Callable[[], bool] = never
    """Asked at every iteration; when true, :class:`deep_protection.CancelledError` is raised."""

    def __post_init__(self) -> None:
        checked_seed(self.seed)
        find_device(self.device)
        if self.seconds is not None and not real(self.seconds, "seconds") > 0:
            raise OptionError(f"seconds must be positive, got {self.seconds}")
        if self.workers is not None:
            whole(self.workers, "workers")
