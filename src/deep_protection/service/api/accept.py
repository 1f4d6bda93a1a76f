"""What a client wants to be answered with, by the rules of the header ``Accept`` (RFC 9110, 12.5.1)."""

from urllib.request import parse_http_list

from python_multipart.multipart import parse_options_header

PICTURE = ("image", "png")
DOCUMENT = ("application", "json")


def wants_picture(accept: str) -> bool:
    """Whether a picture is wanted rather than the document, which is what everything else gets.

    >>> [wants_picture(each) for each in ("image/png", "IMAGE/*", "*/*", "application/json, image/png;q=0")]
    [True, True, False, False]
    """
    picture, document = _wish(accept, PICTURE), _wish(accept, DOCUMENT)
    weight, closeness = picture
    # Of two that are wanted alike, the picture: who would be content with anything does not name it.
    return weight > 0 and (picture > document or (picture == document and closeness > 0))


def _wish(accept: str, kind: tuple[str, str]) -> tuple[float, int]:
    """How much a kind is wanted, and how closely it is named: 2, as one of a group 1, as any 0, not at all -1."""
    weight, closest = 0.0, -1
    for each in parse_http_list(accept):
        name, parameters = parse_options_header(each)
        group, _, one = name.decode("latin-1").strip().lower().partition("/")
        closeness = {kind: 2, (kind[0], "*"): 1, ("*", "*"): 0}.get((group, one), -1)
        if closeness > closest:
            weight, closest = _weight(parameters.get(b"q", b"1")), closeness
    return weight, closest


def _weight(given: bytes) -> float:
    """What is no weight is as if it were not there."""
    try:
        weight = float(given)
    except ValueError:
        return 1.0
    return weight if 0 <= weight <= 1 else 1.0
