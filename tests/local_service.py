"""A real HTTP server on this machine that speaks Clarifai's documented protocol, and simpler ones."""

import json
import re
import threading
import time
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

import deep_protection as dp
from deep_protection.fitting.devices import usable_cores, use_threads
from deep_protection.images import as_image

KEY = "pat-0123456789abcdef"
MODEL = "general-image-recognition"
PATH = re.compile(r"/v2/users/clarifai/apps/main/models/([\w.-]+)/outputs")

Mishap = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One request. ``self.server.service`` is the :class:`LocalService` it belongs to."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def setup(self) -> None:
        super().setup()
        use_threads(1, usable_cores())  # this thread's: several answer at once

    def do_POST(self) -> None:
        service = self.server.service
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        with service.lock:
            service.seen.append(self)
            mishap = service.mishaps.popleft() if service.mishaps else None
        if mishap is not None:
            mishap(self)
        elif self.path.startswith("/v2/"):
            self._clarifai()
        else:
            self._plain()

    def _clarifai(self) -> None:
        if self.headers["Authorization"] != f"Key {KEY}":
            # The worst a service can do: it repeats what it was sent.
            said = f"Invalid token {self.headers['Authorization']}"
            return self.fail(401, 11102, "Invalid request", said)
        found = PATH.fullmatch(self.path)
        if found is None or found[1] != MODEL:
            return self.fail(404, 21200, "Model does not exist", self.path)
        assert self.headers["Content-Type"] == "application/json"
        (given,) = json.loads(self.body)["inputs"]
        top = self.server.service.top(b64decode(given["data"]["image"]["base64"], validate=True))
        concepts = [
            {"id": f"ai_{each.index}", "name": each.label, "value": each.probability, "app_id": "main"} for each in top
        ]
        output = {
            "id": "a1",
            "status": {"code": 10000, "description": "Ok"},
            "model": {"id": MODEL, "name": "Image Recognition", "app_id": "main", "user_id": "clarifai"},
            "input": {"id": "b2", "data": {"image": {}}},
            "data": {"concepts": concepts},
        }
        status = {"code": 10000, "description": "Ok", "req_id": "c3"}
        return self.say(200, {"status": status, "outputs": [output]})

    def _plain(self) -> None:
        """``/raw`` takes the PNG as it is, ``/form`` as the file ``upload``; both answer with labels and scores."""
        png = self.body[self.body.index(b"\x89PNG") :] if self.path == "/form" else self.body
        if self.path == "/form":
            assert b'name="upload"; filename="image.png"' in self.body
            assert b'name="detail"' in self.body
        top = self.server.service.top(png)
        if self.path == "/all":
            return self.say(200, {"scores": self.server.service.all(png)})
        return self.say(200, {"predictions": [{"class": each.label, "p": each.probability} for each in top]})

    def say(self, status: int, document: Any, **headers: str) -> None:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def fail(self, status: int, code: int, description: str, details: str = "", **headers: str) -> None:
        told = {"code": code, "description": description, "details": details, "req_id": "d4"}
        self.say(status, {"status": told, "outputs": []}, **headers)

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


class Server(ThreadingHTTPServer):
    service: "LocalService"

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is what some tests are about."""


class LocalService:
    """Answers over ``classifier``; ``mishaps`` are what goes wrong first, one a request."""

    def __init__(self, classifier: dp.Classifier) -> None:
        self.classifier = classifier
        self.mishaps: deque[Mishap] = deque()
        self.seen: list[Handler] = []
        self.lock = threading.Lock()
        self.base = ""

    def top(self, png: bytes) -> list[dp.Prediction]:
        return self.classifier.top(self._pixels(png), 20)[0]

    def all(self, png: bytes) -> list[float]:
        with torch.no_grad():
            return list(self.classifier(self._pixels(png))[0].softmax(dim=-1).tolist())

    def _pixels(self, png: bytes) -> torch.Tensor:
        assert png.startswith(b"\x89PNG")
        return as_image(png).pixels[None]


@contextmanager
def serving(classifier: dp.Classifier) -> Iterator[LocalService]:
    """A service that listens on 127.0.0.1, at whichever port is free."""
    service = LocalService(classifier)
    server = Server(("127.0.0.1", 0), Handler)
    server.service = service
    service.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def status(code: int, clarifai_code: int, description: str, details: str = "", **headers: str) -> Mishap:
    """An answer with an error code of both kinds."""
    return lambda handler: handler.fail(code, clarifai_code, description, details, **headers)


def said(data: bytes, code: int = 200) -> Mishap:
    """An answer of these bytes."""
    return lambda handler: handler.say(code, data)


def slow(seconds: float) -> Mishap:
    """Answers too late."""

    def wait(handler: Handler) -> None:
        time.sleep(seconds)
        handler.say(200, {})

    return wait


def dripping(handler: Handler) -> None:
    """A byte now and then, which no clock between two bytes notices."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)
    handler.close_connection = True


def cut_off(handler: Handler) -> None:
    """Half an answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"status": {"code": 100')
    handler.close_connection = True


def hung_up(handler: Handler) -> None:
    """No answer at all."""
    handler.close_connection = True


def endless(handler: Handler) -> None:
    """More than anyone wants."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(10**9))
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"[" * 100_000)
