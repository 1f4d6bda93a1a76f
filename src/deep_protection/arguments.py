"""Arguments of the right type, or one clear error before anything is done."""

import math
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
    if number is None or number < least:
        raise OptionError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return number


def real(value: Any, name: str) -> float:
    """``value`` as a float, NumPy's numbers too; no texts, bools or NaN. Raises :class:`OptionError`."""
    if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value):
        raise OptionError(f"{name} must be a number, got {value!r}")
    return float(value)
