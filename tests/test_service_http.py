"""HTTP by its rules: methods, what is asked for, what is sent, when to come again. No worker has to start for that."""

import asyncio
import gzip
import json
import re
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import unescape
from http import HTTPStatus
from io import BytesIO
from pathlib import Path

import httpx2
import local_service
import numpy as np
import pytest
import uvicorn
from PIL import Image

import deep_protection as dp
from deep_protection.classifiers.retry_after import retry_after
from deep_protection.service.api.app import create_app
from deep_protection.service.api.submission import wants_image
from deep_protection.service.client import Client
from deep_protection.service.jobs.job import Job
from deep_protection.service.settings import Settings

PNG = {"Content-Type": "image/png"}
ID = 32 * "a"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("http")


@pytest.fixture(scope="module")
def http(folder: Path) -> Iterator[httpx2.Client]:
    """The application behind a real server, with a job that waits for a worker."""
    app = create_app(Settings(data=folder, workers=1))
    app.state.jobs._store.add(
        Job(id=ID, kind="protect", client="one", state="queued", options={}, inputs={}, created=time.time())
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="warning", http="h11"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
        yield client
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def data(small: Image.Image) -> bytes:
    small.save(buffer := BytesIO(), "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/", "/v1/about", "/docs", "/metrics", f"/v1/jobs/{ID}", "/v1/jobs/no", "/nothing"]
)
def test_head_is_get_without_the_body(http: httpx2.Client, path: str) -> None:
    got, head = http.get(path), http.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-type", "content-security-policy", "retry-after"):
        assert head.headers.get(name) == got.headers.get(name)
    if path != "/metrics":  # which counts the questions
        assert head.headers["content-length"] == got.headers["content-length"]


def test_errors_are_problem_documents(http: httpx2.Client) -> None:
    answer = http.get("/v1/jobs/no")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    problem = answer.json()
    assert (problem["type"], problem["status"], problem["title"]) == ("about:blank", 422, HTTPStatus(422).phrase)
    assert problem["error"] == {"code": problem["code"], "message": problem["detail"]}
    paths = http.get("/openapi.json").json()["paths"]
    assert list(paths["/v1/jobs/{job_id}"]["get"]["responses"]["422"]["content"]) == ["application/problem+json"]
    waited_for = ["application/problem+json", "application/json"]
    assert list(paths["/v1/protect"]["post"]["responses"]["422"]["content"]) == waited_for, "a job that failed is a job"


def test_head_of_a_stream_ends(http: httpx2.Client) -> None:
    head = http.head(f"/v1/jobs/{ID}/events")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    end = time.monotonic() + 10
    while "deep_protection_listeners 0.0" not in http.get("/metrics").text:
        assert time.monotonic() < end, "it went on, unheard"
        time.sleep(0.05)


def test_a_method_that_is_not_allowed_names_those_that_are(http: httpx2.Client) -> None:
    for method, path, allowed in (
        ("PUT", f"/v1/jobs/{ID}", "DELETE, GET, HEAD"),
        ("HEAD", "/v1/classify", "POST"),
        ("OPTIONS", "/v1/classify", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
    ):
        answer = http.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("accept", "is_image"),
    [
        ("image/png", True),
        ("image/*", True),
        ("IMAGE/PNG", True),
        ("image/png ; Q=0.1", True),
        ("application/json, image/png", True),
        ("image/png, */*", True),
        ("application/json;q=0.5, image/*", True),
        ("*/*, application/json;q=0", True),
        ("*/*, image/png;q=0", False),
        ("application/json, image/png;q=0", False),
        ("image/png;q=0", False),
        ("image/png;q=0.4, application/json;q=0.5", False),
        ("image/*;q=1, image/png;q=0", False),
        ("text/html, image/webp, */*;q=0.8", False),
        ("image/webp", False),
        ('text/plain;x="image/png, image/png"', False),
        ("*/*", False),
        ("", False),
    ],
)
def test_what_is_asked_for(accept: str, is_image: bool) -> None:
    assert wants_image(accept) == is_image


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "identity, br", "deflate"])
def test_what_is_packed_is_refused_by_its_name(http: httpx2.Client, data: bytes, encoding: str) -> None:
    answer = http.post("/v1/classify", content=gzip.compress(data), headers={**PNG, "Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported")
    assert f"Content-Encoding: {encoding}" in answer.json()["error"]["message"]
    assert answer.headers["accept-encoding"] == "identity"


def test_what_is_packed_within_a_form_is_too(http: httpx2.Client, data: bytes) -> None:
    part = ("photo.png", data, "image/png", {"Content-Transfer-Encoding": "base64"})
    answer = http.post("/v1/classify", files={"image": part})
    assert (answer.status_code, "base64" in answer.json()["error"]["message"]) == (415, True)
    plain = ("photo.png", data, "image/png", {"Content-Transfer-Encoding": "binary"})
    assert http.post("/v1/classify", files={"image": plain}).status_code == 202
    assert http.post("/v1/classify", content=data, headers={**PNG, "Content-Encoding": "identity"}).status_code == 202


def test_a_name_that_is_too_long_is_said_to_be(http: httpx2.Client, data: bytes) -> None:
    answer = http.post("/v1/classify", files={"image": (5000 * "a" + ".png", data)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
    assert "the name of a file" in answer.json()["error"]["message"]
    assert "a shorter one" in answer.json()["error"]["message"]


def test_a_mask_of_another_size_is_not_accepted(http: httpx2.Client, data: bytes) -> None:
    for size, status in (((20, 20), 422), ((40, 31), 422), ((1, 1), 422), ((40, 30), 202), ((30, 40), 202)):
        Image.new("L", size, 255).save(mask := BytesIO(), "PNG")  # turned: EXIF may put it right
        answer = http.post("/v1/inpaint", files={"image": data, "mask": mask.getvalue()})
        assert answer.status_code == status, size
        if status == 422:
            assert f"the mask has {size[0]}×{size[1]} pixels and the image 40×30" in answer.json()["error"]["message"]


def in_a_second() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


@pytest.mark.parametrize("said", [None, "0", "1", "soon", "-5", "nan", "1e9x", "", "date"])
def test_a_client_comes_again_when_it_is_told(lite0: dp.Classifier, said: str | None) -> None:
    value = in_a_second() if said == "date" else said
    with local_service.serving(lite0) as service, Client(service.base, retry_timeout=20) as client:
        headers = {} if value is None else {"Retry-After": value}
        service.mishaps.append(local_service.status(429, 0, "busy", **headers))
        service.mishaps.append(local_service.said(json.dumps({"id": ID, "state": "queued"}).encode(), 202))
        assert client.submit("classify", image=b"an image")["id"] == ID
        assert len(service.seen) == 2


def test_a_client_does_not_send_again_what_was_accepted(lite0: dp.Classifier) -> None:
    failed = {"id": ID, "state": "failed", "error": {"code": "worker_died", "message": "two workers died"}}
    with local_service.serving(lite0) as service, Client(service.base, retry_timeout=20) as client:
        service.mishaps.append(lambda handler: handler.say(503, failed, Location=f"/v1/jobs/{ID}"))
        with pytest.raises(dp.DeepProtectionError, match="two workers died"):
            client.submit("classify", image=b"an image", wait=True)
        assert len(service.seen) == 1


def test_a_time_to_come_again() -> None:
    assert retry_after("7") == 7
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    later = retry_after(format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True))
    assert later == pytest.approx(120, abs=5)
    assert [retry_after(each) for each in (None, "", "soon", "-1", "nan", "Wed, 99 Oct 20150 07:28:00 GMT")] == [
        None
    ] * 6


@pytest.mark.parametrize("as_form", [True, False])
def test_an_image_on_its_way_lies_on_the_disk(as_form: bool, tmp_path: Path, lite0: dp.Classifier) -> None:
    """It was held three to four times over, by each of 32 clients at once."""
    del lite0  # loaded before memory is looked at
    app = create_app(Settings(data=tmp_path / "data", workers=1))
    noise = np.random.default_rng(0).integers(0, 256, (1700, 1700, 3), np.uint8)
    Image.fromarray(noise).save(buffer := BytesIO(), "BMP")
    image = buffer.getvalue()
    start = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' if as_form else b""
    body, kind = start + image + (b"\r\n--x--\r\n" if as_form else b""), "multipart/form-data; boundary=x"

    async def pieces() -> AsyncIterator[bytes]:
        for place in range(0, len(body), 65_536):
            yield body[place : place + 65_536]

    async def send() -> httpx2.Response:
        headers = {"Content-Type": kind if as_form else "image/bmp"}
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost") as client:
            return await client.post("/v1/classify", content=pieces(), headers=headers)

    tracemalloc.start()
    answer = asyncio.run(send())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code == 202, answer.text
    assert len(image) > 8e6 > 4 * peak
    job = answer.json()["id"]
    assert (tmp_path / "data" / "jobs" / job / "in.image").read_bytes() == image
    assert not list((tmp_path / "data" / "coming").iterdir())
    asyncio.run(app.state.jobs.stop())


def test_what_was_refused_leaves_nothing(http: httpx2.Client, data: bytes, folder: Path) -> None:
    before = sorted((folder / "jobs").iterdir())
    for sent in (data[:9], b"", b"no image"):
        assert http.post("/v1/classify", content=sent, headers=PNG).status_code == 422
        assert http.post("/v1/classify", files={"image": sent}).status_code == 422
    assert http.post("/v1/classify", files={"image": data, "mask": data}).status_code == 422
    assert (sorted((folder / "jobs").iterdir()), list((folder / "coming").iterdir())) == (before, [])


@pytest.mark.parametrize("root", ["", "/protection"])
@pytest.mark.parametrize("host", ["maps.example", "maps.example:8443", '"><script>alert(1)</script>'])
def test_examples_ask_where_the_service_was_asked(root: str, host: str, tmp_path: Path) -> None:
    """Behind a proxy that hands on the name, and under a prefix; whatever the name holds stays text."""

    async def ask() -> httpx2.Response:
        app = create_app(Settings(data=tmp_path, workers=1, token="t" * 20))
        door = httpx2.ASGITransport(app, root_path=root)
        async with httpx2.AsyncClient(transport=door, base_url="https://127.0.0.1") as client:
            return await client.get(f"{root}/docs", headers={"Host": host})

    page = asyncio.run(ask()).text
    shown = re.escape(host) if "<" not in host else r"127[\w.:]+"  # what is no name of a host is not repeated
    assert re.search(rf"curl -F image=@image\.png 'https://{shown}{root}/v1/detect", unescape(page))
    assert "<script>" not in page
    assert not re.search(r'(src|href)="/', page), "a prefix would be lost"
