"""Every error as an answer."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from deep_protection.errors import DeepProtectionError
from deep_protection.service.errors import CODES, Problem, to_problem

PROBLEM = "application/problem+json"
log = logging.getLogger("deep_protection.service")


def problem_response(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem document (RFC 9457), in which ``error`` is what clients of earlier versions read."""
    about = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": message}
    error = {"code": code, "message": message}
    return JSONResponse({**about, "code": code, "error": error}, status, headers, media_type=PROBLEM)


def explained(errors: Any) -> str:
    """What pydantic found, in one line."""
    parts = []
    for error in errors:
        where = ".".join(str(part) for part in error["loc"] if part not in ("query", "body", "path"))
        got = repr(error.get("input"))
        parts.append(f"{where or 'request'}: {error['msg']}, got {got if len(got) <= 60 else got[:57] + '...'}")
    return "; ".join(parts)[:500]


def install_error_handlers(app: FastAPI) -> None:
    """Let every error of ``app`` end as one of these."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)  # noqa: S101  (registered for it)
        return problem_response(error.status, error.code, error.message, error.headers)

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(ValidationError)
    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError | ValidationError)  # noqa: S101
        return problem_response(422, "bad_option", explained(error.errors()))

    @app.exception_handler(DeepProtectionError)
    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, DeepProtectionError)  # noqa: S101
        return problem_response(422, *to_problem(error))

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
