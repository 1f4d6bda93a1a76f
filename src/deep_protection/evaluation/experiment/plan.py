"""Which attacks and defences of an experiment are still wanting."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deep_protection.evaluation.experiment.images import Labelled
from deep_protection.evaluation.experiment.settings import Settings
from deep_protection.evaluation.experiment.units import Row

CLEAN = "none"
"""The "attack" that leaves an image alone."""


@dataclass(frozen=True, slots=True)
class Job:
    """An image under an attack, and what is to be done about it."""

    image: Labelled
    attack: str
    against: str | None
    defences: tuple[tuple[str, int], ...]
    """Name and seed."""

    @property
    def units(self) -> int:
        """Loading and attacking count as one each."""
        return 2 + len(self.defences)


def jobs(settings: Settings, images: list[Labelled], rows: Iterable[Row]) -> list[Job]:
    """Whatever has no rows yet, attack by attack."""
    done: dict[tuple[str, str, str, int], set[str]] = {}
    for row in rows:
        if row["views"] == settings.views:
            key = (row["image"], row["attack"], row["defence"], row["seed"])
            done.setdefault(key, set()).add(row["stop"])
    found = []
    for attack, against, defences in _attacks(settings):
        for image in images:
            wanting = tuple(
                (defence, seed)
                for defence, seed in defences
                if not set(settings.stops_of(defence)) <= done.get((image.name, attack, defence, seed), set())
            )
            if wanting:
                found.append(Job(image, attack, against, wanting))
    return found


def _attacks(settings: Settings) -> Iterator[tuple[str, str | None, list[tuple[str, int]]]]:
    """Every attack, what it goes through, and what it is defended by."""
    for attack in (CLEAN, *settings.attacks):
        yield attack, None, [(defence, settings.seed) for defence in settings.defences]
    for attack in (*settings.black_box, *settings.adaptive):
        for defence in settings.defences:
            yield attack, defence, [(defence, seed) for seed in settings.fresh_seeds(defence)]
