"""Arguments of the right type, or one clear error before anything is done."""

import operator
from numbers import Real
from typing import Any

from deep_protection.errors import OptionError


def whole(value: Any, name: str, least: int = 1) -> int:
    """``value`` as an int, NumPy's integers too; no floats, texts or bools. Raises :class:`OptionError`."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise OptionError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if number < least:
        raise OptionError(f"{name} must be at least {least}, got {number}")
    return number


def real(value: Any, name: str) -> float:
    """``value`` as a float, NumPy's numbers too; no texts or bools. Raises :class:`OptionError`.

    Whoever asks checks its size; NaN is within no bounds.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise OptionError(f"{name} must be a number, got {value!r}")
    return float(value)
