"""What a hostile or careless client is told by a service that others can reach."""

import re
import socket
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from served import Served

from deep_protection.errors import DeepProtectionError, OptionError
from deep_protection.service.api.server import listen
from deep_protection.service.settings import Settings

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105  (of a service that lives for a minute)
LIMITS = ("--max-bytes", "300000", "--max-pixels", "250000", "--header-seconds", "1", "--body-seconds", "1")
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("limits") / "data"
    with Served(data, "--workers", "1", "--host", "0.0.0.0", *LIMITS, token=TOKEN) as served:  # noqa: S104
        yield served
        assert "Traceback" not in served.log()
        assert [each.name for each in data.parent.iterdir()] == ["data"]


@pytest.fixture
def http(served: Served) -> Iterator[httpx2.Client]:
    with served.http() as client:
        yield client


@pytest.fixture(scope="module")
def data(small: Image.Image) -> bytes:
    buffer = BytesIO()
    small.save(buffer, "PNG")
    return buffer.getvalue()


def refused(answer: httpx2.Response, status: int, code: str, said: str = "") -> None:
    """An error as every error looks, which gives nothing of the machine away."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert said in error["message"]
    assert "Traceback" not in answer.text
    assert not re.search(r"/(home|tmp|usr|work|src)\b", answer.text)


def bomb(width: int, height: int) -> bytes:
    """A valid PNG of a few bytes that decodes to as many pixels as asked."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(bytes((width + 8) // 8 * height), 9)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def archived(data: bytes) -> bytes:
    """The image with a ZIP archive behind it, which programs open as either."""
    buffer = BytesIO(data)
    buffer.seek(0, 2)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("hidden.txt", "hidden")
    return buffer.getvalue()


def test_nobody_without_the_token(served: Served, data: bytes) -> None:
    with httpx2.Client(base_url=served.url, trust_env=False) as stranger:
        for token in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN):
            answer = stranger.post("/v1/classify", content=data, headers={**PNG, "Authorization": token})
            refused(answer, 401, "no_token", "Authorization")
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/about", "/v1/jobs/" + 32 * "0", "/metrics"):
            refused(stranger.get(path), 401, "no_token")
            assert stranger.head(path).status_code == 401
        assert stranger.get("/healthz").status_code == 200
        assert stranger.get("/readyz").status_code == 200


def test_whoever_has_the_token(http: httpx2.Client, data: bytes) -> None:
    assert http.get("/v1/about", headers={"Authorization": f"bearer  {TOKEN}"}).status_code == 200, "RFC 9110, 11.1"
    about = http.get("/v1/about").json()
    assert about["needs_token"]
    assert about["limits"] == {"bytes": 300_000, "pixels": 250_000}
    assert "attack" not in about["kinds"], "strangers are not given attacks on the classifier"
    refused(http.post("/v1/attack", content=data, headers=PNG), 404, "not_offered", "--attacks")
    assert http.post("/v1/classify?wait=true", content=data, headers=PNG).status_code == 200


def test_every_answer_is_guarded(http: httpx2.Client) -> None:
    for path in ("/v1/about", "/docs", "/nothing", "/v1/jobs/no"):
        headers = http.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_other_sites_are_refused(http: httpx2.Client, data: bytes) -> None:
    for other in ({"Origin": "https://example.org"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        refused(http.post("/v1/classify", content=data, headers={**PNG, **other}), 403, "forbidden")
    own = {"Origin": str(http.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert http.post("/v1/classify", content=data, headers={**PNG, **own}).status_code == 202
    preflight = http.options("/v1/classify", headers={"Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 405
    assert "access-control-allow-origin" not in preflight.headers


def test_images_that_are_none(http: httpx2.Client, data: bytes) -> None:
    def sent(content: bytes) -> httpx2.Response:
        return http.post("/v1/classify?wait=true", content=content, headers=PNG)

    refused(sent(b""), 422, "bad_image", "empty")
    refused(sent(b"a text, not an image"), 422, "bad_image", "not an image")
    refused(sent(data[:20]), 422, "bad_image")
    refused(sent(data[: len(data) // 2]), 422, "bad_image", "truncated")
    refused(sent(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 422, "bad_image")
    refused(sent(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), 422, "bad_image")


def test_bombs_and_giants(http: httpx2.Client) -> None:
    for width, height in ((600, 600), (60_000, 60_000), (2**31 - 1, 2**31 - 1)):
        content = (
            bomb(width, height)
            if width < 1000
            else bomb(600, 600).replace(struct.pack(">II", 600, 600), struct.pack(">II", width, height))
        )
        answer = http.post("/v1/protect", content=content, headers=PNG)
        assert answer.status_code in (413, 422), answer.text
        refused(answer, answer.status_code, {413: "too_large", 422: "bad_image"}[answer.status_code])
    refused(http.post("/v1/protect", content=bytes(300_001), headers=PNG), 413, "too_large", "300000")
    chunks = (bytes(65_536) for _ in range(16))  # no length is declared
    refused(http.post("/v1/protect", content=chunks, headers=PNG), 413, "too_large")


def test_files_that_are_something_else_too(http: httpx2.Client, data: bytes, small: Image.Image) -> None:
    refused(http.post("/v1/classify", content=archived(data), headers=PNG), 422, "bad_image", "ZIP")
    buffer = BytesIO()
    small.save(buffer, "GIF", comment=b"<script>alert(1)</script>")
    refused(http.post("/v1/classify", content=buffer.getvalue(), headers=PNG), 422, "bad_image", "script")
    small.save(buffer := BytesIO(), "JPEG", comment=b"%PDF-1.7")
    refused(http.post("/v1/classify", content=buffer.getvalue(), headers=PNG), 422, "bad_image", "PDF")


def test_bodies_of_other_kinds(http: httpx2.Client, data: bytes) -> None:
    refused(http.post("/v1/classify", json={"url": "http://example.org/a.png"}), 415, "unsupported")
    refused(http.post("/v1/classify", data={"image": "http://example.org/a.png"}), 415, "unsupported")
    refused(http.post("/v1/classify", files={"other": data}), 422, "bad_option", "'image'")
    refused(http.post("/v1/classify", files={"image": data, "other": data}), 422, "bad_option", "other")
    refused(http.post("/v1/inpaint", content=data, headers=PNG), 415, "unsupported", "mask")
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(http.post("/v1/classify", content=b"--x\r\nnonsense", headers=broken), 422, "bad_option")
    refused(http.post("/v1/classify", content=b"no boundary at all", headers=broken), 400, "bad_request")
    none = {"Content-Type": "multipart/form-data"}
    refused(http.post("/v1/classify", content=b"--x\r\n", headers=none), 400, "bad_request")
    refused(http.get("/v1/classify"), 405, "method_not_allowed")
    refused(http.get("/v1/jobs/../../etc/passwd"), 404, "not_found")
    refused(http.get("/v1/jobs/" + "%2e%2e%2f" * 3 + "etc"), 404, "not_found")
    refused(http.get("/v1/jobs/not-an-id"), 422, "bad_option")


def spoken(served: Served, *parts: bytes, pause: float = 0.0) -> bytes:
    """What comes back on a bare connection."""
    host, port = httpx2.URL(served.url).host, httpx2.URL(served.url).port
    assert port is not None
    with socket.create_connection((host, port), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        except ConnectionError:
            return b"closed"
        answer = b""
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
        except ConnectionError:
            pass
        return answer


def test_headers_that_are_huge_or_slow(served: Served) -> None:
    start = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    assert spoken(served, start, b"X: " + b"y" * 200_000 + b"\r\n\r\n").startswith((b"HTTP/1.1 400", b"closed"))
    assert spoken(served, start) == b"", "closed without a word when headers do not come"
    trickle = [b"X-%d: y\r\n" % number for number in range(8)]
    assert spoken(served, start, *trickle, pause=0.4) in (b"", b"closed"), "bytes now and then do not keep it open"
    assert spoken(served, b"\x16\x03\x01\x02\x00garbage\r\n\r\n").startswith((b"HTTP/1.1 400", b"closed"))


def test_a_body_that_is_slow(served: Served) -> None:
    head = (
        f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: image/png\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"
    )
    answer = spoken(served, head.encode(), b"\x89PNG")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"too_slow" in answer


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": "0.0.0.0"}, "--token"),  # noqa: S104
        ({"host": "192.0.2.1"}, "--token"),
        ({"host": "example.org"}, "--token"),
        ({"token": "short"}, "at least 16"),
        ({"port": 70_000}, "port"),
        ({"queue": 0}, "queue"),
        ({"budget": 0.0}, "budget"),
        ({"workers": 0}, "workers"),
    ],
)
def test_settings_that_are_refused(options: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=said):
        Settings(data=tmp_path, **options)  # type: ignore[arg-type]


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DeepProtectionError, match="cannot listen"):
        listen(Settings(data=tmp_path, port=taken.getsockname()[1]))
