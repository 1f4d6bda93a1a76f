"""From counts of answers to a radius, and when enough was counted to say that a radius holds."""

from bisect import bisect_left
from dataclasses import dataclass
from functools import cache, partial
from statistics import NormalDist

from deep_protection.errors import OptionError
from deep_protection.optional import import_optional

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Look:
    """A number of draws after which it is asked whether the radius holds."""

    draws: int
    needed: int
    """Answers among them that have to be the class, so that it does."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When a count of draws is looked at, fixed before the first of them."""

    looks: tuple[Look, ...]
    share: float
    """How often a look may be wrong: an equal part of what all may be together (union bound)."""

    @property
    def misses(self) -> int:
        """Other answers after which no later look can find that the radius holds."""
        last = self.looks[-1]  # which lets the most pass: the bound comes nearer to the share with every draw
        return last.draws - last.needed


@cache
def lower_bound(count: int, draws: int, alpha: float) -> float:
    """Below which the probability of what came ``count`` times in ``draws`` is only with probability ``alpha``.

    One-sided, exact (Clopper and Pearson 1934), from SciPy.
    """
    stats = import_optional("scipy.stats", needed_for="a certificate", extra="certify")
    interval = stats.binomtest(count, draws, alternative="greater").proportion_ci(1 - alpha, method="exact")
    return float(interval.low)


def certified_radius(lower: float, sigma: float) -> float:
    """L2 radius within which a class stays the most probable one, whose probability under noise is at least ``lower``.

    Cohen et al. 2019, theorem 1, with the second class at one minus that; 0 where it may be the less probable.
    """
    return sigma * _NORMAL.inv_cdf(lower) if lower > 1 / 2 else 0.0


def check_reach(samples: int, alpha: float) -> None:
    """Raise :class:`OptionError` where no image could get any radius, were every draw to agree."""
    if not lower_bound(samples, samples, alpha) > 1 / 2:
        least = next(n for n in range(samples, 10_000) if lower_bound(n, n, alpha) > 1 / 2)
        raise OptionError(f"{samples} samples certify nothing at alpha {alpha:g}; take at least {least}")


@cache
def plan_looks(sigma: float, radius: float, samples: int, alpha: float) -> Plan:
    """Looks at ``samples`` draws and at a half, a quarter … of them, as long as the first could find that it holds.

    Raises:
        OptionError: no number of agreeing answers among ``samples`` certifies ``radius``.
    """

    def found_at(count: int, draws: int, share: float) -> float:
        return certified_radius(lower_bound(count, draws, share), sigma)

    most = found_at(samples, samples, alpha)
    if most < radius:
        raise OptionError(
            f"{samples} samples at sigma {sigma:g} and alpha {alpha:g} certify {most:.3g} at most, where all agree, "
            f"and {radius:g} was asked for; take more samples or a larger sigma"
        )
    halved = [samples]
    while halved[0] > 1:
        share, first = alpha / (len(halved) + 1), -(-halved[0] // 2)
        if found_at(first, first, share) < radius:
            break
        halved.insert(0, first)
    share = alpha / len(halved)
    needed = (
        bisect_left(range(draws + 1), radius, key=partial(found_at, draws=draws, share=share)) for draws in halved
    )
    return Plan(tuple(map(Look, halved, needed)), share)
