"""The Ray Serve application on a real cluster of this machine: real images, a real classifier, replicas that die."""

import asyncio
import base64
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from served import descendants

import deep_protection as dp
from deep_protection.errors import MissingExtraError, OptionError
from deep_protection.quiet import warnings_silenced
from deep_protection.service.jobs.job_types import JOB_TYPES
from deep_protection.service.jobs.options import ProtectOptions
from deep_protection.service.jobs.worker_process import TOKEN_VARIABLE
from deep_protection.service.ray_serve import Arguments, build, create_front, over
from deep_protection.service.settings import Settings
from deep_protection.service.workers.handlers import run_jobs
from deep_protection.service.workers.replica import Ended, Replica
from deep_protection.service.workers.worker_context import JobInput, JobOutput, WorkerContext

pytestmark = pytest.mark.campaign

TOKEN = "a token of this test"  # noqa: S105  (nothing is behind it)
PATIENCE = 120.0
"""Seconds, on a machine that does other things as well."""
ARGUMENTS = Arguments(max_replicas=2, target_ongoing_requests=1, upscale_delay_s=0, queue=3, max_bytes=100_000)
NEVER = Settings(data=Path(os.devnull), token=TOKEN, max_bytes=ARGUMENTS.max_bytes)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the application answers."""
    pytest.importorskip("ray.serve")
    import ray
    from ray import serve

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    before = dict(os.environ)
    # Ray's processes take these over. The load is told every second, or its growth would be seen after ten.
    os.environ |= {TOKEN_VARIABLE: TOKEN, "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1"}
    try:
        app = build(ARGUMENTS)
        with warnings_silenced():
            ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            serve.run(app)
        yield f"http://127.0.0.1:{port}"
    finally:
        with warnings_silenced():
            serve.shutdown()
            ray.shutdown()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def http(address: str) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "image/png"}
    with httpx2.Client(base_url=address, headers=headers, timeout=PATIENCE, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def data(small: Image.Image) -> bytes:
    buffer = BytesIO()
    small.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def shop() -> WorkerContext:
    return WorkerContext("lite0", None, "cpu", 600.0)


def opened(data: bytes) -> Any:
    with Image.open(BytesIO(data)) as image:
        return np.array(image)


def replicas() -> set[int]:
    """Processes of replicas, of this test's own cluster: others may run on the machine."""
    return descendants(b"ray::ServeReplica:default:Replica")


def running() -> int:
    """Replicas that take requests."""
    from ray import serve

    states = serve.status().applications["default"].deployments["Replica"].replica_states
    return sum(count for state, count in states.items() if state == "RUNNING")


def ticks(process: int) -> int:
    """Processor time that it has spent, in 100ths of a second."""
    return sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]))


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_an_image_is_restored_as_the_library_does(http: httpx2.Client, data: bytes, small: Image.Image) -> None:
    expected = np.array(dp.purify(small, stop="fixed:2", seed=3))
    answer = http.post("/v1/protect?answer=restored&stop=fixed:2&seed=3&wait=true", content=data)
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert (job["kind"], job["state"], job["error"]) == ("protect", "done", None)
    assert job["created"] <= job["started"] <= job["ended"]
    assert (job["answer"]["iterations_run"], job["answer"]["seed"]) == (2, 3)
    begin, _, image = job["files"]["result"].partition(",")
    assert begin == "data:image/png;base64"
    assert (opened(base64.b64decode(image)) == expected).all()
    form = {"files": {"image": data}, "data": {"answer": "restored", "stop": "fixed:2", "seed": "3"}}
    with httpx2.Client(base_url=http.base_url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE) as plain:
        answer = plain.post("/v1/protect", headers={"Accept": "image/png"}, **form)  # type: ignore[arg-type]
    assert answer.headers["content-type"] == "image/png", answer.text
    assert (opened(answer.content) == expected).all()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("classify", {"top": 3}),
        ("detect", {"quick": True}),
        ("detect", {"false_positive_rate": 0.2}),
        ("protect", {"when": "always", "seed": 1}),
    ],
)
def test_answers_are_those_of_the_service(
    http: httpx2.Client, data: bytes, shop: WorkerContext, kind: str, options: dict[str, Any]
) -> None:
    whole = JOB_TYPES[kind].options(**options).model_dump(exclude={"wait"})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a replica has; sums of more threads differ in their last bits
    try:
        expected = run_jobs(shop, [JobInput(id="it", kind=kind, options=whole, inputs={"image": data})])[0]
    finally:
        torch.set_num_threads(threads)
    assert isinstance(expected, JobOutput)
    answer = http.post(f"/v1/{kind}", params=options, content=data)
    assert answer.status_code == 200, answer.text
    assert {**answer.json()["answer"], "seconds": None} == {**expected.answer, "seconds": None}


def test_what_cannot_be_done_is_refused_in_the_words_of_the_service(http: httpx2.Client, data: bytes) -> None:
    def refused(path: str, content: bytes = data, **headers: str) -> tuple[int, str]:
        answer = http.post(path, content=content, headers=headers)
        error = answer.json()["error"]
        assert error["message"]
        return answer.status_code, error["code"]

    assert refused("/v1/protect", b"no image") == (422, "bad_image")
    assert refused("/v1/protect", data[: len(data) // 2]) == (422, "bad_image")  # found by who decodes it
    assert refused("/v1/protect", data + bytes(ARGUMENTS.max_bytes)) == (413, "too_large")
    assert refused("/v1/protect?colour=red") == (422, "bad_option")
    assert refused("/v1/protect?stop=fixed:99999") == (422, "bad_option")
    assert refused("/v1/classify?top=11") == (422, "bad_option")
    assert refused("/v1/protect", Authorization="Bearer another") == (401, "no_token")
    assert refused("/v1/protect", Authorization="") == (401, "no_token")
    assert refused("/v1/protect", Origin="http://elsewhere.example") == (403, "forbidden")
    assert refused("/v1/denoise") == (404, "not_found")
    health = http.get("/healthz", headers={"Authorization": ""})
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert health.headers["x-content-type-options"] == "nosniff"


def test_a_client_that_goes_away_holds_up_nobody(http: httpx2.Client, data: bytes) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        http.post("/v1/protect?stop=fixed:5000&preset=thorough", content=data, timeout=2.0)
    (replica,) = replicas()

    def rests() -> bool:
        before = ticks(replica)
        time.sleep(2.0)
        return ticks(replica) < before + 20

    until(rests)  # that fit would have gone on for longer than is waited here
    assert http.post("/v1/classify", content=data).status_code == 200


def test_a_replica_that_is_killed_is_replaced_and_its_request_done(
    http: httpx2.Client, data: bytes, small: Image.Image
) -> None:
    (victim,) = replicas()
    before = ticks(victim)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            http.post, "/v1/protect?answer=restored&stop=fixed:300", content=data, headers={"Accept": "image/png"}
        )
        until(lambda: ticks(victim) > before + 50)
        assert not asked.done()
        os.kill(victim, signal.SIGKILL)
        answer = asked.result()
    assert answer.status_code == 200, answer.text
    assert (opened(answer.content) == np.array(dp.purify(small, stop="fixed:300"))).all()
    assert victim not in replicas()


def test_replicas_follow_the_load_and_what_is_too_much_is_refused(http: httpx2.Client, data: bytes) -> None:
    enough = threading.Event()
    answers: list[httpx2.Response] = []

    def ask() -> None:
        while not enough.is_set():
            answers.append(http.post("/v1/protect?answer=restored&stop=fixed:20", content=data))

    assert len(replicas()) == 1
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask) for _ in range(8)]
        try:
            until(lambda: running() == 2)
        finally:
            enough.set()
        for each in asking:
            each.result()
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) < len(answers)
    for answer in refused:
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy"), answer.text
        assert int(answer.headers["retry-after"]) > 0


def test_a_request_that_kills_replicas_is_given_up(address: str) -> None:
    del address
    from ray import serve

    class Dying:
        def run(self, *_: object) -> None:
            os._exit(1)

    async def ask(handle: Any) -> None:
        await over(handle)("protect", {}, {})

    with warnings_silenced():
        app = serve.deployment(Dying, ray_actor_options={"num_cpus": 0}).bind()
        handle = serve.run(app, name="dying", route_prefix=None)
        with pytest.raises(Exception, match="two replicas died") as found:
            asyncio.run(ask(handle))
        serve.delete("dying")
    assert (found.value.status, found.value.code) == (503, "worker_died")  # type: ignore[attr-defined]


def test_requests_that_wait_are_done_together_and_each_for_itself(data: bytes, small: Image.Image) -> None:
    async def ask() -> list[Any]:
        replica = Replica("lite0", None, "cpu", 600.0, batch=4)
        options = ProtectOptions.model_validate({"answer": "restored", "stop": "fixed:2"}).model_dump(exclude={"wait"})
        long = asyncio.create_task(replica.run("protect", {**options, "stop": "fixed:5000"}, {"image": data}))
        await asyncio.sleep(0.5)
        others = [
            replica.run("protect", options, {"image": data}),
            replica.run("protect", options, {"image": b"no image"}),
            replica.run("protect", {**options, "seed": 1}, {"image": data}),
            replica.run("classify", {"top": 1}, {"image": data}),
        ]
        waiting = [asyncio.create_task(each) for each in others]
        await asyncio.sleep(0)
        long.cancel()
        return await asyncio.gather(long, *waiting, return_exceptions=True)

    cancelled, first, bad, second, classified = asyncio.run(ask())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert (opened(first.files["result"]) == np.array(dp.purify(small, stop="fixed:2"))).all()
    assert (opened(second.files["result"]) == np.array(dp.purify(small, stop="fixed:2", seed=1))).all()
    assert (bad.error["code"], bad.answer) == ("bad_image", None)
    assert first.started == bad.started < second.started, "what is alike is done at once"
    assert classified.answer["top"][0]["label"]


@pytest.mark.parametrize("root", ["", "/", "/protection", "/v", "/v1"])
def test_a_token_is_asked_for_under_a_prefix_too(root: str) -> None:
    """Ray puts an application under any; ``root_path`` names it."""

    async def ask() -> httpx2.Response:
        async def never(*_: object) -> Any:
            raise AssertionError

        door = httpx2.ASGITransport(create_front(NEVER, never), root_path=root)
        async with httpx2.AsyncClient(transport=door, base_url="http://127.0.0.1") as client:
            return await client.post(f"{root.rstrip('/')}/v1/classify", content=b"x")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "no_token")
    assert answer.headers["cache-control"] == "no-store"


def test_images_are_read_beside_the_loop(monkeypatch: pytest.MonkeyPatch, small: Image.Image) -> None:
    """Read in it, a slow disk kept every other request of a front waiting."""
    small.save(buffer := BytesIO(), "PNG")
    read = Path.read_bytes
    readers: list[int] = []

    def noting(path: Path) -> bytes:
        readers.append(threading.get_ident())
        return read(path)

    async def fit(kind: str, options: dict[str, Any], inputs: dict[str, bytes]) -> Ended:
        assert (kind, options["top"], inputs) == ("classify", 1, {"image": buffer.getvalue()})
        return Ended(started=0.0, ended=0.0, answer={"top": []})

    async def ask() -> httpx2.Response:
        door = httpx2.ASGITransport(create_front(NEVER, fit))
        async with httpx2.AsyncClient(transport=door, base_url="http://127.0.0.1") as client:
            headers = {"Content-Type": "image/png", "Authorization": f"Bearer {TOKEN}"}
            return await client.post("/v1/classify?top=1", content=buffer.getvalue(), headers=headers)

    monkeypatch.setattr(Path, "read_bytes", noting)
    assert asyncio.run(ask()).json()["answer"] == {"top": []}
    assert readers
    assert threading.get_ident() not in readers


def test_arguments_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="unknown argument replicas; there are: classifier, "):
        Arguments.model_validate({"replicas": "2"})
    with pytest.raises(ValidationError, match="max_replicas"):
        Arguments.model_validate({"max_replicas": "0"})
    assert Arguments.model_validate({"max_replicas": "3", "without_token": "true"}).max_replicas == 3
    assert Arguments(device="cuda").images_at_once == 64
    pytest.importorskip("ray.serve")
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(OptionError, match="DEEP_PROTECTION_TOKEN is not set"):
        build(Arguments())
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    with pytest.raises(OptionError, match="at least 16"):
        build(Arguments())


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"deep-protection\[ray\]"):
        build(Arguments())
