"""The service as its clients know it: a real server, asked over HTTP."""

import json
import re
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
from command import run
from PIL import Image
from served import Served
from torch import Tensor

import deep_protection as dp
from deep_protection.cli.client import client_command
from deep_protection.detection import ITERATIONS, repair_specks
from deep_protection.errors import DeepProtectionError, OptionError
from deep_protection.images import as_image
from deep_protection.service.api.app import create_app
from deep_protection.service.client import Client, ServiceError
from deep_protection.service.jobs.estimates import Estimates, work_of
from deep_protection.service.jobs.job_types import JOB_TYPES
from deep_protection.service.jobs.options import AIMING, OFFERED, AttackOptions
from deep_protection.service.settings import Settings

PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("service") / "data", "--workers", "1", "--batch", "4") as served:
        yield served


@pytest.fixture
def http(served: Served) -> Iterator[httpx2.Client]:
    with served.http() as client:
        yield client


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with served.client() as client:
        yield client


@pytest.fixture(scope="module")
def data(small: Image.Image) -> bytes:
    return as_png(small)


def as_png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        image.load()
        return image.copy()


def test_a_waiting_client_gets_what_the_library_makes(http: httpx2.Client, data: bytes, small: Image.Image) -> None:
    answer = http.post("/v1/protect?wait=true&answer=restored&stop=fixed:6&seed=3", content=data, headers=PNG)
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert (job["state"], job["kind"], job["error"], job["position"]) == ("done", "protect", None, None)
    assert job["created"] <= job["started"] <= job["ended"]
    made = job["answer"]
    assert (made["iterations_run"], made["seed"], made["preset"], made["restored"]) == (6, 3, "fast", True)
    assert len(made["before"]) == len(made["after"]) == 5
    assert [point["iteration"] for point in made["trajectory"]] == [6]
    assert made["explanation"] is None
    restored = http.get(job["files"]["result"])
    assert restored.headers["content-type"] == "image/png"
    expected = dp.purify(small, stop="fixed:6", seed=3)
    assert (np.array(opened(restored.content)) == np.array(expected)).all()


def test_the_answer_is_that_to_the_restored_image(client: Client, photograph: Image.Image, lite0: Any) -> None:
    seen = lite0.preprocess(photograph)
    job = client.run("protect", image=as_png(dp_image(seen)), answer="restored", stop="fixed:3", views=True)
    protected = dp.protect(lite0, answer="restored", stop="fixed:3", views=True)
    best = lite0.best(protected(seen[None]), 1)[0][0]
    first = job["answer"]["after"][0]
    assert first["index"] == best.index
    assert first["probability"] == pytest.approx(best.probability, abs=0.02)  # the file has eight bits
    assert job["answer"]["before"][0]["index"] == lite0.top(seen[None], 1)[0][0].index


@pytest.fixture(scope="module")
def attacked_image(attacked: Tensor) -> Image.Image:
    """An image of lite0's size that it no longer sees as what it is."""
    return dp_image(attacked[0])


@pytest.mark.parametrize("options", [{}, {"preset": "thorough", "seed": 2}, {"quick": True}], ids=str)
def test_the_answer_by_contrast_is_the_librarys(
    options: dict[str, Any], client: Client, attacked_image: Image.Image, lite0: Any
) -> None:
    pixels = as_image(attacked_image).pixels
    job = client.run("protect", image=as_png(attacked_image), **options)
    answer = job["answer"]
    with torch.no_grad():
        (expected,) = dp.protect(lite0, **options).explain(pixels[None])
    found = answer["explanation"]
    assert (found["answer"], found["reason"], found["is_suspicious"]) == ("contrast", expected.reason, True)
    for name in ("p_value", "agreement", "strength"):
        assert found[name] == pytest.approx(getattr(expected, name), abs=1e-4)
    assert found["evidence"] == pytest.approx(expected.evidence, abs=1e-3)
    best = lite0.best(expected.logits[None], 5)[0]
    assert [each["index"] for each in answer["after"]] == [each.index for each in best]
    assert answer["after"][0]["probability"] == pytest.approx(best[0].probability, abs=1e-4)
    assert answer["before"][0]["index"] == lite0.top(pixels[None], 1)[0][0].index != answer["after"][0]["index"]
    names = ["original", "views", "restored", "compressed", "mild"]
    assert [each["name"] for each in found["references"]] == names
    assert found["references"][0] | {"name": None} == answer["before"][0] | {"name": None}
    restored = found["references"][2]
    mean = expected.responses.restored.exp().mean(dim=0)
    assert (restored["index"], restored["label"]) == (int(mean.argmax()), lite0.label(int(mean.argmax())))
    assert restored["probability"] == pytest.approx(mean.max().item(), abs=1e-4)
    # Fitted is what the answer needs, and no more.
    assert answer["iterations_run"] == (0 if "quick" in options else ITERATIONS)
    assert [point["iteration"] for point in answer["trajectory"]] == ([] if "quick" in options else [10, 20, 30])
    assert (np.array(opened(client.file(job))) == np.array(dp_image(expected.restored))).all()
    assert (np.array(opened(client.file(job, "seen"))) == np.array(attacked_image)).all()


def test_an_image_that_is_not_suspicious_keeps_the_classifiers_answer(
    client: Client, photograph: Image.Image, lite0: Any
) -> None:
    """Of any size: what is looked at, fitted and given is what the classifier sees of it."""
    job = client.run("protect", image=as_png(photograph))
    answer, seen = job["answer"], lite0.preprocess(photograph)
    assert (answer["explanation"]["answer"], answer["explanation"]["is_suspicious"]) == ("own", False)
    assert answer["before"] == answer["after"]
    assert answer["after"][0]["index"] == lite0.top(seen[None], 1)[0][0].index
    assert (np.array(opened(client.file(job, "seen"))) == np.array(dp_image(seen))).all()
    expected = dp.purify(seen, stop=f"fixed:{ITERATIONS}")
    assert (np.array(opened(client.file(job))) == np.array(dp_image(expected))).all()
    always = client.run("protect", image=as_png(photograph), when="always", quick=True)["answer"]["explanation"]
    assert (always["is_suspicious"], always["p_value"]) == (True, None)
    assert always["answer"] != "own"


def test_specks_are_repaired_before_the_fit(client: Client, recognised: tuple[Tensor, Tensor], lite0: Any) -> None:
    pixels = recognised[0][0].clone()
    pixels.view(3, -1)[:, ::500] = 1.0
    peppered = dp_image(pixels)
    job = client.run("protect", image=as_png(peppered))
    whole = repair_specks(as_image(peppered).pixels)
    expected = dp.purify(whole, stop=f"fixed:{ITERATIONS}")
    assert (np.array(opened(client.file(job))) == np.array(dp_image(expected))).all()
    assert job["answer"]["after"][0]["index"] == int(recognised[1][0])
    assert lite0.label(int(recognised[1][0])) == job["answer"]["after"][0]["label"]


def test_quick_and_restored_do_not_go_together(client: Client, data: bytes) -> None:
    with pytest.raises(ServiceError, match="use answer=contrast"):
        client.submit("protect", image=data, answer="restored", quick=True)


def dp_image(pixels: Any) -> Image.Image:
    return Image.fromarray((pixels.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))


def test_a_client_that_does_not_wait_gets_a_job(http: httpx2.Client, client: Client, data: bytes) -> None:
    answer = http.post(
        "/v1/protect", files={"image": data}, data={"answer": "restored", "stop": "fixed:6", "preset": "thorough"}
    )
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["state"] in ("queued", "running")
    done = client.wait(job["id"])
    assert done["answer"]["preset"] == "thorough"
    assert done["threat_model"]
    assert http.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert http.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert http.get(done["files"]["result"]).status_code == 404


def test_who_asks_for_an_image_gets_it(http: httpx2.Client, data: bytes) -> None:
    for accept in ("image/png", "image/*", "IMAGE/PNG", "application/json;q=0.5, image/png"):
        asked = {"Accept": accept, "Content-Type": "application/octet-stream"}
        answer = http.post("/v1/denoise?wait=true&stop=fixed:1", content=data, headers=asked)
        assert answer.headers["content-type"] == "image/png", answer.text
        assert opened(answer.content).size == (40, 30)
    for accept in ("*/*", "application/json, image/png;q=0", "image/webp"):
        answer = http.post("/v1/denoise?wait=true&stop=fixed:1", content=data, headers={**PNG, "Accept": accept})
        assert answer.json()["state"] == "done"


def test_events_tell_the_whole_story(http: httpx2.Client, client: Client, data: bytes) -> None:
    job = client.submit("protect", image=data, answer="restored", stop="fixed:120")
    events = [(name, json.loads(text)) for name, text in client.events(job)]
    states = [each["state"] for name, each in events if name == "state"]
    assert states[-1] == "done"
    progress = [each for name, each in events if name == "progress"]
    told = {"iteration", "limit", "phase", "psnr", "label", "probability", "top", "preview", "box"}
    assert all(set(each) == told for each in progress)
    assert {each["phase"] for each in progress} == {"fitting"}
    places = [each["iteration"] for each in progress]
    assert places == sorted(places)
    assert progress[-1]["limit"] == 120
    shown = [each for each in progress if each["preview"] is not None]
    assert shown, "nobody showed the image of the moment"
    assert shown[-1]["preview"].startswith("data:image/webp;base64,")
    assert shown[-1]["label"]
    late = [(name, json.loads(text)["state"]) for name, text in client.events(job)]
    assert late == [("state", "done")]
    assert http.get("/v1/jobs/" + 32 * "0" + "/events").status_code == 404


def test_cancelling(http: httpx2.Client, client: Client, data: bytes) -> None:
    long = client.submit("protect", image=data, stop="fixed:5000")
    waiting = client.submit("protect", image=data, stop="fixed:2")
    assert client.job(waiting)["position"] in (1, None)
    for job in (waiting, long):
        answer = http.delete(f"/v1/jobs/{job['id']}")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        assert http.get(f"/v1/jobs/{job['id']}/result").status_code == 410
        with pytest.raises(ServiceError, match="cancelled"):
            client.wait(job)
    assert client.run("classify", image=data)["state"] == "done", "the worker is free again"


def test_a_job_that_the_table_refuses_fails_alone(served: Served, client: Client, data: bytes) -> None:
    """Tried again for ever, it kept every other job waiting, and the service said that it was ready."""
    with closing(sqlite3.connect(served.data / "jobs.db")) as table, table:
        table.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE OF state ON jobs WHEN new.kind = 'classify' AND new.state = ("
            "SELECT CASE json_extract(new.options, '$.top') WHEN 1 THEN 'running' ELSE 'done' END) "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    try:
        for top in (1, 2):  # refused at its start, and at its end
            events = list(client.events(client.submit("classify", image=data, top=top)))
            last = json.loads(events[-1][1])
            assert (last["state"], last["error"]["code"]) == ("failed", "internal")
            with pytest.raises(ServiceError, match="the service's log says what"):
                client.run("classify", image=data, top=top)
        assert client.run("dejpeg", image=data, stop="fixed:1")["state"] == "done"
        with served.http() as http:
            assert http.get("/readyz").status_code == 200
    finally:
        with closing(sqlite3.connect(served.data / "jobs.db")) as table, table:
            table.execute("DROP TRIGGER refuse")
    assert client.run("classify", image=data, top=1)["state"] == "done"


def test_a_batch_gives_every_job_its_own(client: Client, data: bytes, small: Image.Image) -> None:
    blocker = client.submit("protect", image=data, stop="fixed:40")
    mirrored = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    options: dict[str, Any] = {"answer": "restored", "stop": "fixed:5"}
    jobs = [client.submit("protect", image=as_png(each), **options) for each in (small, mirrored)]
    broken = client.submit("protect", image=data[:-400], **options)
    for job, image in zip(jobs, (small, mirrored), strict=True):
        restored = opened(client.file(client.wait(job)))
        assert (np.array(restored) == np.array(dp.purify(image, stop="fixed:5"))).all()
    with pytest.raises(ServiceError, match="truncated") as refused:
        client.wait(broken)
    assert refused.value.code == "bad_image"
    client.wait(blocker)


def test_only_what_is_suspicious_is_restored(client: Client, photograph: Image.Image) -> None:
    image = as_png(photograph.resize((256, 256)))
    job = client.run("protect", image=image, answer="restored", when="suspicious", stop="fixed:2")
    made = job["answer"]
    assert (made["suspicious"]["is_suspicious"], made["restored"], made["iterations_run"]) == (False, False, 0)
    assert made["before"] == made["after"]
    assert (np.array(opened(client.file(job))) == np.array(opened(image))).all()
    sure = client.run("protect", image=image, answer="restored", when="suspicious", false_positive_rate=0.99)
    assert (sure["answer"]["suspicious"]["is_suspicious"], sure["answer"]["restored"]) == (True, True)


def test_detecting(client: Client, data: bytes) -> None:
    made = client.run("detect", image=data, false_positive_rate=0.2, quick=True)["answer"]
    assert made["is_suspicious"] == (made["p_value"] <= 0.2)
    assert -1 <= made["agreement"] <= 1
    assert made["evidence"]
    assert {"index", "label", "probability"} == set(made["label_before"])


def test_classifying(client: Client, photograph: Image.Image, lite0: Any) -> None:
    made = client.run("classify", image=as_png(photograph), top=3)["answer"]
    expected = lite0.top(lite0.preprocess(photograph)[None], 3)[0]
    assert [each["index"] for each in made["top"]] == [each.index for each in expected]


def test_attacking_and_protecting(client: Client, photograph: Image.Image) -> None:
    job = client.run("attack", image=as_png(photograph), attack="fgsm", epsilon_255=8)
    made = job["answer"]
    assert made["size"] == [224, 224]
    assert made["linf"] <= 8.01 / 255
    assert made["fooled"] == (made["before"][0]["index"] != made["after"][0]["index"])
    attacked = client.file(job)
    assert opened(attacked).size == (224, 224)
    seen = client.run("classify", image=attacked)["answer"]["top"]
    assert seen == made["after"], "the attacked image is not resized again"


@pytest.mark.parametrize("name", OFFERED)
def test_which_attacks_can_aim(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 12 * 12, 12)).eval()
        pixels = torch.rand(1, 3, 12, 12)
    own, other = network(pixels).topk(2, dim=1).indices.unbind(dim=1)
    options = {"attack": name, "target": "goldfinch"}
    if name in AIMING:
        AttackOptions.model_validate(options).check()
        aimed = dp.attack(network, pixels, own, name, targets=other)
        assert network(aimed.adversarial).argmax() == other
    else:
        with pytest.raises(OptionError, match="cannot aim"):
            AttackOptions.model_validate(options).check()


def test_aiming_an_attack(client: Client, photograph: Image.Image, http: httpx2.Client) -> None:
    assert http.get("/v1/labels").json()[11] == "goldfinch"
    for target in ("GOLDFINCH", "11"):
        made = client.run("attack", image=as_png(photograph), attack="mifgsm", epsilon_255=8, target=target)["answer"]
        assert made["target"] == "goldfinch"
        assert made["after"][0]["label"] == "goldfinch"
        assert made["undone_by_rounding"] is False
    with pytest.raises(ServiceError, match="did you mean goldfinch"):
        client.run("attack", image=as_png(photograph), attack="pgd", target="goldfich")
    before = client.run("classify", image=as_png(photograph))["answer"]["top"][0]["label"]
    with pytest.raises(ServiceError, match="already"):
        client.run("attack", image=as_png(photograph), attack="pgd", target=before)


def test_the_course_of_a_fit_in_frames(client: Client, photograph: Image.Image) -> None:
    """Frames change nothing of what comes out; the first is of before the fit, the last of its end."""
    data = as_png(photograph)
    plain, framed = client.run("protect", image=data), client.run("protect", image=data, frames=True)
    assert client.file(plain) == client.file(framed)
    assert plain["answer"]["after"] == framed["answer"]["after"]
    assert plain["answer"]["explanation"] == framed["answer"]["explanation"]
    assert "frames" not in plain["files"]
    course = framed["answer"]["trajectory"]
    assert [point["iteration"] for point in course] == list(range(0, ITERATIONS + 1, 2))
    strip = opened(client.file(framed, "frames"))
    assert strip.size == (224 * len(course), 224)
    assert (np.array(strip)[:, -224:] == np.array(opened(client.file(framed)))).all()
    followed = framed["answer"]["followed"]
    assert followed[0] == framed["answer"]["before"][0]["label"]
    for point in course:
        assert len(point["top"]) == 5
        assert point["followed"][0] == pytest.approx(
            next((each["probability"] for each in point["top"] if each["label"] == followed[0]), point["followed"][0])
        )
    moved = [abs(each["shift"]) for each in framed["answer"]["explanation"]["direction"]]
    assert moved == sorted(moved, reverse=True)


def test_frames_change_no_decision_of_a_rule_that_asks(client: Client, photograph: Image.Image) -> None:
    plain, framed = (
        client.run("protect", image=as_png(photograph), stop="auto", frames=frames)["answer"]
        for frames in (False, True)
    )
    for name in ("iterations_run", "iteration_chosen", "stop_reason", "after"):
        assert plain[name] == framed[name]
    asked = [point for point in framed["trajectory"] if point["iteration"]]
    assert [(point["iteration"], point["top"]) for point in asked] == [
        (point["iteration"], point["top"]) for point in plain["trajectory"]
    ]


def test_an_estimate_of_the_time(http: httpx2.Client) -> None:
    asked = "/v1/estimate/dejpeg?width=60&height=50&stop=fixed:{}"
    assert http.get(asked.format(80)).json()["seconds"] > http.get(asked.format(8)).json()["seconds"]
    assert http.get("/v1/estimate/dejpeg?width=512&height=512").json()["budget"] == 600
    assert http.get("/v1/estimate/dejpeg?width=0&height=50").status_code == 422
    assert http.get("/v1/estimate/nothing?width=5&height=50").status_code == 404
    assert http.get(asked.format("often")).status_code == 422
    assert http.get("/v1/estimate/dejpeg?width=16000000&height=16000000").status_code == 413


def test_only_work_that_was_done_teaches(client: Client, http: httpx2.Client, photograph: Image.Image) -> None:
    def estimate(query: str) -> float:
        return float(http.get(f"/v1/estimate/{query}").json()["seconds"])

    data = as_png(photograph)
    asked = "attack?width=9&height=9&attack=l2pgd", "protect?width=99&height=99&answer=restored&stop=fixed:300"
    client.run("attack", image=data, attack="l2pgd")
    before = [estimate(each) for each in asked]
    for _ in range(2):
        with pytest.raises(ServiceError, match="no class"):
            client.run("attack", image=data, attack="l2pgd", target="nonsense")
    job = client.run("protect", image=data, answer="restored", when="suspicious", stop="fixed:300")
    assert job["answer"]["stop_reason"] == "not suspicious"
    assert [estimate(each) for each in asked] == before


def test_estimates_follow_the_machine() -> None:
    """A job that takes twice as long as was said tells so of its own kind, and of those that nothing is known of."""
    estimates, options = Estimates(), JOB_TYPES["dejpeg"].options.model_validate({}).model_dump()
    before = estimates.seconds("dejpeg", options, 512, 512), estimates.seconds("detect", {}, 512, 512)
    estimates.learn("dejpeg", options, work_of("dejpeg", options, 8, 8), 9.0)  # too short to tell
    assert estimates.seconds("dejpeg", options, 512, 512) == before[0]
    work = work_of("dejpeg", options, 512, 512)
    estimates.learn("dejpeg", options, work, 2 * work)
    after = estimates.seconds("dejpeg", options, 512, 512), estimates.seconds("detect", {}, 512, 512)
    assert after[0] == pytest.approx(2 * before[0])
    assert before[1] < after[1] < 2 * before[1], "of another kind it is told less of"
    assert estimates.seconds("dejpeg", options, 1024, 1024) > 3 * after[0]


def test_what_a_classifier_sees(client: Client, photograph: Image.Image, lite0: Any) -> None:
    job = client.run("classify", image=as_png(photograph), seen=True)
    assert (np.array(opened(client.file(job, "seen"))) == np.array(dp_image(lite0.preprocess(photograph)))).all()


def test_other_restorations(client: Client, data: bytes, small: Image.Image) -> None:
    assert client.run("dejpeg", image=data, stop="fixed:2")["answer"]["iterations_run"] == 2
    mask = Image.new("L", small.size)
    mask.paste(255, (10, 10, 20, 20))
    job = client.run("inpaint", image=data, mask=as_png(mask), stop="fixed:3")
    painted, kept = np.array(opened(client.file(job))), np.array(mask) == 0
    assert (painted[kept] == np.array(small)[kept]).all()
    with pytest.raises(ServiceError, match="mask"):
        client.submit("inpaint", image=data)
    job = client.run("upscale", image=data, factor=4, stop="fixed:2")
    assert opened(client.file(job)).size == (160, 120)
    with pytest.raises(ServiceError, match="factor must be 2 or 4, got 3"):
        client.submit("upscale", image=data, factor=3)


def test_text_of_a_map(client: Client, small: Image.Image) -> None:
    frames = BytesIO()
    small.save(frames, "GIF", save_all=True, append_images=[small.rotate(180)])
    job = client.run("extract-text", image=frames.getvalue(), ocr=False)
    assert "2 frames; only the first is used" in job["answer"]["notes"][0]
    assert job["answer"]["words"] == []
    assert opened(client.file(job, "layer")).mode == "RGBA"
    assert opened(client.file(job, "without_text")).size == small.size
    with pytest.raises(ServiceError, match="no file"):
        client.file(job, "nothing")
    with pytest.raises(ServiceError, match="script"):
        client.submit("extract-text", image=frames.getvalue(), script="klingon")
    with pytest.raises(ServiceError, match="4 letters"):
        client.submit("extract-text", image=frames.getvalue(), vocabulary="Inn, Ash")
    for vocabulary in ("none", "Goldhanger, Tolleshunt Major"):
        assert client.run("extract-text", image=frames.getvalue(), vocabulary=vocabulary)["state"] == "done"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("stop=sometimes", "unknown stop rule"),
        ("stop=fixed:9999999", "5000"),
        ("preset=best", "preset"),
        ("seed=-1", "seed"),
        ("seed=1.5", "seed"),
        ("colour=red", "colour"),
        ("seed=1&seed=2", "twice"),
        ("wait=perhaps", "wait"),
    ],
)
def test_options_are_strict(http: httpx2.Client, data: bytes, query: str, said: str) -> None:
    answer = http.post(f"/v1/protect?{query}", content=data, headers=PNG)
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]


def test_what_it_can_do(served: Served, http: httpx2.Client) -> None:
    about = http.get("/v1/about").json()
    assert about["kinds"] == list(JOB_TYPES)
    assert (about["classifier"], about["answer"]) == ("lite0", "contrast")
    assert not about["needs_token"]
    pgd = next(row for row in about["attacks"] if row["name"] == "pgd")
    assert pgd.pop("seconds") > 0
    assert pgd == {"name": "pgd", "label": "PGD, 4/255, 40 steps", "has_epsilon": True, "can_aim": True}
    photo = http.get(about["samples"][0]["url"])
    assert opened(photo.content).size
    assert http.get("/v1/samples/nothing.png").status_code == 404
    assert http.get("/healthz").json() == {"status": "ok"}
    assert "deep_protection_jobs_total" in http.get("/metrics").text
    schema = http.get("/openapi.json").json()
    assert {f"/v1/{kind}" for kind in JOB_TYPES} <= set(schema["paths"])
    docs = http.get("/docs").text
    assert "/v1/protect" in docs
    assert not re.search(r'(src|href)="(?!#)[^"]*//', docs), "nothing from elsewhere"
    assert f"curl -F image=@image.png '{served.url}/v1/protect" in docs.replace("&#x27;", "'")
    assert served.data.is_dir()


def examples() -> list[str]:
    """The commands of the documentation."""
    text = (Path(__file__).parents[1] / "docs" / "service.md").read_text()
    return [line for line in text.split("```sh\n")[1].split("```")[0].splitlines() if line]


def test_an_example_of_every_kind() -> None:
    assert {kind for line in examples() for kind in JOB_TYPES if f"/v1/{kind}" in line} == set(JOB_TYPES)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("command", examples())
def test_the_examples_of_the_documentation(served: Served, data: bytes, tmp_path: Path, command: str) -> None:
    (tmp_path / "photo.png").write_bytes(data)
    mask = Image.new("L", (40, 30))
    mask.paste(255, (5, 5, 15, 15))
    mask.save(tmp_path / "mask.png")
    words = [word.replace("http://127.0.0.1:8000", served.url) for word in shlex.split(command)]
    result = subprocess.run(words, capture_output=True, cwd=tmp_path, check=True)
    if "-o" in words:
        assert opened((tmp_path / "restored.png").read_bytes()).size == (40, 30)
    else:
        assert json.loads(result.stdout)["state"] == "done"


def test_only_names_of_this_machine_are_answered_to(http: httpx2.Client) -> None:
    answer = http.get("/healthz", headers={"Host": "rebound.example.org"})
    assert answer.status_code == 403
    assert "localhost" in answer.json()["error"]["message"]
    assert http.get("/healthz", headers={"Host": "localhost:1"}).status_code == 200


def test_a_folder_has_one_service(served: Served) -> None:
    with pytest.raises(DeepProtectionError, match="another service"):
        create_app(Settings(data=served.data))


def test_the_command_asks_a_service(served: Served, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(data)
    options = ["-o", "out", "-O", "stop=fixed:2", "-O", "answer=restored", "--url", served.url, "--json"]
    result = run("client", "protect", "photo.png", *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["results"][0]["answer"]["iterations_run"] == 2
    assert opened((tmp_path / "out" / "photo.png.result.png").read_bytes()).size == (40, 30)


def test_the_command_keeps_a_tree_and_what_is_there(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 0, 255))):
        (tmp_path / "in" / name).mkdir(parents=True)
        Image.new("RGB", (40, 40), colour).save(tmp_path / "in" / name / "1.png")
    ask = partial(client_command, "dejpeg", option=["stop=fixed:2"], url=served.url)
    out = tmp_path / "out"
    assert ask([str(tmp_path / "in")], out) == 0
    results = [opened((out / name / "1.png.result.png").read_bytes()) for name in ("a", "b")]
    assert [max("RGB", key=lambda each: image.getchannel(each).getextrema()[1]) for image in results] == ["R", "B"]
    with pytest.raises(DeepProtectionError, match="add --overwrite"):
        ask([str(tmp_path / "in")], out)
    with pytest.raises(DeepProtectionError, match="would both be written to"):
        ask([str(tmp_path / "in" / name / "1.png") for name in ("a", "b")], tmp_path / "other")
    assert ask([str(tmp_path / "in")], out, overwrite=True) == 0
    assert ask([str(tmp_path / "in")]) == 0
    assert "give a folder with -o" in capsys.readouterr().err.replace("\n", " ")


def test_an_option_of_the_command_that_is_none() -> None:
    with pytest.raises(DeepProtectionError, match="NAME=VALUE"):
        client_command("protect", ["photo.png"], option=["stop"])
