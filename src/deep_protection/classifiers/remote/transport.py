"""Asking a service: images as 8-bit PNG, several at once, patiently, within limits, and without telling the key."""

import json
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import httpx2
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
)
from torch import Tensor

from deep_protection.classifiers.black_box import BlackBox
from deep_protection.classifiers.preprocessing import ShrinkToFit
from deep_protection.classifiers.remote.errors import Kind
from deep_protection.classifiers.remote.service import Service, short
from deep_protection.classifiers.responses import Answer
from deep_protection.classifiers.retry_after import retry_after
from deep_protection.errors import ClassifierError
from deep_protection.images import encode, to_pillow

LARGEST_ANSWER = 4_000_000
"""Bytes. An answer with probabilities of a thousand classes has fifty thousand."""
LONGEST_WAIT = 60.0
"""Seconds that a service may ask to wait before it is given up."""


def classifier_of(service: Service) -> BlackBox:
    """The service as a classifier. Nothing is asked yet, but what is missing in the environment is said now."""
    service.check_environment()
    return BlackBox(
        _Asker(service),
        name=service.name,
        labels=service.answer.classes,
        preprocess=ShrinkToFit(service.longest_side),
        is_remote=True,
    )


class _Asker:
    def __init__(self, service: Service) -> None:
        self.service = service

    def __call__(self, pixels: Tensor) -> list[Answer]:
        """Answers to ``N×3×H×W`` pixels in ``[0, 1]``, which are rounded to 8 bits: a file holds no more."""
        ended = threading.Event()
        with (
            httpx2.Client(timeout=self.service.timeout, auth=_Headers(self.service), verify=_certificates()) as client,
            ThreadPoolExecutor(min(self.service.parallel, len(pixels)), "deep-protection-ask") as pool,
        ):
            futures = [pool.submit(self._ask, client, image, ended) for image in pixels]
            try:
                return [future.result() for future in futures]
            finally:
                ended.set()  # where one has failed, the others need not be waited or paid for
                pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, client: httpx2.Client, image: Tensor, ended: threading.Event) -> Answer:
        service = self.service
        content = _content(service, encode(to_pillow(image), "PNG"))
        patiently = Retrying(
            stop=stop_after_attempt(service.attempts) | stop_when_event_set(ended),
            sleep=sleep_using_event(ended),
            retry=retry_if_exception(lambda error: isinstance(error, _BusyError) and error.seconds <= LONGEST_WAIT),
            wait=_wait(service),
            reraise=True,
        )
        try:
            return service.read(patiently(_exchange, service, client, content))
        except (_BusyError, ClassifierError) as error:
            said = str(error)
        # Raised here, so that nothing of the request hangs on the error as its context.
        raise ClassifierError(service.redacted(said))


class _Headers(httpx2.Auth):
    """Puts the headers on at the last moment, so that no other object ever holds a key."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers.update(self._service.headers_now())
        yield request


class _BusyError(Exception):
    """Worth another try, after so many seconds if the service said so."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after

    @property
    def seconds(self) -> float:
        return self.after or 0.0


def _exchange(service: Service, client: httpx2.Client, content: dict[str, Any]) -> Any:
    """One try: the document that was answered."""
    failure = ""
    try:
        status, headers, data = _post(service, client, content)
    except httpx2.TimeoutException:
        failure = f"no answer within {service.timeout:g} s"
    except httpx2.HTTPError as error:
        failure = f"the connection failed ({short(error) or type(error).__name__})"
    if failure:
        raise _BusyError(f"{service.name} at {service.address}: {failure}; {Kind.RETRYABLE.value}")
    text = service.redacted(data.decode("utf-8", "replace"))  # before anything is cut short, the key with it
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if (fault := service.fault(status, document, short(text))) is not None:
        remedy = fault.kind.value.format(variables=" and ".join(service.variables) or "the headers")
        told = f"{service.name} at {service.address}: {remedy} ({fault.said})"
        if fault.kind is Kind.RETRYABLE:
            after = retry_after(headers.get("Retry-After"))
            raise _BusyError(told if after is None else f"{told}; it asks to wait {after:g} s", after)
        raise ClassifierError(told)
    if document is None:
        raise ClassifierError(f"{service.name} at {service.address}: the answer is not JSON: {short(text) or 'empty'}")
    return document


def _post(service: Service, client: httpx2.Client, content: dict[str, Any]) -> tuple[int, httpx2.Headers, bytes]:
    begin, data = time.monotonic(), bytearray()
    with client.stream("POST", service.url, **content) as response:
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > LARGEST_ANSWER:
                raise ClassifierError(
                    f"{service.name} at {service.address}: the answer is larger than {LARGEST_ANSWER / 1e6:g} MB, "
                    "which no classifier's is; check the address"
                )
            if time.monotonic() - begin > service.timeout:  # a byte now and then keeps httpx's own clock from running
                raise httpx2.ReadTimeout("slow")
        return response.status_code, response.headers, bytes(data)


def _content(service: Service, png: bytes) -> dict[str, Any]:
    """The body, as httpx takes it."""
    body = service.body
    if body.kind == "json":
        return {"json": body.document(b64encode(png).decode("ascii"))}
    if body.kind == "raw":
        return {"content": png, "headers": {"Content-Type": "image/png"}}
    return {"files": {body.field: ("image.png", png, "image/png")}, "data": body.fields}


def _wait(service: Service) -> Any:
    own = wait_exponential(multiplier=service.backoff, max=LONGEST_WAIT)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        after = error.after if isinstance(error, _BusyError) else None
        return own(state) if after is None else after

    return wait


@cache
def _certificates() -> ssl.SSLContext:
    """Read once: they take longer than a question to a near service."""
    return httpx2.create_ssl_context()
