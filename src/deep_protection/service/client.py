"""Asking a service from Python: jobs are sent, waited for and fetched, across restarts of the service."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx2

from deep_protection.classifiers.retry_after import retry_after
from deep_protection.errors import DeepProtectionError, OptionError

SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class ServiceError(DeepProtectionError, RuntimeError):
    """The service refused, or a job of it failed; ``code`` is the service's own word for why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    """A connection to one service.

    >>> with Client("http://127.0.0.1:8000") as client:       # doctest: +SKIP
    ...     job = client.run("protect", image=open("photo.png", "rb").read(), preset="fast")
    ...     restored = client.file(job)

    Args:
        url: where the service listens.
        token: what it was started with, if it was.
        retry_timeout: seconds to go on trying when the service is busy, or cannot be reached after a job was accepted.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, token: str | None = None, retry_timeout: float = 300.0
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise OptionError(f"{url} is no address of a service; give one as http://127.0.0.1:8000")
        self.retry_timeout = retry_timeout
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=60.0, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def about(self) -> dict[str, Any]:
        """What the service is and can do."""
        found: dict[str, Any] = self._read("/v1/about").json()
        return found

    def submit(self, kind: str, *, image: bytes, mask: bytes | None = None, **options: Any) -> dict[str, Any]:
        """Send an image and give the job. A full queue is waited for."""
        files = {"image": ("image", image)} | ({} if mask is None else {"mask": ("mask", mask)})
        fields = {name: _text(value) for name, value in options.items() if value is not None}
        end = time.monotonic() + self.retry_timeout
        while True:
            try:
                answer = self._http.post(f"/v1/{kind}", files=files, data=fields)
            except httpx2.TransportError as error:
                raise ServiceError(f"the service cannot be reached ({error}); is it running?", "unreachable") from None
            if _is_busy(answer) and time.monotonic() < end:
                _pause(answer, end)
                continue
            job: dict[str, Any] = _checked(answer).json()
            return job

    def job(self, job: str | Mapping[str, Any]) -> dict[str, Any]:
        """A job as it is now."""
        found: dict[str, Any] = self._read(f"/v1/jobs/{_id(job)}").json()
        return found

    def wait(self, job: str | Mapping[str, Any]) -> dict[str, Any]:
        """Wait until a job has ended, and give it. Raises :class:`ServiceError` unless it is done."""
        pause = 0.05
        while True:
            found = self.job(job)
            if found["state"] not in ("queued", "running"):
                break
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, 1.3 * pause)
        if found["state"] != "done":
            error = found["error"] or {"code": found["state"], "message": f"the job was {found['state']}"}
            raise ServiceError(error["message"], error["code"])
        return found

    def run(self, kind: str, *, image: bytes, mask: bytes | None = None, **options: Any) -> dict[str, Any]:
        """Send an image, wait, and give the job that is done."""
        return self.wait(self.submit(kind, image=image, mask=mask, **options))

    def file(self, job: Mapping[str, Any], name: str = "result") -> bytes:
        """An image that was made, PNG."""
        if name not in job["files"]:
            raise ServiceError(f"this job has no file {name}; it has: {', '.join(job['files']) or 'none'}", "not_found")
        return self._read(job["files"][name]).content

    def events(self, job: str | Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Name and JSON text of every event, until the job has ended."""
        with self._http.stream("GET", f"/v1/jobs/{_id(job)}/events") as answer:
            if answer.is_error:
                answer.read()
            _checked(answer)
            for event in httpx2.EventSource(answer):
                yield event.event, event.data

    def remove(self, job: str | Mapping[str, Any]) -> None:
        """Cancel a job that has not ended; delete one that has."""
        _checked(self._http.delete(f"/v1/jobs/{_id(job)}"))

    def _read(self, path: str) -> httpx2.Response:
        """Reading changes nothing, so it is tried again while the service starts anew."""
        end = time.monotonic() + self.retry_timeout
        while True:
            try:
                answer = self._http.get(path)
            except httpx2.TransportError as error:
                if time.monotonic() >= end:
                    raise ServiceError(f"the service cannot be reached ({error})", "unreachable") from None
                time.sleep(0.5)
            else:
                if not _is_busy(answer) or time.monotonic() >= end:
                    return _checked(answer)
                _pause(answer, end)


def _is_busy(answer: httpx2.Response) -> bool:
    """Whether to ask again. One with a job's address tells what became of the job: it was accepted."""
    return answer.status_code in (429, 503) and "location" not in answer.headers


def _pause(answer: httpx2.Response, end: float) -> None:
    """For as long as the service asks, but not beyond ``end``, and never so short that it is pestered."""
    asked = retry_after(answer.headers.get("retry-after"))
    time.sleep(max(SHORTEST_PAUSE, min(1.0 if asked is None else asked, end - time.monotonic())))


def _id(job: str | Mapping[str, Any]) -> str:
    return job if isinstance(job, str) else str(job["id"])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _checked(answer: httpx2.Response) -> httpx2.Response:
    if answer.is_success:
        return answer
    try:
        error = answer.json()["error"]
        message, code = error["message"], error["code"]
    except (ValueError, KeyError, TypeError):
        message, code = f"the service answered {answer.status_code}", "error"
    raise ServiceError(message, code)
