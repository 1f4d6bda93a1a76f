"""What goes wrong, as a client may read it: a status, a code for programs, a sentence for people. No trace, no path."""

import re

from deep_protection.errors import (
    DeepProtectionError,
    ImageError,
    ImageTooLargeError,
    MissingExtraError,
    OptionError,
)

CODES = {
    400: "bad_request",
    401: "no_token",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "not_ready",
    410: "gone",
    413: "too_large",
    415: "unsupported",
    422: "bad_option",
    429: "busy",
    500: "internal",
    503: "unavailable",
}


class Problem(Exception):  # noqa: N818  (as HTTPException)
    """Raised anywhere in a request; becomes a problem document."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code or CODES.get(status, "error")
        self.headers = {**(headers or {}), **({} if retry_after is None else {"Retry-After": str(retry_after)})}


class TimeUpError(DeepProtectionError):
    """A job's time budget is spent, and there is nothing to show for it."""


_KINDS: tuple[tuple[type[DeepProtectionError], str], ...] = (
    (ImageTooLargeError, "too_large"),
    (ImageError, "bad_image"),
    (OptionError, "bad_option"),
    (MissingExtraError, "not_installed"),
    (TimeUpError, "timeout"),
)
_PATH = re.compile(r"(?<![\w.<])/(?:[\w.\-]+/)+[\w.\-]*")


def to_problem(error: DeepProtectionError) -> tuple[str, str]:
    """A code for programs and a sentence for people, without paths."""
    code = next((code for kind, code in _KINDS if isinstance(error, kind)), "failed")
    return code, _PATH.sub("a file", str(error))
