"""The page in a real browser, against the real service: from dropping a picture to downloading what came of it."""

import io
import json
import re
import socket
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from page import DESKTOP, DOUBLES, PHONE, UNNAMED, drop, encoded, file_of, state_of, tab_to, watching
from PIL import Image, ImageChops, ImageDraw, ImageStat
from playwright.sync_api import Browser, FilePayload, Page, ViewportSize, expect
from served import Served

pytest_plugins = ("page",)
TOKEN = "a-token-for-the-tests"  # noqa: S105


def restore_quickly(page: Page) -> None:
    page.click("#protect .restore-form summary")
    page.select_option("[name=stop]", "fixed:20")
    page.click("#protect .restore-form [type=submit]")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_whole_story(
    size: ViewportSize, browser: Browser, service: Served, photo: FilePayload, tmp_path: Path
) -> None:
    with watching(browser, service, size, has_touch=size is PHONE, accept_downloads=True) as watched:
        page = watched.open()
        watched.check()
        if size is PHONE:
            page.set_input_files("#protect .file-input", photo)
        else:
            drop(page, photo)
        page.wait_for_selector("#protect .verdict-title")
        expect(page.locator("#protect .now-label")).to_contain_text(re.compile("."))
        assert page.locator("#protect .column").count() == 1
        watched.check()

        page.select_option("[name=attack]", "fgsm")
        page.locator("[name=epsilon]").fill("8")
        page.click(".attack-form [type=submit]")
        page.wait_for_selector("#protect .undo:not([hidden])")
        assert "8/255" in page.inner_text(".epsilon-shown")
        assert "ooled" in page.inner_text(".attack-told")
        assert page.locator("#protect .column").count() == 2

        page.evaluate(
            """window.seen = [];
            new MutationObserver(() => window.seen.push(document.querySelector("#protect .now-what").textContent))
              .observe(document.querySelector("#protect .now-what"), { childList: true });"""
        )
        restore_quickly(page)
        page.wait_for_selector("#protect .outcome:not([hidden])")
        told = page.evaluate("window.seen")
        assert any(re.match(r"Iteration \d+ of at most 20", line) for line in told), told
        assert page.locator("#protect .column").count() == 3
        assert page.locator("#protect .bar").count() == 15
        assert page.locator("#protect .plot-stop").count() == 1
        assert "20" in page.inner_text("#protect .outcome-told")
        check_references(page)
        check_divider(page)
        check_difference(page)
        watched.check()

        with page.expect_download() as coming:
            page.click("#protect .download")
        coming.value.save_as(tmp_path / "restored.png")
        assert coming.value.suggested_filename == "holiday-restored.png"
        with service.http() as http:
            assert (tmp_path / "restored.png").read_bytes() == http.get(f"{watched.jobs[-1]}/result").content
        with Image.open(tmp_path / "restored.png") as restored:
            assert restored.size == (224, 224)
        with page.expect_download() as coming:
            page.click("#protect .record")
        coming.value.save_as(tmp_path / "record.json")
        record = json.loads((tmp_path / "record.json").read_text())
        assert record["answer"]["iterations_run"] == 20
        assert page.inner_text("#protect .now-label") == record["answer"]["after"][0]["label"]
        assert told_of(record["answer"]["explanation"]) in page.inner_text("#protect .outcome-told")
        for row, known in zip(rows(page), record["answer"]["explanation"]["references"], strict=True):
            assert row[1] == known["label"]
        watched.check()


def told_of(explanation: dict[str, Any]) -> str:
    """The words for it."""
    return {
        "own": "the classifier’s own answer",
        "mild": "mildly changed copies of the picture decide",
        "contrast": "times as far again that way" if explanation["strength"] else "the mean of the answers to them",
    }[explanation["answer"]]


def rows(page: Page) -> list[list[str]]:
    return [
        [cell.inner_text() for cell in row.locator("th, td").all()]
        for row in page.locator("#protect .references tbody tr").all()
    ]


def check_references(page: Page) -> None:
    """The five answers that the answer was made of."""
    assert page.is_visible("#protect .references")
    names = ["The picture as it came in", "Mirrored, nearer and farther", "Restored"]
    assert [row[0] for row in rows(page)][:3] == names
    assert all(re.search(r"\d\u00a0%", row[2]) for row in rows(page))
    assert len(rows(page)) == 5
    assert page.locator("#protect .column h4").all_inner_texts() == ["Original", "Attacked", "Protected"]


def test_the_answer_to_the_restored_picture_alone(browser: Browser, service: Served, photo: FilePayload) -> None:
    """Of any shape: that by contrast is about what the classifier sees of a picture, this one is about all of it."""
    with watching(browser, service, DESKTOP) as watched:
        page = watched.open()
        page.set_input_files("#protect .file-input", photo)
        page.wait_for_selector("#protect .verdict-title")
        assert page.input_value("[name=answer]") == "contrast"
        assert page.is_hidden("[name=views]")
        page.evaluate(
            """window.alone = [];
            new MutationObserver(() => window.alone.push(document.querySelector("#protect .compare").className))
              .observe(document.querySelector("#protect .compare"), { attributeFilter: ["class"] });"""
        )
        restore_quickly(page)
        page.wait_for_selector("#protect .outcome:not([hidden])")
        size = "[...document.querySelectorAll('#protect .compare > img')].map((each) => each.naturalWidth)"
        page.wait_for_function(f"{size}.every((side) => side === 224)")
        assert any("is-alone" in each for each in page.evaluate("window.alone")), "the fit is not over what was sent"
        assert page.inner_text("#protect .now-what") == "Protected, the classifier says"

        page.select_option("[name=answer]", "restored")
        assert page.is_visible("[name=views]")
        page.click("#protect .restore-form [type=submit]")
        expect(page.locator("#protect .now-what")).to_have_text("Restored, the classifier sees")
        page.wait_for_selector("#protect .outcome:not([hidden])")
        page.wait_for_function(f"{size}.every((side) => side === 120)")
        assert page.is_hidden("#protect .references")
        assert page.locator("#protect .column h4").all_inner_texts() == ["As it came in", "Restored"]
        watched.check()


def check_divider(page: Page) -> None:
    """The divider moves with the keyboard, and with it what of the picture is cut off."""
    divider = page.locator("#protect .compare-range")
    clip = "getComputedStyle(document.querySelector('#protect .compare-above')).clipPath"
    before = page.evaluate(clip)
    divider.focus()
    page.keyboard.press("ArrowRight")
    assert divider.input_value() == "51"
    assert divider.get_attribute("aria-valuetext") == "51 % before, 49 % after"
    assert page.evaluate(clip) != before


def check_difference(page: Page) -> None:
    """The attack's perturbation is mid-grey but for ten times its size."""
    page.locator("#protect .views label", has_text="Perturbation").click()
    expect(page.locator("#protect .difference")).to_have_attribute("width", "224")
    values = page.evaluate(
        """[...document.querySelector("#protect .difference").getContext("2d").getImageData(0, 0, 224, 224).data]
           .filter((_, i) => i % 4 !== 3)"""
    )
    assert min(values) < 60
    assert max(values) > 190
    assert 118 < sum(values) / len(values) < 138
    page.locator("#protect .views label", has_text="Before").click()
    page.wait_for_selector("#protect .difference", state="hidden")


def test_by_keyboard_alone(browser: Browser, service: Served) -> None:
    with watching(browser, service, DESKTOP, accept_downloads=True, reduced_motion="reduce") as watched:
        page = watched.open()
        tab_to(page, "[role=tab]")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#maps:not([hidden])")
        page.keyboard.press("Home")
        page.wait_for_selector("#protect:not([hidden])")
        tab_to(page, "#theme")
        page.keyboard.press("Enter")
        assert page.get_attribute("#theme", "aria-pressed") == "true"
        page.wait_for_selector("#protect .sample img[src]")
        tab_to(page, "#protect .sample")
        page.keyboard.press("Enter")
        page.wait_for_selector("#protect .bench:not([hidden])")
        assert page.evaluate("document.activeElement.matches('#protect .restore-form [type=submit]')")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("After 2")
        assert page.input_value("[name=stop]") == "fixed:20"
        tab_to(page, "#protect .restore-form [type=submit]")
        page.keyboard.press("Enter")
        page.wait_for_selector("#protect .outcome:not([hidden])")
        assert page.inner_text("#announcer").startswith(page.inner_text("#protect .outcome-title"))
        tab_to(page, "#protect .download")
        with page.expect_download() as coming:
            page.keyboard.press("Enter")
        assert coming.value.suggested_filename.endswith("-restored.png")
        watched.check()


def test_a_fit_is_cancelled_on_the_server_too(browser: Browser, service: Served, photo: FilePayload) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = watched.open()
        page.set_input_files("#protect .file-input", photo)
        page.wait_for_selector("#protect .verdict-title")
        begin_long_fit(page)
        page.click("#protect .restore-form .cancel")
        expect(page.locator("#protect .now-what")).to_contain_text("Cancelled")
        assert page.is_enabled("#protect .restore-form [type=submit]")
        assert page.is_hidden("#protect .outcome")
        assert state_of(service, watched.jobs[-1]) == "cancelled"
        watched.check()


def begin_long_fit(page: Page) -> None:
    page.locator("#protect .segments label", has_text="Paper").click()
    page.click("#protect .restore-form [type=submit]")
    expect(page.locator("#protect .now-what")).to_contain_text("Iteration")


def test_a_page_that_is_left_takes_its_job_along(browser: Browser, service: Served, photo: FilePayload) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = watched.open()
        page.set_input_files("#protect .file-input", photo)
        page.wait_for_selector("#protect .verdict-title")
        begin_long_fit(page)
        left = watched.jobs[-1]
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert state_of(service, left) == "cancelled"
        assert page.is_visible("#protect .opening")
        watched.check()


def test_another_picture_ends_the_fit_and_stays(browser: Browser, service: Served, photo: FilePayload) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = watched.open()
        page.set_input_files("#protect .file-input", photo)
        page.wait_for_selector("#protect .verdict-title")
        begin_long_fit(page)
        left = watched.jobs[-1]
        page.set_input_files("#protect .file-input", FilePayload({**photo, "name": "other.png"}))
        assert state_of(service, left) == "cancelled"
        expect(page.locator("#protect .now-what")).to_have_text("The classifier sees")
        expect(page.get_by_alt_text("The picture as it came in: other.png")).to_be_visible()
        expect(page.locator("#protect .restore-form [type=submit]")).to_be_enabled()
        watched.check()


def test_one_thing_at_a_time(browser: Browser, service: Served, photo: FilePayload) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = watched.open()
        page.set_input_files("#protect .file-input", photo)
        page.wait_for_selector("#protect .verdict-title")
        page.select_option("[name=attack]", "ddn")
        told = page.locator("#protect .attack-told")
        page.click(".attack-form [type=submit]")
        assert page.evaluate("document.activeElement.matches('.attack-form .cancel')")
        page.keyboard.press("Enter")
        expect(told).to_have_text("Cancelled.")
        assert page.evaluate("document.activeElement.matches('.attack-form [type=submit]')")

        page.click(".attack-form [type=submit]")
        restore_quickly(page)
        expect(told).to_have_text("Cancelled.")
        page.click("#tab-maps")
        page.click("#tab-protect")
        page.wait_for_selector("#protect .outcome:not([hidden])")
        assert page.inner_text("#protect .chip-left") == "As it came in"
        first = page.get_attribute("#protect .download", "href")

        page.click("#protect .restore-form [type=submit]")
        page.wait_for_selector("#protect .outcome", state="hidden")
        page.wait_for_selector("#protect .outcome:not([hidden])")
        assert page.get_attribute("#protect .download", "href") != first
        page.fill("[name=seed]", "")
        page.click("#protect .restore-form summary")
        page.click("#protect .restore-form [type=submit]")
        assert page.evaluate("document.activeElement.matches('[name=seed]')"), "what is missing is shown"
        watched.check()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_address_with_a_tab_and_the_skip_link(size: ViewportSize, browser: Browser, service: Served) -> None:
    with watching(browser, service, size) as watched:
        page = watched.open("#maps")
        page.wait_for_timeout(300)
        assert page.evaluate("scrollY") == 0, "the top is scrolled away"
        page.locator(".skip").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        assert page.is_visible("#maps")
        watched.check()


def test_what_cannot_be_used_is_said_plainly(browser: Browser, service: Served, photograph_bytes: bytes) -> None:
    with watching(browser, service, PHONE) as watched:
        page = watched.open()
        trouble = page.locator("#protect .picker > .trouble")
        words: FilePayload = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"words"}
        page.set_input_files("#protect .file-input", words)
        expect(trouble).to_contain_text("“a.txt” is not a picture")
        huge: FilePayload = {
            "name": "huge.png",
            "mimeType": "image/png",
            "buffer": encoded(Image.new("1", (4001, 4001))),
        }
        page.set_input_files("#protect .file-input", huge)
        expect(trouble).to_contain_text("4001 × 4001 pixels; this server takes up to 16 million")
        cut: FilePayload = {
            "name": "cut.jpg",
            "mimeType": "image/jpeg",
            "buffer": photograph_bytes[: len(photograph_bytes) // 2],
        }
        page.set_input_files("#protect .file-input", cut)
        expect(trouble).to_contain_text("“cut.jpg” is not a picture")
        page.set_input_files("#protect .file-input", {**words, "name": "renamed.png", "mimeType": "image/png"})
        expect(trouble).to_contain_text("“renamed.png” is not a picture")
        page.set_input_files("#protect .file-input", {"name": "none.png", "mimeType": "image/png", "buffer": b""})
        expect(trouble).to_contain_text("“none.png” is empty")
        for side, said in (
            (16_000, "16000 × 16000 pixels; this server takes up to 16"),
            (24_000, "up to 16 million pixels can"),
        ):
            sky: FilePayload = {"name": f"{side}.png", "mimeType": "image/png", "buffer": black(side)}
            page.set_input_files("#protect .file-input", sky)
            expect(trouble).to_contain_text(said)
        assert page.is_hidden("#protect .bench")
        watched.check()


def black(side: int) -> bytes:
    """A PNG of many pixels and few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(side * (1 + side // 8)))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PAIRS = [
    *[("ink", ground, 4.5) for ground in ("ground", "surface", "mat", "accent-soft")],
    *[("soft", ground, 4.5) for ground in ("ground", "surface", "mat", "accent-soft")],
    ("on-accent", "accent", 4.5),
    ("on-accent", "accent-strong", 4.5),
    ("bad", "bad-soft", 4.5),
    ("accent", "ground", 3.0),
    ("accent", "surface", 3.0),
    ("edge", "ground", 3.0),
    ("edge", "surface", 3.0),
]
"""Text and lines on their grounds, with the contrast that WCAG 2.2 asks for (1.4.3, 1.4.11)."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_and_can_be_told_from_its_ground(scheme: str, browser: Browser, service: Served) -> None:
    with watching(browser, service, PHONE, color_scheme=scheme) as watched:
        page = watched.open()
        for tab in ("maps", "restore", "protect"):
            page.click(f"#tab-{tab}")
            watched.check()
        assert page.evaluate(UNNAMED) == []
        assert page.evaluate(DOUBLES) == []
        assert page.evaluate("document.querySelectorAll('img:not([alt])').length") == 0
        assert page.evaluate("document.documentElement.lang") == "en-GB"
        colours = page.evaluate(
            "(names) => names.map((name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name))",
            [name for pair in PAIRS for name in pair[:2]],
        )
        seen = zip(PAIRS, colours[::2], colours[1::2], strict=True)
        weak = {pair: found for pair, a, b in seen if (found := contrast(a, b)) < pair[2]}
        assert not weak
        grounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ("17, 20, 20" in grounds) == (scheme == "dark")


def contrast(one: str, other: str) -> float:
    """Of two colours written ``#rrggbb``, by WCAG."""
    low, high = sorted(luminance(each) for each in (one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour.strip()[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.campaign
def test_a_token_a_full_queue_and_a_server_that_was_killed(
    browser: Browser, photo: FilePayload, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--port", str(port), "--workers", "1", "--queue", "1")
    with Served(tmp_path / "data", *options, token=TOKEN) as served, watching(browser, served, DESKTOP) as watched:
        page = watched.page
        page.goto(served.url)
        page.fill("[name=token]", "not the token at all")
        page.keyboard.press("Enter")
        expect(page.locator("#token-told")).to_contain_text("not it")
        page.fill("[name=token]", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("html[data-ready]")
        page.set_input_files("#protect .file-input", photo)
        page.wait_for_selector("#protect .verdict-title")

        with served.http() as http:

            def submit() -> str:
                asked = "/v1/protect?preset=paper"
                job = http.post(asked, content=photo["buffer"], headers={"Content-Type": "image/jpeg"})
                return f"/v1/jobs/{job.json()['id']}"

            first = submit()
            while http.get(first).json()["state"] != "running":
                time.sleep(0.05)
            second = submit()
            page.click("#protect .restore-form summary")
            page.select_option("[name=stop]", "fixed:100")
            page.click("#protect .restore-form [type=submit]")
            waits = page.locator("#protect .restore-form .trouble[data-kind=wait]")
            waits.wait_for()
            assert re.fullmatch(r"The queue is full\. Trying again in \d+ s\.", waits.inner_text())
            for job in (second, first):
                http.delete(job)
        expect(page.locator("#protect .now-what")).to_contain_text("Iteration")

        served.kill()
        page.wait_for_selector("#banner:not([hidden])")
        assert "does not answer" in page.inner_text("#banner")
        served.start()
        page.wait_for_selector("#banner", state="hidden")
        page.wait_for_selector("#protect .outcome:not([hidden])")
        assert page.locator("#protect .plot-stop").count() == 1

        begin_long_fit(page)
        left = watched.jobs[-1]
        served.kill()
        page.wait_for_selector("#banner:not([hidden])")
        page.evaluate("scrollTo(0, 400)")
        expect(page.locator("#banner")).to_be_in_viewport()
        page.click("#protect .restore-form .cancel")
        expect(page.locator("#protect .now-what")).to_contain_text("Cancelled", timeout=5000)
        assert page.is_enabled("#protect .restore-form [type=submit]")
        served.start()
        page.wait_for_selector("#banner", state="hidden")
        assert state_of(served, left) == "cancelled"
        assert not watched.strangers


def test_a_scratch_is_painted_over(browser: Browser, service: Served, photograph_bytes: bytes) -> None:
    with Image.open(io.BytesIO(photograph_bytes)) as whole:
        small = whole.resize((64, 48))
    ImageDraw.Draw(small).line((32, 0, 32, 47), (255, 255, 255), 3)
    with watching(browser, service, DESKTOP, accept_downloads=True) as watched:
        page = watched.open("#restore")
        page.set_input_files("#restore .file-input", file_of(small))
        page.locator("#restore .choice", has_text="missing").click()
        assert page.is_disabled("#restore [type=submit]")
        box = page.locator("#restore .mask").bounding_box()
        assert box is not None
        middle = box["x"] + 32.5 / 64 * box["width"]
        page.locator("#restore .brush-size input").fill("10")
        page.mouse.move(middle, box["y"] + 2)
        page.mouse.down()
        page.mouse.move(middle, box["y"] + box["height"] - 2, steps=8)
        page.mouse.up()
        page.locator("#restore .mask").focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Space")
        page.locator("#restore .brush button", has_text="Undo").click()
        assert page.is_enabled("#restore [type=submit]")
        page.locator("#restore .segments label", has_text="Quick look").click()
        page.click("#restore [type=submit]")
        page.wait_for_selector("#restore .mended:not([hidden])")
        with page.expect_download() as coming:
            page.click("#restore .download")
        with Image.open(coming.value.path()) as mended:
            assert mended.size == (64, 48)
            assert min(mended.convert("L").crop((31, 8, 34, 40)).tobytes()) < 200, "the scratch is still there"
            assert mended.convert("RGB").crop((0, 0, 20, 48)).tobytes() == small.crop((0, 0, 20, 48)).tobytes()
        watched.check()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_picture_is_made_larger(
    size: ViewportSize, browser: Browser, service: Served, photograph_bytes: bytes
) -> None:
    with Image.open(io.BytesIO(photograph_bytes)) as whole:
        small = whole.resize((48, 36))
    with watching(browser, service, size, has_touch=size is PHONE, accept_downloads=True) as watched:
        page = watched.open("#restore")
        page.set_input_files("#restore .file-input", file_of(small, "stamp.png"))
        page.locator("#restore .choice", has_text="small").click()
        assert page.is_checked("[name=factor][value='2']")
        page.locator("#restore .segments label", has_text="× 4").click()
        page.locator("#restore .segments label", has_text="× 2").click()
        page.locator("#restore .segments label", has_text="Quick look").click()
        page.click("#restore [type=submit]")
        page.wait_for_selector("#restore .mended:not([hidden])")
        assert page.inner_text("#restore .mended-told") == "96 × 72 pixels, 50 iterations."
        assert page.inner_text("#restore .chip-right") == "Enlarged"
        assert page.locator("#restore .views").is_hidden(), "nothing was taken out"
        with page.expect_download() as coming:
            page.click("#restore .download")
        assert coming.value.suggested_filename == "stamp-restored.png"
        with Image.open(coming.value.path()) as large:
            assert large.size == (2 * small.width, 2 * small.height)
            back = ImageChops.difference(large.convert("RGB").resize(small.size, Image.Resampling.BOX), small)
            assert max(ImageStat.Stat(back).mean) < 12, "it is another picture"
        watched.check()

        page.click("#restore [data-spoil=small]")
        page.wait_for_selector("#restore .unspoil:not([hidden])")
        assert page.evaluate("document.querySelector('#restore .compare-below').naturalWidth") == 24
        assert page.is_checked("#restore [value=upscale]")
        assert page.is_hidden("#restore .mended")
        watched.check()
