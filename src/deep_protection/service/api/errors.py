"""Answers that are errors: a status, a code for programs, a sentence for people. Never a trace, never a path."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from deep_protection.errors import DeepProtectionError
from deep_protection.service.errors import told

log = logging.getLogger("deep_protection.service")

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
    """Raised anywhere in a request; becomes ``{"error": {"code", "message"}}``."""

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

    def response(self) -> JSONResponse:
        return problem_response(self.status, self.code, self.message, self.headers)


def problem_response(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


def explained(errors: Any) -> str:
    """What pydantic found, in one line."""
    parts = []
    for error in errors:
        where = ".".join(str(part) for part in error["loc"] if part not in ("query", "body", "path"))
        got = repr(error.get("input"))
        parts.append(f"{where or 'request'}: {error['msg']}, got {got if len(got) <= 60 else got[:57] + '...'}")
    return "; ".join(parts)[:500]


def install(app: FastAPI) -> None:
    """Let every error of ``app`` end as one of these."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)  # noqa: S101  (registered for it)
        return error.response()

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(ValidationError)
    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError | ValidationError)  # noqa: S101
        return problem_response(422, "bad_option", explained(error.errors()))

    @app.exception_handler(DeepProtectionError)
    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, DeepProtectionError)  # noqa: S101
        return problem_response(422, *told(error))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(app, request))
        return problem_response(error.status_code, CODES.get(error.status_code, "error"), str(error.detail), headers)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected %s at %s %s", type(error).__name__, request.method, request.url.path, exc_info=error)
        return problem_response(500, "internal", "something went wrong inside; the service's log says what")


def _allowed(app: FastAPI, request: Request) -> list[str]:
    """The methods of all routes of an address; each of them knows only its own."""
    found: set[str] = set()
    for route in app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or {"GET"}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))
