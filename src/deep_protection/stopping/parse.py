"""From the name a user types to a stop rule."""

from collections.abc import Callable

from deep_protection.errors import OptionError
from deep_protection.stopping.fixed import Fixed
from deep_protection.stopping.oracle import Oracle
from deep_protection.stopping.rule import StopRule


def _fixed(argument: str) -> StopRule:
    if not argument.isascii() or not argument.isdigit():
        raise OptionError(f"fixed:{argument} is not a number of iterations; write it as in fixed:200")
    return Fixed(int(argument))


def _oracle(_: str) -> StopRule:
    raise OptionError(
        "the oracle needs the true labels and a classifier, which a name cannot carry; pass "
        "stop=deep_protection.Oracle(classifier, labels) in Python. Without labels use fixed:N"
    )


STOP_RULES: dict[str, Callable[[str], StopRule]] = {Fixed.name: _fixed, Oracle.name: _oracle}
"""Name of a rule to the function that builds it from what follows the colon."""


def parse_stop(stop: str | StopRule) -> StopRule:
    """A rule as it is, or the rule that a name such as ``"fixed:200"`` means."""
    if isinstance(stop, StopRule):
        return stop
    name, _, argument = str(stop).partition(":")
    if name not in STOP_RULES:
        raise OptionError(f"unknown stop rule {stop!r}; there are: {', '.join(sorted(STOP_RULES))} (as in fixed:200)")
    return STOP_RULES[name](argument)
