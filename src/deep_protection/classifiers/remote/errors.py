"""What can be wrong with an answer, one kind for each remedy."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What is wrong, and what the user is told to do."""

    KEY = "the key in {variables} is not accepted; check it, and what it may do"
    QUOTA = "the account may ask no more for now; see its plan and its limits, or wait until they are renewed"
    MODEL = "there is no such model or address; check its name, and whether this key may use it"
    RETRYABLE = "it cannot answer now; try again later"
    REFUSED = "the request was refused"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an answer is none."""

    kind: Kind
    said: str
    """The service's own words, short."""


def by_status(status: int, said: str) -> Fault | None:
    """What HTTP's own status code means; None for success."""
    if 200 <= status < 300:
        return None
    kinds = {401: Kind.KEY, 403: Kind.KEY, 402: Kind.QUOTA, 404: Kind.MODEL, 408: Kind.RETRYABLE, 429: Kind.RETRYABLE}
    kind = Kind.RETRYABLE if status >= 500 else kinds.get(status, Kind.REFUSED)
    return Fault(kind, f"HTTP {status}{f', {said}' if said else ''}")
