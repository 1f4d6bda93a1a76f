"""Classifiers that can only be asked: functions, and services on a real HTTP server on this machine.

The server speaks Clarifai's documented protocol over lite0. Clarifai itself is not reached from here.
"""

import json
import logging
import pickle
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import run
from local_service import (
    KEY,
    MODEL,
    LocalService,
    Mishap,
    cut_off,
    dripping,
    endless,
    hung_up,
    said,
    serving,
    slow,
    status,
)
from PIL import Image
from test_cli import opened
from torch import Tensor

import deep_protection as dp
from deep_protection.classifiers import BlackBox, is_remote
from deep_protection.classifiers.black_box import FLOOR, NOTHING, SLOTS
from deep_protection.cli import main
from deep_protection.detection import per_classifier_rate
from deep_protection.evaluation import RealWorld, imagenet_samples, markdown
from deep_protection.images import to_pillow

BUSY = status(500, 43040, "Internal")


@pytest.fixture(scope="module")
def running(lite0: dp.Classifier) -> Iterator[LocalService]:
    with serving(lite0) as service:
        yield service


@pytest.fixture
def service(running: LocalService, monkeypatch: pytest.MonkeyPatch) -> LocalService:
    """Nothing goes wrong yet, nothing was asked yet, and the environment has its key."""
    running.mishaps.clear()
    running.seen.clear()
    monkeypatch.setenv("CLARIFAI_PAT", KEY)
    monkeypatch.setenv("CLARIFAI_API_BASE", running.base)
    return running


@pytest.fixture
def clarifai(service: LocalService) -> BlackBox:
    assert service.base
    loaded = dp.load_classifier(f"clarifai:{MODEL}")
    assert isinstance(loaded, BlackBox)
    return loaded


@pytest.fixture(scope="module")
def image(lite0: dp.Classifier, photograph: Image.Image) -> Tensor:
    """``1×3×224×224``."""
    return lite0.preprocess(photograph)[None]


def written(service: LocalService, path: str, folder: Path, text: str) -> dp.Classifier:
    """The classifier of a TOML file with this text and the address of the local server."""
    file = folder / "mine.toml"
    file.write_text(f'url = "{service.base}{path}"\nbackoff = 0.01\n{text}')
    return dp.load_classifier(f"http:{file}")


PLAIN = '[answer]\nlabels = "predictions[].class"\nprobabilities = "predictions[].p"\n'
RAW = f'[body]\nkind = "raw"\n{PLAIN}'


def test_a_service_says_what_the_classifier_behind_it_says(
    clarifai: BlackBox, lite0: dp.Classifier, image: Tensor, service: LocalService
) -> None:
    ours, theirs = clarifai.top(image)[0], lite0.top(image)[0]
    assert [each.label for each in ours] == [each.label for each in theirs]
    assert [each.probability for each in ours] == pytest.approx([each.probability for each in theirs], abs=1e-5)
    (request,) = service.seen
    assert request.path == f"/v2/users/clarifai/apps/main/models/{MODEL}/outputs"
    assert request.headers["Authorization"] == f"Key {KEY}"


def test_what_is_sent_is_rounded_to_8_bits(clarifai: BlackBox, image: Tensor) -> None:
    """Which by itself undoes attacks that look for the smallest change."""
    nearly = (image + 0.4 / 255).clamp(0, 1)
    assert torch.equal(clarifai(nearly), clarifai(image))


def test_images_are_sent_whole_and_not_too_large(clarifai: BlackBox, photograph: Image.Image) -> None:
    assert clarifai.preprocess(photograph.resize((1024, 300))).shape == (3, 150, 512)
    small = photograph.resize((40, 30))
    assert torch.equal(clarifai.preprocess(small), torch.from_numpy(np.array(small)).permute(2, 0, 1).div(255))


def test_labels_that_were_not_known_get_an_index_that_stays(
    clarifai: BlackBox, recognised: tuple[Tensor, Tensor]
) -> None:
    first = clarifai(recognised[0][:1])
    known = list(clarifai.labels)
    both = clarifai(recognised[0][:2])
    assert both.shape == (2, SLOTS)
    assert torch.equal(both[0], first[0])
    assert clarifai.labels[: len(known)] == known
    assert len(clarifai.labels) > len(known)
    assert both.exp().sum(dim=1).max() <= 1 + SLOTS * FLOOR
    assert clarifai.label(int(both[1].argmax())) == clarifai.top(recognised[0][1:2])[0][0].label


def test_images_keep_their_order_when_asked_at_once(
    clarifai: BlackBox, lite0: dp.Classifier, recognised: tuple[Tensor, Tensor], service: LocalService
) -> None:
    service.mishaps.extend([slow_start, lambda handler: handler._clarifai()])
    names = [row[0].label for row in clarifai.top(recognised[0])]
    assert names == [row[0].label for row in lite0.top(recognised[0])]


def slow_start(handler: Any) -> None:
    time.sleep(0.3)
    handler._clarifai()


def test_it_can_be_protected_and_is_asked_once_an_image(
    clarifai: BlackBox, image: Tensor, service: LocalService
) -> None:
    protected = dp.protect(clarifai)
    assert protected.answer == "restored", "each question is paid for"
    assert [is_remote(name) for name in (clarifai.name, "http:service.toml", "lite0", "http")] == [
        True,
        True,
        False,
        False,
    ]
    logits = protected(image)
    assert len(service.seen) == 1
    restored = protected.purify(image)
    assert torch.equal(restored, dp.purify(image)), "auto must end as it does without a classifier"
    assert [each.label for each in clarifai.best(logits)[0]] == [each.label for each in clarifai.top(restored)[0]]
    service.seen.clear()
    dp.protect(clarifai, stop="stable:2")(image)
    assert len(service.seen) > 2, "a rule that is named asks at checkpoints"


def test_who_pays_for_it_has_a_service_answer_by_contrast(
    clarifai: BlackBox, lite0: dp.Classifier, image: Tensor, service: LocalService
) -> None:
    protected = dp.protect(clarifai, answer="contrast", when="always", quick=True)
    (found,) = protected.explain(image)
    assert len(service.seen) == 16
    assert (found.is_suspicious, found.p_value) == (True, None)
    original = int(found.responses.original.argmax())
    assert clarifai.label(original) == lite0.top(image)[0][0].label
    assert found.logits.exp().sum().item() == pytest.approx(1, abs=1e-3)


def probabilities(lite0: dp.Classifier) -> dp.Classifier:
    """lite0 as a function that gives a probability for every class."""

    @torch.no_grad()
    def rows(pixels: Tensor) -> Tensor:
        answers: Tensor = lite0(pixels).softmax(dim=-1)
        return answers

    return dp.load_classifier(rows, labels=lite0.labels)


def test_a_function_that_gives_probabilities_is_answered_by_contrast(
    lite0: dp.Classifier, recognised: tuple[Tensor, Tensor], attacked: Tensor
) -> None:
    pixels = recognised[0][:2]
    theirs = probabilities(lite0)
    protected = dp.protect(theirs, calibration=replace(dp.Calibration.shipped("lite0"), classifier=theirs.name))
    assert protected.answer == "contrast"
    with torch.no_grad():
        ours = dp.protect(lite0).explain(attacked)
    found = protected.explain(attacked)
    assert [each.answer for each in found] == [each.answer for each in ours] == ["contrast", "contrast"]
    for one, other in zip(found, ours, strict=True):
        assert one.agreement == pytest.approx(other.agreement, abs=1e-3)
        assert theirs.label(int(one.logits.argmax())) == lite0.label(int(other.logits.argmax()))
    # Its logits are logarithms of probabilities, and so are those of its protected answers.
    answers = protected(torch.stack([attacked[0], pixels[0]])).exp()
    assert answers.sum(dim=1).tolist() == pytest.approx([1, 1], abs=1e-3)
    assert answers[1].argmax() == theirs(pixels[:1]).argmax()
    # Without a calibration a fixed threshold decides.
    (plain,) = dp.protect(theirs, quick=True).explain(attacked[:1])
    assert (plain.answer, plain.p_value) == ("contrast", None)


@pytest.mark.campaign
def test_a_function_that_gives_labels_is_answered_by_its_restored_image(
    lite0: dp.Classifier, recognised: tuple[Tensor, Tensor], attacked: Tensor
) -> None:
    """Where that is suspicious; labels show no direction to go on in."""

    def named(pixels: Tensor) -> list[str]:
        return [row[0].label for row in lite0.top(pixels, 1)]

    theirs = dp.load_classifier(named)
    pixels, labels = recognised[0][:2], recognised[1][:2]
    found = dp.protect(theirs, when="always").explain(attacked)
    with torch.no_grad():
        ours = dp.protect(lite0).explain(attacked)
    for each, whole in zip(found, ours, strict=True):
        assert (each.answer, each.strength) == ("restored", 0)
        votes = whole.responses.restored.argmax(dim=1)
        assert theirs.label(int(each.logits.argmax())) == lite0.label(int(votes.mode().values))
    clean = dp.protect(theirs).explain(pixels)
    assert [each.answer for each in clean] == ["own", "own"]
    assert [theirs.label(int(each.logits.argmax())) for each in clean] == [lite0.label(int(each)) for each in labels]


def test_probabilities_of_concepts_stay_as_they_were_given(image: Tensor) -> None:
    """Many services give each concept a probability of its own."""
    concepts = {"dog": 0.99, "pet": 0.98, "grass": 0.5}
    model = dp.load_classifier(lambda pixels: [concepts] * len(pixels))
    for defended in (dp.protect(model, stop="fixed:2"), dp.protect(model, stop="fixed:2", views=True)):
        top = model.best(defended(image))[0]
        assert {each.label: each.probability for each in top} == pytest.approx(concepts, abs=1e-4)


@pytest.mark.campaign
def test_it_detects_with_a_calibration(
    clarifai: BlackBox, lite0: dp.Classifier, recognised: tuple[Tensor, Tensor]
) -> None:
    # The service names twenty labels and no more, which makes its answers jump: it needs a calibration of its own.
    clean = [lite0.preprocess(each) for each, _ in imagenet_samples()]
    known = dp.calibrate(clean, clarifai, quick=True, description="foolbox's photographs")
    peppered = recognised[0][0].clone()
    peppered.view(3, -1)[:, ::200] = 1.0
    found = dp.detect([peppered, recognised[0][0]], clarifai, calibration=known, false_positive_rate=0.1)
    assert [each.is_suspicious for each in found] == [True, False]
    assert found[1].label_before.label == lite0.top(recognised[0][:1])[0][0].label
    with pytest.raises(dp.OptionError, match="no calibration for classifier 'clarifai:general-image-recognition'"):
        dp.detect(peppered, clarifai)


def test_attacks_that_only_ask_work_and_others_say_why_not(recognised: tuple[Tensor, Tensor]) -> None:
    def redder(pixels: Tensor) -> Tensor:
        """Is there more red than green? Nothing that anyone could differentiate."""
        share = (pixels[:, 0] > pixels[:, 1]).float().mean(dim=(1, 2))
        return torch.stack([share, 1 - share], dim=1)

    model = dp.load_classifier(redder, labels=["red", "green"])
    images = recognised[0][:2, :, ::8, ::8]
    labels = model(images).argmax(dim=-1)
    made = dp.attack(model, images, labels, "saltpepper")
    assert made.success.all()
    assert (made.queries > 10).all()
    for name in ("pgd", "fgsm", "cw"):
        with pytest.raises(dp.ClassifierError, match=r"redder is a black box.*no gradient.*saltpepper.*such as lite0"):
            dp.attack(model, images, labels, name)
    with pytest.raises(dp.ClassifierError, match="no gradient"):
        dp.attack(dp.protect(model, stop="fixed:1"), images[:1], labels[:1], "fgsm")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([("cat", 0.75), ("dog", 0.25)], {"cat": 0.75, "dog": 0.25}),
        ({"cat": 0.75, "dog": 0.25}, {"cat": 0.75, "dog": 0.25}),
        ([{"label": "cat", "score": 0.75}], {"cat": 0.75}),
        ("cat", {"cat": 1.0}),
        (["cat", "dog"], {"cat": 1.0}),
        ([("cat", 0.5), ("cat", 0.75)], {"cat": 0.75}),
        ([("a\x1b[2J\nb", 0.75)], {"a [2J b": 0.75}),
        ([], {NOTHING: 1.0}),
        (np.array([0.75, 0.25]), {"0": 0.75, "1": 0.25}),
        (torch.tensor([0.75, 0.25]), {"0": 0.75, "1": 0.25}),
    ],
    ids=repr,
)
def test_functions_may_answer_in_many_ways(answer: Any, expected: dict[str, float], photograph: Image.Image) -> None:
    model = dp.load_classifier(lambda _: answer, takes="images")
    top = model.top(model.preprocess(photograph)[None])[0]
    assert {each.label: each.probability for each in top} == pytest.approx(expected)


def test_a_function_may_take_images_or_pixels(lite0: dp.Classifier, photograph: Image.Image, image: Tensor) -> None:
    @torch.no_grad()
    def by_pixels(pixels: Tensor) -> Tensor:
        probabilities: Tensor = lite0(pixels).softmax(dim=-1)
        return probabilities

    def by_image(given: Image.Image) -> list[tuple[str, float]]:
        assert given.mode == "RGB"
        return [(each.label, each.probability) for each in lite0.top(lite0.preprocess(given)[None])[0]]

    expected = lite0.top(image)[0][0]
    named = dp.load_classifier(by_pixels, labels=lite0.labels)
    assert named.name == "by_pixels"
    assert torch.equal(named.preprocess(photograph), image[0])
    assert named.top(image)[0][0].index == expected.index
    assert named(image[:0]).shape == (0, 1000)
    other = dp.load_classifier(by_image, takes="images")
    assert other.top(other.preprocess(photograph)[None])[0][0].label == expected.label


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (lambda x: x.mean(dim=(2, 3)) * 9, {}, "where a probability in .0, 1. was expected; logits need a softmax"),
        (lambda x: [[float("nan"), 1.0]] * len(x), {}, "answered with nan"),
        (lambda x: [[0.5, 0.5]] * len(x), {"labels": ["one"]}, "2 probabilities for 1 labels"),
        (lambda x: [[("cat", 0.5)]] * len(x), {"labels": ["dog"]}, "'cat', which is not among the labels"),
        (lambda x: [[("cat", "much")]] * len(x), {}, "answered with 'much'"),
        (lambda _: [0.5], {}, "given 2 images and answered with list of length 1"),
        (lambda _: None, {}, "given 2 images and answered with NoneType"),
        (lambda _: ["cat", [0.5]], {}, "now with probabilities of all classes, now with labels"),
        (lambda _: 3.5, {"takes": "images"}, "answered with 3.5, in which no labels"),
    ],
)
def test_answers_that_make_no_sense_are_refused(function: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(dp.ClassifierError, match=message):
        dp.load_classifier(function, **options)(torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (0, 0, 0)}, "a function normalises by itself"),
        ({"takes": "both"}, "takes must be one of pixels, images"),
        ({"labels": []}, "labels is empty"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(dp.ClassifierError, match=message):
        dp.load_classifier(lambda pixels: pixels, **options)
    with pytest.raises(dp.ClassifierError, match="takes is for functions"):
        dp.load_classifier(torch.nn.Flatten(), takes="pixels")


@pytest.mark.parametrize(
    ("mishaps", "asked"),
    [
        ([status(429, 11005, "Throttled", Retry_After="0")], 2),
        ([BUSY, BUSY], 3),
        ([cut_off, hung_up], 3),
        ([status(200, 10030, "Try again")], 2),
        ([said(b"upstream down", 503)], 2),
    ],
    ids=["throttled", "twice 500", "cut off", "try again", "503 from a proxy"],
)
def test_a_busy_service_is_asked_again(
    mishaps: list[Mishap], asked: int, service: LocalService, image: Tensor, lite0: dp.Classifier
) -> None:
    service.mishaps.extend(mishaps)
    assert patient(service).top(image)[0][0].label == lite0.top(image)[0][0].label
    assert len(service.seen) == asked


def patient(service: LocalService, **changes: Any) -> dp.Classifier:
    """Clarifai's protocol, less patiently than people need it."""
    from deep_protection.classifiers.remote import classifier_of
    from deep_protection.classifiers.remote.clarifai import clarifai

    assert service.base
    return classifier_of(clarifai(MODEL).model_copy(update={"backoff": 0.01, **changes}))


def test_it_waits_as_long_as_the_service_asks(service: LocalService, image: Tensor) -> None:
    service.mishaps.append(status(429, 11005, "Throttled", Retry_After="1"))
    begin = time.monotonic()
    patient(service).top(image)
    assert time.monotonic() - begin >= 1
    service.mishaps.append(status(429, 11005, "Throttled", Retry_After="3600"))
    service.seen.clear()
    with pytest.raises(dp.ClassifierError, match=r"try again later .*asks to wait 3600 s"):
        patient(service).top(image)
    later = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    service.mishaps.append(status(503, 40031, "Unavailable", Retry_After=later))
    with pytest.raises(dp.ClassifierError, match=r"asks to wait 7[12]\d\d"):
        patient(service).top(image)
    assert len(service.seen) == 2, "neither was waited for"


@pytest.mark.parametrize(
    ("mishap", "message", "asked"),
    [
        (status(401, 11102, "Invalid request"), r"the key in CLARIFAI_PAT is not accepted.*401.*11102", 1),
        (status(403, 11007, "Scopes"), "the key in CLARIFAI_PAT is not accepted", 1),
        (status(402, 11000, "Account issues"), "may ask no more for now; see its plan", 1),
        (status(429, 11004, "Monthly limit exceeded"), "may ask no more for now.*11004, Monthly", 1),
        (status(404, 21200, "Model does not exist"), "no such model", 1),
        (status(400, 30300, "Bad bytes", "no image"), "was refused.*30300, Bad bytes: no image", 1),
        (status(500, 43040, "Internal"), "cannot answer now; try again later", 3),
        (said(b"<html>hello</html>"), "the answer is not JSON: <html>hello", 1),
        (said(b""), "not JSON: empty", 1),
        (said(b"[" * 100_000), "not JSON", 1),
        (said(b"\xff\xfe{}"), "not JSON", 1),
        (said(b'{"status": {"code": 10000}}'), r"nothing is at outputs\[0\]\.data\.concepts", 1),
        (said(b'{"status": 3, "outputs": 4}'), "nothing is at", 1),
        (said(b'{"status": {"code": [1]}}'), "was refused", 1),
        (said(b'{"outputs": [{"data": {"concepts": [{"name": "x", "value": NaN}]}}]}'), "answered with nan", 1),
        (said(b'{"outputs": [{"data": {"concepts": [{"name": "x", "value": 70}]}}]}'), "with 70 where", 1),
        (said(b'{"outputs": [{"data": {"concepts": [{"name": "x"}]}}]}'), "not two lists of one length", 1),
        (said(b'{"outputs": [{"data": {"concepts": [{"name": 7, "value": 0.5}]}}]}'), "no labels", 1),
        (
            said(b'{"status": {"code": 10020}, "outputs": [{"status": {"code": 30002, "description": "Unread"}}]}'),
            "code 30002, Unread",
            1,
        ),
        (said(b"", 302), "was refused.*302", 1),
        (cut_off, "the connection failed.*try again later", 3),
        (endless, "larger than 4 MB", 1),
        (slow(0.8), r"no answer within 0\.3 s", 3),
        (dripping, r"no answer within 0\.3 s", 3),
    ],
)
def test_what_goes_wrong_is_said(
    mishap: Mishap, message: str, asked: int, service: LocalService, image: Tensor
) -> None:
    service.mishaps.extend([mishap] * 9)
    model = patient(service, attempts=3, timeout=0.3)
    with pytest.raises(dp.ClassifierError, match=message):
        model.top(image)
    assert len(service.seen) == asked


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, service: LocalService, image: Tensor) -> None:
    monkeypatch.setenv("CLARIFAI_API_BASE", "http://127.0.0.1:9")
    with pytest.raises(dp.ClassifierError, match=r"127\.0\.0\.1:9/v2.*the connection failed"):
        patient(service, attempts=2).top(image)


def test_a_key_is_told_to_nobody_but_the_service(
    service: LocalService, image: Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in a representation, a pickle, a log, an error or the traceback of one, whatever the service repeats."""
    caplog.set_level(logging.DEBUG)
    model = patient(service)
    model.top(image)
    wrong = "wrong-" + KEY
    monkeypatch.setenv("CLARIFAI_PAT", wrong)
    with pytest.raises(dp.ClassifierError, match=r"CLARIFAI_PAT is not accepted.*Invalid token Key \*\*\*") as caught:
        model.top(image)
    service.mishaps.append(said(b"x" * 100 + wrong.encode()))  # where the message is cut short
    with pytest.raises(dp.ClassifierError, match="not JSON") as cut:
        model.top(image)
    told = [repr(model), str(model.__dict__), repr(model._ask), repr(vars(model._ask)), caplog.text]
    told.append(pickle.dumps(model._ask).decode("latin-1"))
    for error in (caught.value, cut.value):
        assert error.__context__ is None
        assert error.__cause__ is None
        assert error.__traceback__ is not None
        ours = error.__traceback__.tb_next  # this function itself knows the key
        shown = traceback.TracebackException(type(error), error, ours, capture_locals=True)
        told.append("".join(shown.format()))
    assert len(caplog.text) > 100
    for text in told:
        assert KEY not in text
        assert wrong[:8] not in text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clarifai:", "names no model; write clarifai:MODEL"),
        ("clarifai:a/b", "names no model"),
        ("clarifai:../x", "names no model"),
        ("clarifai:a b", "names no model"),
        ("http:", "cannot be read"),
        ("http:nowhere.toml", r"nowhere.toml cannot be read.*give http: and a TOML file"),
        ("http://example.org/x", "write a TOML file"),
    ],
)
def test_names_that_mean_nothing_are_refused(name: str, message: str, service: LocalService) -> None:
    assert service.base
    with pytest.raises(dp.ClassifierError, match=message):
        dp.load_classifier(name)


def test_a_missing_key_is_said_before_anything_is_done(
    service: LocalService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLARIFAI_API_BASE", "http://api.example.org")
    with pytest.raises(dp.ClassifierError, match=r"CLARIFAI_API_BASE cannot be used.*unencrypted; use https"):
        dp.load_classifier("clarifai:x")
    monkeypatch.setenv("CLARIFAI_PAT", "clé")
    with pytest.raises(dp.ClassifierError, match="no HTTP header can"):
        written(service, "/raw", tmp_path, f'headers = {{ X-Key = "${{CLARIFAI_PAT}}" }}\n{RAW}')
    monkeypatch.delenv("CLARIFAI_PAT")
    monkeypatch.delenv("CLARIFAI_API_BASE")
    with pytest.raises(dp.ClassifierError, match="needs the environment variable CLARIFAI_PAT, which is not set"):
        dp.load_classifier("clarifai:x")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/raw", RAW),
        ("/form", f'[body]\nkind = "multipart"\nfield = "upload"\nfields = {{ detail = "high" }}\n{PLAIN}'),
        ("/raw", '[body]\nkind = "raw"\n[answer]\nlabels = "predictions[].class"\n'),
        ("/all", '[body]\nkind = "raw"\n[answer]\nprobabilities = "scores"\n'),
        (
            f"/v2/users/clarifai/apps/main/models/{MODEL}/outputs",
            """
            headers = { Authorization = "Key ${CLARIFAI_PAT}" }
            [body]
            template = { inputs = [{ data = { image = { base64 = "{image}" } } }] }
            [answer]
            labels = "outputs[0].data.concepts[].name"
            probabilities = "outputs[0].data.concepts[].value"
            """,
        ),
    ],
    ids=["raw", "multipart", "labels only", "probabilities only", "json and a key"],
)
def test_any_service_can_be_described(
    path: str, text: str, service: LocalService, tmp_path: Path, lite0: dp.Classifier, image: Tensor
) -> None:
    model = written(service, path, tmp_path, text)
    assert model.name == "http:mine"
    found, expected = model.top(image)[0][0], lite0.top(image)[0][0]
    assert found.label == (str(expected.index) if path == "/all" else expected.label)
    assert found.probability == pytest.approx(1.0 if "probabilities" not in text else expected.probability, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "answer: Field required"),
        ("nonsense", "is not TOML"),
        ('[answer]\nlabels = "a["', "is no JMESPath"),
        ("[answer]", "give the JMESPath of labels"),
        (f"timeout = 0\n{PLAIN}", "timeout: Input should be greater than 0"),
        (f"colour = 1\n{PLAIN}", "colour: Extra inputs are not permitted"),
        (f'[body]\ntemplate = {{ a = "b" }}\n{PLAIN}', r"template has no \{image\}"),
        (f'headers = {{ A = "$5" }}\n{PLAIN}', r"header A has a \$"),
    ],
)
def test_descriptions_that_cannot_be_used_are_refused(
    text: str, message: str, service: LocalService, tmp_path: Path
) -> None:
    with pytest.raises(dp.ClassifierError, match=message):
        written(service, "/raw", tmp_path, text)
    file = tmp_path / "other.toml"
    file.write_text(f'url = "ftp://here"\n{PLAIN}')
    with pytest.raises(dp.ClassifierError, match="url must begin with https"):
        dp.load_classifier(f"http:{file}")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("deep_protection.classifiers.remote")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(sys.modules["deep_protection.classifiers"], "remote", raising=False)
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(dp.MissingExtraError, match=r"pip install 'deep-protection\[remote\]'"):
        dp.load_classifier("clarifai:general-image-recognition")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command in this process, which is quicker: exit code, standard output, standard error."""

    def run_here(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["deep-protection", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run_here


Command = Callable[..., tuple[int, str, str]]


@pytest.mark.campaign
def test_the_command_shows_what_a_service_makes_of_a_perturbed_image(
    service: LocalService, photograph: Image.Image, tmp_path: Path
) -> None:
    photograph.save(tmp_path / "dog.png")
    out = tmp_path / "out"
    options = ("--classifier", f"clarifai:{MODEL}", "--stop", "fixed:20", "-o", out, "--json", "-q")
    result = run("real-world", tmp_path / "dog.png", *options)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    # The service is lite0 itself here, so the attack on lite0 reaches it.
    assert found["fooled"]
    assert found["target_named"]
    first = {name: each["top"][0]["label"] for name, each in found["answers"].items()}
    assert first == dict.fromkeys(first, "bull mastiff") | {"adversarial": "gibbon"}
    assert len(service.seen) == 4
    assert json.loads((out / "results.json").read_text()) == found
    report = (out / "report.md").read_text()
    assert "was fooled: its first answer went from bull mastiff" in report
    assert "| original | adversarial | JPEG 25 | restored |" in report
    images = {each["image"]: opened(out / each["image"]) for each in found["answers"].values()}
    change = np.asarray(images["adversarial.png"], dtype=int) - np.asarray(images["original.png"], dtype=int)
    assert np.abs(change).max() == 8
    assert opened(out / "real-world.png").width > 1000
    assert KEY.encode() not in result.stdout + result.stderr + report.encode()


def test_the_command_says_what_is_wrong_and_leaves_nothing(
    service: LocalService, image_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    out = tmp_path / "out"
    common = ("real-world", image_file, "--classifier", f"clarifai:{MODEL}", "-o", out, "-q")
    for changed, message in (
        (("--target", "gibon"), "lite0 has no class 'gibon'; did you mean gibbon"),
        (("--epsilon", "0"), "epsilon is in 255ths"),
        (("--surrogate", f"clarifai:{MODEL}"), "is a black box, on which no attack can be made"),
    ):
        code, stdout, stderr = command(*common, *changed)
        assert (code, stdout) == (1, "")
        assert message in stderr
    assert not service.seen
    monkeypatch.setenv("CLARIFAI_PAT", "wrong")
    code, stdout, stderr = command(*common)
    assert (code, stdout) == (1, "")
    assert len(stderr.splitlines()) == 1
    assert "the key in CLARIFAI_PAT is not accepted" in stderr
    assert len(service.seen) == 1, "before the attack, not after it"
    assert not out.exists()
    monkeypatch.delenv("CLARIFAI_PAT")
    code, _, stderr = command("classify", image_file, "--classifier", "clarifai:x")
    assert code == 1
    assert "needs the environment variable CLARIFAI_PAT" in stderr


def answers(**labels: str) -> dict[str, list[dp.Prediction]]:
    return {name: [dp.Prediction(0, label, 0.5)] for name, label in labels.items()}


@pytest.mark.parametrize(
    ("adversarial", "filtered", "restored", "told"),
    [
        ("gibbon", "dog", "dog", ["was fooled", "gibbon is among", "brought that answer back: dog", "did too"]),
        ("ape", "dog", "ape", ["gibbon is not among", "did not bring it back: ape", "next to nothing, did."]),
        ("ape", "cat", "dog", ["brought that answer back", "quality 25 did not: cat"]),
        ("dog", "dog", "cat", ["was not fooled", "no answer to bring back", "restored image it is cat"]),
    ],
)
def test_the_report_says_what_happened_and_no_more(
    adversarial: str, filtered: str, restored: str, told: list[str]
) -> None:
    found = RealWorld(
        classifier="theirs",
        surrogate="lite0",
        target="gibbon",
        epsilon=8,
        images=dict.fromkeys(("original", "adversarial", "JPEG 25", "restored"), torch.zeros(3, 8, 8)),
        answers=answers(original="dog", adversarial=adversarial, restored=restored)
        | {"JPEG 25": answers(x=filtered)["x"]},
        surrogate_answers={"original": dp.Prediction(1, "dog", 0.9), "adversarial": dp.Prediction(2, "gibbon", 0.9)},
    )
    text = " ".join(found.verdict())
    for words in told:
        assert words in text
    assert "an anecdote" in text
    assert "a\\|b&lt;c" in markdown(replace(found, classifier="a|b<c"), "p.png")


def test_several_classifiers_are_shown_beside_each_other(
    service: LocalService, photograph: Image.Image, tmp_path: Path, command: Command
) -> None:
    assert service.base
    photograph.resize((224, 224)).save(tmp_path / "dog.png")
    both = ("--classifier", "lite0", "--classifier", f"clarifai:{MODEL}", "--classifier", "lite0")
    reports = json.loads(command("classify", tmp_path / "dog.png", *both, "--json")[1])["classifiers"]
    assert [each["classifier"] for each in reports] == ["lite0", f"clarifai:{MODEL}"]
    assert {each["results"][0]["top5"][0]["label"] for each in reports} == {"bull mastiff"}
    code, table, _ = command("classify", tmp_path / "dog.png", *both)
    assert code == 0
    assert "lite0, as it" in table
    assert table.count("mastiff") >= 2


def test_an_image_is_suspicious_when_any_classifier_finds_it_so(
    service: LocalService, recognised: tuple[Tensor, Tensor], tmp_path: Path, command: Command
) -> None:
    assert service.base
    theirs, file = f"clarifai:{MODEL}", tmp_path / "theirs.json"
    # To the second classifier, whose clean images are said to score high, nothing stands out.
    known = dp.Calibration.shipped("lite0", quick=True)
    high = [score + 100 for score in known.scores]
    replace(known, classifier=theirs, scores=high, first_look=None).save(file)
    peppered = recognised[0][0].clone()
    peppered.view(3, -1)[:, ::200] = 1.0
    to_pillow(peppered).resize((256, 256), Image.Resampling.NEAREST).save(tmp_path / "peppered.png")
    both = ("detect", tmp_path / "peppered.png", "--quick", "--classifier", "lite0", "--classifier", theirs)
    code, stdout, stderr = command(*both, "--json", "--calibration", file)
    assert code == 3, stderr
    (found,) = json.loads(stdout)["results"]
    one, other = found["by_classifier"]["lite0"], found["by_classifier"][theirs]
    assert (one["is_suspicious"], other["is_suspicious"], found["is_suspicious"]) == (True, False, True)
    assert other["p_value"] == 1
    assert found["p_value"] == 2 * one["p_value"]
    code, table, _ = command(*both, "--calibration", file)
    assert code == 3
    assert "suspicious" in table
    assert "p 0.01" in table
    code, stdout, stderr = command(*both, "--calibration", file, "--false-positive-rate", "0.012")
    assert (code, stdout) == (1, "")
    assert "a share of 0.012 among 2 classifiers" in stderr
    assert f"no calibration for classifier '{theirs}'" in command(*both)[2]
    alone = command("detect", tmp_path / "peppered.png", "--classifier", "lite0", "--calibration", file)
    assert f"made with classifier '{theirs}', not 'lite0'" in alone[2]


def test_each_classifier_gets_an_equal_share_of_the_rate() -> None:
    """On clean images, whose p-values are uniform, all classifiers together keep to the rate, however they agree."""
    known = replace(dp.Calibration.shipped("lite0"), scores=[float(score) for score in range(199)])
    rate, draw = 0.1, np.random.default_rng(0)
    share = per_classifier_rate(rate, [known] * 4)
    assert share == rate / 4
    own = draw.uniform(-1, 199, size=(4000, 4))
    for scores in (own, own[:, :1].repeat(4, axis=1)):
        flagged = (np.vectorize(known.p_value)(scores) <= share).any(axis=1).mean()
        assert flagged <= rate + 0.01


def test_docs_say_how_a_service_is_described(service: LocalService, tmp_path: Path, image: Tensor) -> None:
    """The first TOML file of docs/remote.md, with the address of the local server in it."""
    text = (Path(__file__).parents[1] / "docs" / "remote.md").read_text()
    described = text.split("```toml\n")[1].split("```")[0]
    file = tmp_path / "service.toml"
    file.write_text(
        re.sub(r'url = ".*"', f'url = "{service.base}/form"', described).replace("MY_TOKEN", "CLARIFAI_PAT")
    )
    assert dp.load_classifier(f"http:{file}").top(image)[0][0].label == "bull mastiff"
    namespace: dict[str, Any] = {"photograph": to_pillow(image[0])}
    for snippet in text.split("```python\n")[1:]:
        exec(snippet.split("```")[0], namespace)  # noqa: S102
