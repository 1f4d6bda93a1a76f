"""The page in a real browser, against the real service: from dropping an image to downloading what came of it."""

import io
import json
import re
import shlex
import socket
import struct
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from page import DESKTOP, DOUBLES, PHONE, UNNAMED, Watched, drop, encoded, file_of, state_of, tab_to, watching
from PIL import Image, ImageChops, ImageDraw, ImageStat
from playwright.sync_api import Browser, FilePayload, Page, ViewportSize, expect
from served import Served

pytest_plugins = ("page",)
TOKEN = "a-token-for-the-tests"  # noqa: S105


NEXT = "#protect .next"
KNOWN = "#protect .verdict-title:not(.is-open)"
DONE = "#protect .outcome:not([hidden])"


def opened_with(watched: Watched, photo: FilePayload) -> Page:
    """The page with an image on it, of which classifier and detector have said what they think."""
    page = watched.open()
    page.set_input_files("#protect .file-input", photo)
    page.wait_for_selector(KNOWN)
    return page


def settings(page: Page, which: str) -> None:
    """Opens the settings of the attack or of the protection."""
    if page.locator(f"#protect .{which}-settings[open]").count() == 0:
        page.click(f"#protect .{which}-settings summary")


def choose_quick_fit(page: Page) -> None:
    settings(page, "protect")
    page.select_option("[name=stop]", "fixed:20")


def begin_long_fit(page: Page, iterations: int = 300) -> None:
    settings(page, "protect")
    page.locator("#protect .segments label", has_text="Thorough").click()
    page.select_option("#protect [name=stop]", f"fixed:{iterations}")
    page.locator("#protect .other:visible, #protect .next:visible", has_text="Protect it").click()
    expect(page.locator("#protect .now-what")).to_contain_text("Iteration")


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
        page.wait_for_selector(KNOWN)
        assert page.inner_text(KNOWN).endswith("this image.")
        assert page.locator("#protect .column").count() == 1
        shown = "document.querySelector('#protect .compare-below').naturalWidth"
        page.wait_for_function(f"{shown} === 224")  # what the classifier sees, from the start
        watched.check()

        settings(page, "attack")
        page.select_option("[name=attack]", "fgsm")
        page.locator("[name=epsilon]").fill("8")
        assert page.is_hidden("[name=target]"), "it cannot aim"
        assert page.inner_text(NEXT) == "Attack it"
        page.click(NEXT)
        page.wait_for_selector("#protect .undo:not([hidden])")
        assert "8/255" in page.inner_text(".epsilon-shown")
        assert "ooled" in page.inner_text(".attack-told")
        assert page.locator("#protect .column").count() == 2

        page.evaluate(
            """window.seen = [];
            window.share = [];
            new MutationObserver(() => window.seen.push(document.querySelector("#protect .now-what").textContent))
              .observe(document.querySelector("#protect .now-what"), { childList: true });
            new MutationObserver(() => {
              const at = Number(document.querySelector("#protect .timing-track").getAttribute("aria-valuenow"));
              window.share.push(at);
            }).observe(document.querySelector("#protect .timing-track"), { attributeFilter: ["aria-valuenow"] });"""
        )
        choose_quick_fit(page)
        assert page.inner_text(NEXT) == "Protect it"
        page.click(NEXT)
        page.wait_for_selector(DONE)
        told = page.evaluate("window.seen")
        assert any(re.match(r"Iteration \d+ of at most 20", line) for line in told), told
        shares = page.evaluate("window.share")
        assert shares == sorted(shares), "the bar went back"
        assert page.locator("#protect .column").count() == 3
        assert page.locator("#protect .bar").count() == 15
        assert page.locator("#protect .course .plot-stop").count() == 1
        assert "20" in page.inner_text("#protect .outcome-told")
        assert page.locator("#protect .column h4").all_inner_texts() == ["Original", "Attacked", "Protected"]
        check_divider(page)
        check_difference(page)
        watched.check()

        with page.expect_download() as coming:
            page.click("#protect .download")
        coming.value.save_as(tmp_path / "restored.png")
        assert coming.value.suggested_filename == "holiday-restored.png"
        protected = page.url.rpartition("/")[2]
        with service.http() as http:
            assert (tmp_path / "restored.png").read_bytes() == http.get(f"/v1/jobs/{protected}/result").content
        with Image.open(tmp_path / "restored.png") as restored:
            assert restored.size == (224, 224)
        with page.expect_download() as coming:
            page.click("#protect .record")
        coming.value.save_as(tmp_path / "record.json")
        answer = json.loads((tmp_path / "record.json").read_text())["answer"]
        assert answer["iterations_run"] == 20
        assert page.locator("#protect .answer-label").last.inner_text() == answer["after"][0]["label"]
        assert told_of(answer["explanation"]) in page.inner_text("#protect .outcome-told")
        check_explanation(page, answer)
        check_moments(page, answer)
        watched.check()


def told_of(explanation: dict[str, Any]) -> str:
    """The words for it."""
    return {
        "own": "the classifier’s own answer",
        "mild": "mildly changed copies of the image decide",
        "contrast": "times as far again that way" if explanation["strength"] else "the mean of the answers to them",
    }[explanation["answer"]]


def check_explanation(page: Page, answer: dict[str, Any]) -> None:
    """As it came, what each restoration says, where they move it, and what came of it."""
    parts = page.locator("#protect .references-list > li")
    assert parts.count() == 4
    assert answer["before"][0]["label"] in parts.nth(0).inner_text()
    said = [row.locator("td").first.inner_text() for row in parts.nth(1).locator("tr").all()]
    references = answer["explanation"]["references"]
    assert said == [each["label"] for each in references if each["name"] != "original"]
    moved = parts.nth(2).locator(".shift-label").all_inner_texts()
    assert sorted(moved) == sorted(each["label"] for each in answer["explanation"]["direction"])
    assert answer["after"][0]["label"] in parts.nth(3).inner_text()


def check_moments(page: Page, answer: dict[str, Any]) -> None:
    """The slider under the plot goes back along the fit: to its image, and to what the classifier saw in it."""
    slider = page.locator("#protect .course .plot-slider")
    slider.focus()
    page.keyboard.press("Home")
    assert page.locator("#protect .column h4").last.inner_text() == "Iteration 0"
    first = answer["trajectory"][0]["top"][0]["label"]
    assert page.locator("#protect .column").last.locator(".bar-label").first.inner_text() == first
    expect(page.get_by_alt_text("What was drawn at iteration 0")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_alt_text("What was drawn at iteration 2")).to_be_visible()
    page.click("#protect .moment-back")
    expect(page.get_by_alt_text("The restored image")).to_be_visible()
    assert page.locator("#protect .column").count() == len(page.locator("#protect .answer-row").all())


def test_play_attacks_and_protects_a_sample(browser: Browser, service: Served) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = watched.open()
        page.wait_for_selector("#protect .reel-step[aria-current=true]")
        assert page.locator("#protect .reel-step strong").all_inner_texts() == ["bottlecap", "ski mask", "bottlecap"]
        page.click("#protect .reel-pause")
        assert page.get_attribute("#protect .reel-pause", "aria-pressed") == "true"
        page.click("#protect .play")
        page.wait_for_selector(DONE)
        moods = [row.get_attribute("class") for row in page.locator("#protect .answer-row").all()]
        assert moods == ["answer-row ", "answer-row is-wrong", "answer-row is-right"]
        assert page.inner_text("#protect .outcome-title") == "The original’s first answer is back."
        for part in (".compare", ".answers-now", ".outcome", ".download"):
            expect(page.locator(f"#protect {part}")).to_be_in_viewport(ratio=1)
        assert page.evaluate("scrollY") == 0
        watched.check()


def test_an_attack_that_aims(browser: Browser, service: Served, photo: FilePayload) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = opened_with(watched, photo)
        settings(page, "attack")
        page.wait_for_selector("#labels option", state="attached")
        page.select_option("[name=attack]", "mifgsm")
        page.locator("[name=epsilon]").fill("8")
        page.fill("[name=target]", "goldfinhc")
        page.click(NEXT)
        expect(page.locator("#protect .next-trouble")).to_contain_text("did you mean goldfinch")
        page.fill("[name=target]", "goldfinch")
        page.click(NEXT)
        page.wait_for_selector("#protect .undo:not([hidden])")
        assert page.locator("#protect .answer-label").all_inner_texts()[1] == "goldfinch"
        watched.check()


def test_reload_back_and_a_second_tab_find_a_result_again(
    browser: Browser, service: Served, photo: FilePayload
) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = opened_with(watched, photo)
        begin_long_fit(page, 50)
        address = page.url
        page.reload()  # in mid-fit
        page.wait_for_selector("#protect .timing:not([hidden])")
        assert page.inner_text("#protect .file-name") == "holiday.jpg"
        page.wait_for_selector(DONE)
        assert page.url == address
        told = page.inner_text("#protect .outcome-told")
        page.reload()  # and after
        page.wait_for_selector(DONE)
        assert page.inner_text("#protect .outcome-told") == told

        page.click("#protect .change")
        page.wait_for_selector("#protect .recent-link")
        assert page.locator("#protect .recent-link").count() == 1
        assert not page.url.endswith(address.rpartition("/")[2])
        page.go_back()
        page.wait_for_selector(DONE)
        page.go_forward()
        page.wait_for_selector("#protect .opening:not([hidden])")
        page.click("#protect .recent-link")
        page.wait_for_selector(DONE)
        page.click("#tab-maps")
        page.click("#tab-protect")
        assert page.url == address
        assert page.is_visible(DONE)

        second = page.context.new_page()
        second.goto(address)
        second.wait_for_selector(DONE)
        assert second.inner_text("#protect .outcome-told") == told
        with service.http() as http:
            http.delete(f"/v1/jobs/{address.rpartition('/')[2]}")
        second.goto("about:blank")
        second.goto(address)
        expect(second.locator("#protect .next-trouble")).to_contain_text("does not have this result any more")
        expect(second.locator(NEXT)).to_be_enabled()
        second.click("#protect .change")
        expect(second.locator("#protect .recent")).to_be_hidden()
        assert not watched.strangers


def test_what_is_shown_for_programs_works(
    browser: Browser, service: Served, photo: FilePayload, tmp_path: Path
) -> None:
    """For the settings of the moment, with curl as it stands there."""
    with watching(browser, service, DESKTOP) as watched:
        page = opened_with(watched, photo)
        choose_quick_fit(page)
        page.fill("#protect [name=seed]", "7")
        page.click("#protect .use-api summary")
        code = page.locator("#protect .use-api-code pre")
        expect(code.first).to_contain_text("seed=7")
        assert 'stop="fixed:20"' in code.last.inner_text()
        watched.check()
        command = shlex.split(code.first.inner_text())
    (tmp_path / "image.png").write_bytes(photo["buffer"])
    made = subprocess.run([*command, "--silent"], cwd=tmp_path, capture_output=True, check=True, timeout=120)
    answer = json.loads(made.stdout)["answer"]
    assert (answer["seed"], answer["iterations_run"]) == (7, 20)


def test_the_published_recipe_is_not_offered_where_it_cannot_end(
    browser: Browser, service: Served, photo: FilePayload
) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = opened_with(watched, photo)
        page.route(
            "**/v1/estimate/protect?*preset=paper*", lambda route: route.fulfill(json={"seconds": 900, "budget": 600})
        )
        settings(page, "protect")
        page.locator("#protect .segments label", has_text="Paper").click()
        expect(page.locator("#protect .preset-hint")).to_contain_text("longer than this server gives a job")
        before = len(watched.jobs)
        page.click("#protect .other")
        expect(page.locator("#protect .long-run")).to_be_in_viewport()
        expect(page.locator("#protect .long-run .plot-reading")).to_contain_text("iteration 1750")
        assert len(watched.jobs) == before
        watched.check()


def test_the_answer_to_the_restored_image_alone(browser: Browser, service: Served, photo: FilePayload) -> None:
    """Of any shape: that by contrast is about what the classifier sees of an image, this one is about all of it."""
    with watching(browser, service, DESKTOP) as watched:
        page = opened_with(watched, photo)
        assert page.input_value("[name=answer]") == "contrast"
        assert page.is_hidden("[name=views]")
        choose_quick_fit(page)
        page.click("#protect .other")
        page.wait_for_selector(DONE)
        size = "[...document.querySelectorAll('#protect .compare > img')].map((each) => each.naturalWidth)"
        page.wait_for_function(f"{size}.every((side) => side === 224)")
        page.select_option("[name=answer]", "restored")
        assert page.is_visible("[name=views]")
        page.click("#protect .other")
        page.wait_for_selector("#protect .outcome", state="hidden")
        page.wait_for_selector(DONE)
        page.wait_for_function(f"{size}.every((side) => side === 120)")
        assert page.is_hidden("#protect .references")
        assert page.locator("#protect .column h4").all_inner_texts() == ["As it came", "Restored"]
        watched.check()


def check_divider(page: Page) -> None:
    """The divider moves with the keyboard, and with it what of the image is cut off."""
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
        assert page.evaluate("document.activeElement.matches('#protect .next')")
        tab_to(page, "#protect .protect-settings summary")
        page.keyboard.press("Enter")
        tab_to(page, "#protect [name=stop]")
        page.keyboard.type("After 2")
        assert page.input_value("[name=stop]") == "fixed:20"
        page.wait_for_selector(KNOWN)
        page.locator("#protect .file-name").click()  # the next step is before the settings
        tab_to(page, "#protect .other")
        page.keyboard.press("Enter")
        page.wait_for_selector(DONE)
        assert page.inner_text("#announcer").startswith(page.inner_text("#protect .outcome-title"))
        tab_to(page, "#protect .download")
        with page.expect_download() as coming:
            page.keyboard.press("Enter")
        assert coming.value.suggested_filename.endswith("-restored.png")
        watched.check()


def test_a_fit_is_cancelled_on_the_server_too(browser: Browser, service: Served, photo: FilePayload) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = opened_with(watched, photo)
        begin_long_fit(page)
        left = f"/v1/jobs/{page.url.rpartition('/')[2]}"
        page.click("#protect .cancel")
        expect(page.locator(NEXT)).to_be_enabled()
        assert page.is_hidden("#protect .outcome")
        assert page.url.endswith("#protect"), "what was cancelled has no address any more"
        assert state_of(service, left) == "cancelled"
        watched.check()


def test_an_attack_has_an_address_too(browser: Browser, service: Served, photo: FilePayload) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = opened_with(watched, photo)
        settings(page, "attack")
        page.select_option("[name=attack]", "mifgsm")
        page.locator("[name=epsilon]").fill("8")
        page.click(NEXT)
        page.wait_for_selector("#protect .undo:not([hidden])")
        answers = page.locator("#protect .answers-now").inner_text()
        page.reload()
        page.wait_for_selector("#protect .undo:not([hidden])")
        assert page.locator("#protect .answers-now").inner_text() == answers
        assert (page.input_value("[name=attack]"), page.input_value("[name=epsilon]")) == ("mifgsm", "8")
        assert page.inner_text(NEXT) == "Protect it"
        watched.check()


def test_a_second_click_begins_no_second_job_and_settings_come_back(
    browser: Browser, service: Served, photo: FilePayload
) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = opened_with(watched, photo)
        choose_quick_fit(page)
        page.select_option("[name=answer]", "restored")
        before = len(watched.jobs)
        page.dblclick("#protect .other")
        page.wait_for_selector(DONE)
        assert len(watched.jobs) == before + 1
        page.reload()
        page.wait_for_selector(DONE)
        assert (page.input_value("[name=answer]"), page.input_value("[name=stop]")) == ("restored", "fixed:20")

        page.click(".mark")  # the logo leads back to the opening
        page.wait_for_selector("#protect .opening:not([hidden])")
        page.goto(f"{service.url}/#protect/{'ab' * 16}")
        expect(page.locator("#protect .next-trouble")).to_contain_text("does not have this result any more")
        assert page.get_attribute("#protect .compare-below", "src") is None, "the image before is not shown as its own"
        watched.complaints = [each for each in watched.complaints if "404" not in each]
        watched.check()


def test_another_image_ends_the_fit_and_stays(browser: Browser, service: Served, photo: FilePayload) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = opened_with(watched, photo)
        begin_long_fit(page)
        left = f"/v1/jobs/{page.url.rpartition('/')[2]}"
        page.set_input_files("#protect .file-input", FilePayload({**photo, "name": "other.png"}))
        assert state_of(service, left) == "cancelled"
        expect(page.get_by_alt_text("What the classifier sees of other.png")).to_be_visible()
        expect(page.locator(NEXT)).to_be_enabled()
        watched.check()


def test_one_thing_at_a_time(browser: Browser, service: Served, photo: FilePayload) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = opened_with(watched, photo)
        settings(page, "attack")
        page.select_option("[name=attack]", "ddn")
        told = page.locator("#protect .attack-told")
        page.click(NEXT)
        assert page.evaluate("document.activeElement.matches('#protect .cancel')")
        assert page.evaluate("document.querySelector('.protect-form').inert"), "nothing is changed meanwhile"
        page.keyboard.press("Enter")
        expect(told).to_have_text("Cancelled.")
        assert page.evaluate("document.activeElement.matches('#protect .next')")

        choose_quick_fit(page)
        page.click("#protect .other")
        page.click("#tab-maps")
        page.click("#tab-protect")
        page.wait_for_selector(DONE)
        assert page.inner_text("#protect .chip-left") == "As it came"
        first = page.get_attribute("#protect .download", "href")
        page.click("#protect .other")
        page.wait_for_selector("#protect .outcome", state="hidden")
        page.wait_for_selector(DONE)
        assert page.get_attribute("#protect .download", "href") != first
        page.fill("[name=seed]", "")
        page.click("#protect .protect-settings summary")
        page.click("#protect .other")
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
        expect(trouble).to_contain_text("“a.txt” is not an image")
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
        expect(trouble).to_contain_text("“cut.jpg” is not an image")
        page.set_input_files("#protect .file-input", {**words, "name": "renamed.png", "mimeType": "image/png"})
        expect(trouble).to_contain_text("“renamed.png” is not an image")
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
def test_an_image_of_many_tiles_and_a_budget_that_it_exceeds(
    browser: Browser, photograph_bytes: bytes, tmp_path: Path
) -> None:
    """It is told before that it will not end; one bar goes forwards only, tiles appear in place, its end is told."""
    with Image.open(io.BytesIO(photograph_bytes)) as whole:
        large = whole.resize((1000, 800))
    with (
        Served(tmp_path / "data", "--workers", "1", "--budget", "10") as served,
        watching(browser, served, DESKTOP) as watched,
    ):
        page = watched.open("#restore")
        given: FilePayload = {"name": "large.jpg", "mimeType": "image/jpeg", "buffer": encoded(large, "JPEG")}
        page.set_input_files("#restore .file-input", given)
        page.locator("#restore .choice", has_text="compressed").click()
        page.locator("#restore .segments label", has_text="With the prior").click()
        expect(page.locator("#restore .time-told")).to_contain_text("This server gives a job about 10")
        page.evaluate(
            """window.share = [];
            const bar = document.querySelector("#restore .timing-track");
            new MutationObserver(() => window.share.push(Number(bar.getAttribute("aria-valuenow"))))
              .observe(bar, { attributeFilter: ["aria-valuenow"] });"""
        )
        page.click("#restore [type=submit]")
        page.wait_for_selector("#restore .compare-tiles:not([hidden])")
        page.wait_for_selector("#restore .mended:not([hidden])")
        shares = page.evaluate("window.share")
        assert len(set(shares)) > 10
        assert shares == sorted(shares), "the bar went back"
        assert page.inner_text("#mended-title") == "Ended early", "it is not called done"
        assert "so it ended early" in page.inner_text("#restore .mended-told")
        assert page.inner_text("#announcer").startswith("Ended early")
        assert page.is_hidden("#restore .compare-tiles")
        watched.check()


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
        page.wait_for_selector(KNOWN)

        with served.http() as http:

            def submit() -> str:
                asked = "/v1/protect?preset=paper"
                job = http.post(asked, content=photo["buffer"], headers={"Content-Type": "image/jpeg"})
                return f"/v1/jobs/{job.json()['id']}"

            first = submit()
            while http.get(first).json()["state"] != "running":
                time.sleep(0.05)
            second = submit()
            settings(page, "protect")
            page.select_option("[name=stop]", "fixed:100")
            page.click("#protect .other")
            waits = page.locator("#protect .next-trouble[data-kind=wait]")
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
        assert page.locator("#protect .course .plot-stop").count() == 1

        begin_long_fit(page)
        left = f"/v1/jobs/{page.url.rpartition('/')[2]}"
        served.kill()
        page.wait_for_selector("#banner:not([hidden])")
        page.evaluate("scrollTo(0, 400)")
        expect(page.locator("#banner")).to_be_in_viewport()
        page.click("#protect .cancel")
        expect(page.locator(NEXT)).to_be_enabled(timeout=5000)
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
        page.locator("#restore .segments label", has_text="With the prior").click()
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
        page.locator("#restore .segments label", has_text="With the prior").click()
        page.click("#restore [type=submit]")
        page.wait_for_selector("#restore .mended:not([hidden])")
        assert page.inner_text("#restore .mended-told").startswith("96 × 72 pixels, filters and 700 iterations")
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
