"""Between the net and the routes: who may ask, from where, and what every answer carries."""

import asyncio
import hmac
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deep_protection.service.api.errors import problem_response
from deep_protection.service.metrics import Metrics
from deep_protection.service.settings import Settings

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
DRAIN_SECONDS = 5.0


class SecurityMiddleware:
    """The outermost layer. No answer allows other sites to read it (CORS is off)."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self._token = None if settings.token is None else settings.token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin = time.perf_counter()
        body = _Body(receive, self.settings.max_bytes, expects="expect" in Headers(scope=scope))
        status, is_told = 500, False
        is_head = scope["method"] == "HEAD"
        asked = {**scope, "method": "GET"} if is_head else scope  # what is asked is the same, without the body

        async def answer(message: Message) -> None:
            nonlocal status, is_told
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if _path(scope).startswith("/v1"):
                    headers.setdefault("Cache-Control", "no-store")
                elif _path(scope).startswith("/static"):
                    headers.setdefault("Cache-Control", "no-cache")  # or modules of two versions may meet
                await body.drain()
            elif is_head:
                if is_told:
                    return
                is_told = True  # at the first part: a stream goes on for long, and ends when it hears of this end
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        refusal = self._refusal(scope)
        try:
            await (refusal or self.app)(asked, body.receive, answer)
        finally:
            route = getattr(asked.get("route"), "path", None) or "other"
            self.metrics.asked(scope["method"], route, status, time.perf_counter() - begin)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers, path = Headers(scope=scope), _path(scope)
        host = _host(headers.get("host", ""))
        # A name that an attacker's site made point here (DNS rebinding) would be let in by nothing else.
        if self._token is None and host not in LOCAL_NAMES:
            return problem_response(403, "forbidden", "this service answers to localhost and 127.0.0.1 only")
        origin = headers.get("origin")
        if origin is not None and origin != "null" and urlsplit(origin).netloc != headers.get("host"):
            return problem_response(403, "forbidden", "requests from other sites are refused")
        elsewhere = origin == "null" or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if elsewhere and (scope["method"] not in ("GET", "HEAD") or path.startswith("/v1")):
            return problem_response(403, "forbidden", "requests from other sites are refused")
        if self._token is not None and (path.startswith("/v1") or path == "/metrics"):
            scheme, _, given = headers.get("authorization", "").partition(" ")
            is_same = hmac.compare_digest(given.strip().encode("latin-1"), self._token)
            if not is_same or scheme.lower() != "bearer":
                what = {"WWW-Authenticate": "Bearer"}
                return problem_response(401, "no_token", "send the header Authorization: Bearer TOKEN", what)
        return None


def _path(scope: Scope) -> str:
    """The path that routes know: without what the application is mounted under, or a mount would need no token."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    # Whole segments only, as the router does it: what the two read differently would be let in without a token.
    return path[len(root) :] if path.startswith(root) and path[len(root) :][:1] in ("", "/") else path


def _host(value: str) -> str:
    """Host without port."""
    try:
        return (urlsplit(f"//{value}").hostname or "").lower()
    except ValueError:
        return ""


class _Body:
    """Reads on what a request still sends when it has been refused: a client that is writing reads no answer."""

    def __init__(self, receive: Receive, most: int, *, expects: bool) -> None:
        self._receive, self._left, self._expects = receive, most, expects
        self._ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._ended = True
        return message

    async def drain(self) -> None:
        if self._expects:  # it waits to be told whether to send at all
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self._ended and self._left > 0:
                    self._left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
