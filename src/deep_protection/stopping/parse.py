"""From the name a user types to a stop rule."""

from collections.abc import Callable

from deep_protection.errors import OptionError
from deep_protection.stopping.agreement import Agreement
from deep_protection.stopping.auto import Auto
from deep_protection.stopping.discrepancy import Discrepancy
from deep_protection.stopping.early_stopping import EarlyStopping
from deep_protection.stopping.fixed import Fixed
from deep_protection.stopping.noise_level import NoiseLevel
from deep_protection.stopping.oracle import Oracle
from deep_protection.stopping.rule import StopRule
from deep_protection.stopping.self_referenced import SelfReferenced
from deep_protection.stopping.stability import Stability
from deep_protection.stopping.sub_images import SubImages
from deep_protection.stopping.variance import MovingVariance, WindowedVariance
from deep_protection.stopping.worst_tile import WorstTile

MAX_ITERATIONS = 3000
"""Iterations after which a rule without a count gives up, where a preset does not say."""

MOST_CONSECUTIVE = 20
"""Of same answers that ``auto`` may be asked to wait for: more is taken for a count of iterations."""

Builder = Callable[[str, int], StopRule]


def _fixed(argument: str, _: int) -> StopRule:
    return Fixed(_whole("fixed", argument, "200"))


def _oracle(_: str, __: int) -> StopRule:
    raise OptionError(
        "the oracle needs the true labels and a classifier, which a name cannot carry; pass "
        "stop=deep_protection.Oracle(classifier, labels) in Python. Without labels use fixed:N"
    )


def _patient(rule: type[EarlyStopping]) -> Builder:
    def build(argument: str, max_iterations: int) -> StopRule:
        return rule(max_iterations=max_iterations, patience=_whole(rule.name, argument, "20") if argument else None)

    return build


def _stable(argument: str, max_iterations: int) -> StopRule:
    return (
        Stability(max_iterations=max_iterations, consecutive=_whole("stable", argument, "3"))
        if argument
        else Stability(max_iterations=max_iterations)
    )


def _discrepancy(argument: str, max_iterations: int) -> StopRule:
    level = _number("discrepancy", argument, "31")
    return (
        Discrepancy(max_iterations=max_iterations)
        if level is None
        else Discrepancy(max_iterations=max_iterations, level=level)
    )


def _noise(argument: str, max_iterations: int) -> StopRule:
    closer = _number("noise", argument, "0.2")
    return (
        NoiseLevel(max_iterations=max_iterations)
        if closer is None
        else NoiseLevel(max_iterations=max_iterations, closer=closer)
    )


def _self(argument: str, max_iterations: int) -> StopRule:
    share = _number("self", argument, "0.03")
    return (
        SelfReferenced(max_iterations=max_iterations)
        if share is None
        else SelfReferenced(max_iterations=max_iterations, share=share)
    )


def _whole(name: str, argument: str, example: str) -> int:
    if not argument.isascii() or not argument.isdigit():
        raise OptionError(f"{name}:{argument} is not a number of iterations; write it as in {name}:{example}")
    return int(argument)


def _number(name: str, argument: str, example: str) -> float | None:
    try:
        return float(argument) if argument else None
    except ValueError:
        raise OptionError(f"{name}:{argument} is not a number; write it as in {name}:{example}") from None


def _auto(argument: str, max_iterations: int) -> StopRule:
    fallback = Fixed(max(1, max_iterations // 2))
    if not argument:
        return Auto(fallback, max_iterations=max_iterations)
    if not (argument.isascii() and argument.isdigit() and 2 <= int(argument) <= MOST_CONSECUTIVE):
        raise OptionError(
            f"auto:N asks for N same answers in a row, 2 to {MOST_CONSECUTIVE}, got auto:{argument}; for a count write "
            f"fixed:{argument}"
        )
    return Auto(fallback, max_iterations=max_iterations, consecutive=int(argument))


STOP_RULES: dict[str, Builder] = {
    Auto.name: _auto,
    Fixed.name: _fixed,
    Oracle.name: _oracle,
    **{rule.name: _patient(rule) for rule in (WindowedVariance, MovingVariance, WorstTile, SubImages, Agreement)},
    Discrepancy.name: _discrepancy,
    NoiseLevel.name: _noise,
    SelfReferenced.name: _self,
    Stability.name: _stable,
}
"""Name of a rule to the function that builds it from what follows the colon and the most iterations that a fit may
take.

``auto`` without a classifier ends half-way to these, which is how presets choose them."""


def parse_stop(stop: str | StopRule, max_iterations: int = MAX_ITERATIONS) -> StopRule:
    """A rule as it is, or the rule that a name such as ``"fixed:200"`` or ``"emv"`` means."""
    if isinstance(stop, StopRule):
        return stop
    name, _, argument = str(stop).partition(":")
    if name not in STOP_RULES:
        raise OptionError(f"unknown stop rule {stop!r}; there are: {', '.join(sorted(STOP_RULES))} (as in fixed:200)")
    return STOP_RULES[name](argument, max_iterations)
