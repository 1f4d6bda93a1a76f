"""Clarifai's models through its REST interface, version 2: https://docs.clarifai.com.

``POST {base}/v2/users/{user}/apps/{app}/models/{model}/outputs`` with an image in base64; concepts with a value each
come back. The service's own codes (https://docs.clarifai.com/resources/api-overview/status-codes) say what is wrong
more exactly than HTTP's do. Written from its documentation: it could not be reached from where this was developed.
"""

import os
import re
from typing import Any

from pydantic import ValidationError

from deep_protection.classifiers.remote.errors import Fault, Kind, by_status
from deep_protection.classifiers.remote.service import IMAGE, Body, Reading, Service, faults_of, short
from deep_protection.errors import ClassifierError

BASE_URL = "https://api.clarifai.com"
BASE_VARIABLE = "CLARIFAI_API_BASE"
"""Environment variable with another base URL, as Clarifai's own clients read it."""
KEY_VARIABLE = "CLARIFAI_PAT"
"""Environment variable with the personal access token."""

SUCCESS = 10000
KINDS: dict[int, Kind] = {
    10030: Kind.RETRYABLE,  # try again
    11000: Kind.QUOTA,  # account issues
    11001: Kind.KEY,
    11002: Kind.KEY,
    11003: Kind.QUOTA,  # hourly limit
    11004: Kind.QUOTA,  # monthly limit
    11005: Kind.RETRYABLE,  # throttled
    11006: Kind.QUOTA,  # limits exceeded
    11007: Kind.KEY,  # insufficient scopes
    11008: Kind.KEY,
    11009: Kind.KEY,
    11101: Kind.MODEL,  # the path is bad
    11200: Kind.KEY,
    21200: Kind.MODEL,
    21201: Kind.MODEL,  # no permission for it
    21351: Kind.RETRYABLE,  # deploying
    21352: Kind.RETRYABLE,  # queued for deployment
    40030: Kind.RETRYABLE,  # queue full
    40031: Kind.RETRYABLE,  # server unavailable
    40032: Kind.RETRYABLE,  # timeout
}


class Clarifai(Service):
    """A model of Clarifai's."""

    def fault(self, status: int, document: Any, said: str) -> Fault | None:
        """By the code of the request or, if that went well, of the image; by HTTP's where there is none."""
        outputs = document.get("outputs") if isinstance(document, dict) else None
        first = outputs[0] if isinstance(outputs, list) and outputs else None
        # "Mixed" and "failure" of a request say no more than that its image failed, which has a code of its own.
        for part in (first, document) if _status(document).get("code") in (10010, 10020) else (document, first):
            told = _status(part)
            if (code := told.get("code")) not in (None, SUCCESS):
                words = ": ".join(str(told[each]) for each in ("description", "details") if told.get(each))
                otherwise = by_status(status, "")
                kind = KINDS.get(code) if isinstance(code, int) else None
                kind = kind or (Kind.REFUSED if otherwise is None else otherwise.kind)
                return Fault(kind, short(f"HTTP {status}, code {code}, {words}"))
        return by_status(status, said)


def _status(part: Any) -> dict[str, Any]:
    told = part.get("status") if isinstance(part, dict) else None
    return told if isinstance(told, dict) else {}


def clarifai(model: str) -> Clarifai:
    """The service for ``MODEL``, one of Clarifai's own, or ``USER/APP/MODEL``."""
    parts = model.split("/")
    if len(parts) not in (1, 3) or not all(re.fullmatch(r"[\w.-]*\w[\w.-]*", part, re.ASCII) for part in parts):
        raise ClassifierError(
            f"clarifai:{model} names no model; write clarifai:MODEL, as in clarifai:general-image-recognition, or "
            "clarifai:USER/APP/MODEL"
        )
    user, app, name = parts if len(parts) == 3 else ("clarifai", "main", model)
    base = os.environ.get(BASE_VARIABLE, "").strip().rstrip("/") or BASE_URL
    try:
        return Clarifai(
            url=f"{base}/v2/users/{user}/apps/{app}/models/{name}/outputs",
            name=f"clarifai:{model}",
            headers={"Authorization": f"Key ${{{KEY_VARIABLE}}}"},
            body=Body(template={"inputs": [{"data": {"image": {"base64": IMAGE}}}]}),
            answer=Reading(labels="outputs[0].data.concepts[].name", probabilities="outputs[0].data.concepts[].value"),
        )
    except ValidationError as error:
        raise ClassifierError(f"{BASE_VARIABLE} cannot be used: {faults_of(error)}") from None
