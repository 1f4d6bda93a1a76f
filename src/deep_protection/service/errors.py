"""The library's errors as a client may read them."""

import re

from deep_protection.errors import (
    DeepProtectionError,
    ImageError,
    ImageTooLargeError,
    MissingExtraError,
    OptionError,
)
from deep_protection.service.workers.worker_context import TimeUpError

_KINDS: tuple[tuple[type[DeepProtectionError], str], ...] = (
    (ImageTooLargeError, "too_large"),
    (ImageError, "bad_image"),
    (OptionError, "bad_option"),
    (MissingExtraError, "not_installed"),
    (TimeUpError, "timeout"),
)
_PATH = re.compile(r"(?<![\w.<])/(?:[\w.\-]+/)+[\w.\-]*")


def told(error: DeepProtectionError) -> tuple[str, str]:
    """A code for programs and a sentence for people, without paths."""
    code = next((code for kind, code in _KINDS if isinstance(error, kind)), "failed")
    return code, _PATH.sub("a file", str(error))
