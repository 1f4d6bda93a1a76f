"""What the tabs Maps and Restore can do, and the list of routes: in a real browser, against the real service."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page import DESKTOP, DOUBLES, PATIENCE, PHONE, UNNAMED, encoded, file_of, watching
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, FilePayload, Page, ViewportSize, expect
from served import Served

from deep_protection.maps import to_csv, to_geojson, to_json
from deep_protection.maps.words import Word

pytest_plugins = ("page",)
BOX = "(selector) => { const box = document.querySelector(selector).getBoundingClientRect(); return box.toJSON(); }"
FULL = "document.fullscreenElement !== null"
FRAME, BELOW = "#restore .compare", "#restore .compare-below"


@pytest.fixture(scope="module")
def small_photo(photograph_bytes: bytes) -> Image.Image:
    with Image.open(io.BytesIO(photograph_bytes)) as whole:
        return whole.resize((64, 48))


def box_of(page: Page, selector: str) -> dict[str, float]:
    box: dict[str, float] = page.evaluate(BOX, selector)
    return box


def place_in(page: Page, x: float, y: float) -> tuple[float, float]:
    """On the screen, of a place of the image in parts of its size."""
    box = box_of(page, BELOW)
    return box["left"] + x * box["width"], box["top"] + y * box["height"]


def under(page: Page, x: float, y: float) -> tuple[float, float]:
    """The place of the image that lies there on the screen."""
    box = box_of(page, BELOW)
    return (x - box["left"]) / box["width"], (y - box["top"]) / box["height"]


def taken(page: Page, image: Image.Image, name: str = "s.png") -> None:
    page.set_input_files("#restore .picker .file-input", file_of(image, name))
    page.wait_for_selector("#restore .bench:not([hidden])")
    width_shown(page, image.width)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_image_is_zoomed_panned_and_fills_the_screen(
    size: ViewportSize, browser: Browser, service: Served, small_photo: Image.Image
) -> None:
    with watching(browser, service, size, has_touch=size is PHONE, reduced_motion="reduce") as watched:
        page = watched.open("#restore")
        taken(page, small_photo)
        frame = box_of(page, FRAME)
        assert box_of(page, BELOW) == frame
        page.locator(FRAME).focus()
        page.keyboard.press("+")
        page.keyboard.press("+")
        assert box_of(page, FRAME) == frame, "the frame stays"
        large = box_of(page, BELOW)
        assert large["width"] == pytest.approx(2.25 * frame["width"])
        assert large["left"] + large["width"] / 2 == pytest.approx(frame["left"] + frame["width"] / 2), (
            "about the middle"
        )
        watched.check()

        page.mouse.move(frame["left"] + 60, frame["top"] + 60)
        page.mouse.down()
        page.mouse.move(frame["left"] + 90, frame["top"] + 80, steps=4)
        page.mouse.up()
        moved = box_of(page, BELOW)
        assert (moved["left"] - large["left"], moved["top"] - large["top"]) == pytest.approx((30, 20))
        page.keyboard.press("ArrowLeft")
        assert box_of(page, BELOW)["left"] > moved["left"]
        for _ in range(30):
            page.keyboard.press("ArrowLeft")
        assert box_of(page, BELOW)["left"] == pytest.approx(frame["left"]), "no further than its edge"

        at = (frame["left"] + 40, frame["top"] + 30)
        before = under(page, *at)
        page.mouse.move(*at)
        shown = page.inner_text("#restore .zoom-tools button:nth-child(2)")
        page.keyboard.down("Control")
        page.mouse.wheel(0, -60)
        page.keyboard.up("Control")
        expect(page.locator("#restore .zoom-tools button").nth(1)).not_to_have_text(shown)
        assert under(page, *at) == pytest.approx(before, abs=1e-3), "what lies under the pointer stays there"

        page.mouse.dblclick(*at)
        assert box_of(page, BELOW)["width"] == pytest.approx(small_photo.width), "pixel for pixel"
        page.keyboard.press("0")
        assert box_of(page, BELOW) == frame
        assert page.inner_text("#restore .zoom-tools button:nth-child(2)") == "Fit"

        page.click("#restore .zoom-tools [aria-label=Larger]")
        page.click("#restore .zoom-tools [aria-label=Smaller]")
        assert box_of(page, BELOW) == frame
        page.keyboard.press("f")
        expect(page.locator("#restore .zoom-tools [aria-label='Leave full screen']")).to_be_visible()
        assert page.evaluate(FULL)
        assert box_of(page, FRAME)["width"] > frame["width"]
        watched.check()
        page.keyboard.press("f")
        expect(page.locator("#restore .zoom-tools [aria-label='Full screen']")).to_be_visible()
        assert not page.evaluate(FULL)
        watched.check()
        assert page.evaluate(UNNAMED) == []
        assert page.evaluate(DOUBLES) == []


def painted(page: Page) -> np.ndarray[Any, Any]:
    """Where the mask has something, H×W."""
    height, width, values = page.evaluate(
        """() => {
          const mask = document.querySelector("#restore .mask");
          const { data } = mask.getContext("2d").getImageData(0, 0, mask.width, mask.height);
          return [mask.height, mask.width, [...data].filter((_, number) => number % 4 === 3)];
        }"""
    )
    return np.array(values).reshape(height, width) > 127


def stroke(page: Page, begin: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*begin)
    page.mouse.down()
    page.mouse.move(*end, steps=5)
    page.mouse.up()


def test_a_mask_is_painted_erased_zoomed_and_read_from_a_file(
    browser: Browser, service: Served, small_photo: Image.Image
) -> None:
    with watching(browser, service, DESKTOP) as watched:
        page = watched.open("#restore")
        taken(page, small_photo)
        page.locator("#restore .choice", has_text="missing").click()
        submit = page.locator("#restore [type=submit]")
        mask = page.locator("#restore .mask")
        stroke(page, place_in(page, 0.25, 0.25), place_in(page, 0.25, 0.75))
        assert painted(page)[12:36, 16].all()
        assert not painted(page)[:, 24:].any()
        expect(submit).to_be_enabled()

        size = page.locator("#restore .brush-size input")
        before = float(size.input_value())
        mask.focus()
        page.keyboard.press("]")
        assert float(size.input_value()) > before
        page.keyboard.press("[")
        assert float(size.input_value()) == pytest.approx(before)
        size.fill("20")
        mask.focus()
        page.keyboard.press("e")
        expect(page.locator("#restore [aria-pressed]", has_text="Eraser")).to_have_attribute("aria-pressed", "true")
        stroke(page, place_in(page, 0.25, 0.2), place_in(page, 0.25, 0.5))
        assert painted(page).any()
        expect(submit).to_be_enabled()
        stroke(page, place_in(page, 0.25, 0.4), place_in(page, 0.25, 0.9))
        assert not painted(page).any()
        expect(submit).to_be_disabled()
        page.locator("#restore .brush button", has_text="Undo").click()
        assert painted(page).any()
        expect(submit).to_be_enabled()
        page.locator("#restore .brush button", has_text="Clear").click()

        mask.focus()
        page.keyboard.press("E")
        size.fill("5")
        mask.focus()
        for _ in range(4):
            page.keyboard.press("+")
        x, y = 0.5, 0.55
        stroke(page, place_in(page, x, y), place_in(page, x + 0.01, y))
        rows, columns = np.nonzero(painted(page))
        assert (columns.mean() + 0.5) / 64 == pytest.approx(x + 0.005, abs=0.02), "right under zoom"
        assert (rows.mean() + 0.5) / 48 == pytest.approx(y, abs=0.02)
        pointer, image = box_of(page, "#restore .mask-pointer"), box_of(page, BELOW)
        assert pointer["width"] == pytest.approx(0.05 * image["width"], rel=0.01)
        for _ in range(25):
            page.keyboard.press("ArrowRight")
        inside, around = box_of(page, "#restore .mask-pointer"), box_of(page, FRAME)
        assert inside["left"] + inside["width"] / 2 <= around["right"] + 1, "the brush is followed"
        page.locator("#restore .brush button", has_text="Clear").click()
        watched.check()

        trouble = page.locator("#restore .brush .trouble")
        chosen = np.zeros((48, 64), np.uint8)
        chosen[10:20, 30:40] = 255

        def load(image: Image.Image | FilePayload) -> None:
            page.set_input_files(
                "#restore .mask-file", file_of(image, "m.png") if isinstance(image, Image.Image) else image
            )

        load(Image.new("L", (10, 20), 255))
        expect(trouble).to_have_text(
            "“m.png” has 10 × 20 pixels and the image 64 × 48; a mask has the size of its image."
        )
        load({"name": "m.txt", "mimeType": "text/plain", "buffer": b"words"})
        expect(trouble).to_contain_text("“m.txt” is not an image")
        load(Image.new("L", (64, 48), 0))
        expect(trouble).to_contain_text("Nothing of “m.png” is white")
        expect(submit).to_be_disabled()
        load(Image.fromarray(chosen))
        expect(submit).to_be_enabled()
        expect(trouble).to_be_hidden()
        assert (painted(page) == (chosen > 0)).all()
        watched.check()


def width_shown(page: Page, width: int) -> None:
    expect(page.locator(BELOW)).to_have_js_property("naturalWidth", width)


def test_one_repair_after_another_and_back_to_the_first(
    browser: Browser, service: Served, small_photo: Image.Image
) -> None:
    with watching(browser, service, DESKTOP, accept_downloads=True) as watched:
        page = watched.open("#restore")
        taken(page, small_photo.resize((32, 24)), "stamp.png")
        page.locator("#restore .choice", has_text="small").click()
        page.locator("#restore .segments label", has_text="With the prior").click()
        page.click("#restore [type=submit]")
        page.wait_for_selector("#restore .mended:not([hidden])")
        assert page.inner_text("#mended-title") == "Done"
        check_divider_under_zoom(page)
        page.click("#restore .go-on")
        width_shown(page, 64)
        expect(page.locator("#restore .mended")).to_be_hidden()
        expect(page.locator("#restore .steps-told")).to_have_text("Repaired once.")
        expect(page.locator("#restore .go-first")).to_be_hidden()

        page.locator("#restore .choice", has_text="noisy").click()
        page.click("#restore [type=submit]")
        page.wait_for_selector("#restore .mended:not([hidden])")
        assert page.inner_text("#restore .mended-told").startswith("64 × 48 pixels, filters and 70 iterations")
        assert page.inner_text("#restore .chip-left") == "Before"
        page.click("#restore .go-on")
        expect(page.locator("#restore .steps-told")).to_have_text("Repaired twice.")
        page.click("#restore .go-back")
        expect(page.locator("#restore .steps-told")).to_have_text("Repaired once.")
        width_shown(page, 64)
        page.click("#restore .go-back")
        width_shown(page, 32)
        expect(page.locator("#restore .steps-taken")).to_be_hidden()
        watched.check()


def check_divider_under_zoom(page: Page) -> None:
    """It stays where it is on the screen and cuts the image there; what is not the line pans."""
    page.locator(FRAME).focus()
    for _ in range(3):
        page.keyboard.press("+")
    for share in (20, 50, 80):
        page.locator("#restore .compare-range").fill(str(share))
        frame, above = box_of(page, FRAME), box_of(page, "#restore .compare-above")
        clip = page.evaluate("getComputedStyle(document.querySelector('#restore .compare-above')).clipPath")
        cut = clipped(clip, frame["width"])
        zoom = above["width"] / frame["width"]
        assert above["left"] + cut * zoom == pytest.approx(frame["left"] + share / 100 * frame["width"], abs=1)
    line = box_of(page, "#restore .compare-line")
    frame = box_of(page, FRAME)
    page.mouse.move(line["left"] + 1, frame["top"] + 30)
    page.mouse.down()
    page.mouse.move(frame["left"] + frame["width"] / 4, frame["top"] + 30, steps=3)
    page.mouse.up()
    assert float(page.input_value("#restore .compare-range")) == pytest.approx(25, abs=1)
    before = box_of(page, "#restore .compare-above")["left"]
    page.mouse.move(frame["left"] + frame["width"] / 2, frame["top"] + 60)
    page.mouse.down()
    page.mouse.move(frame["left"] + frame["width"] / 2 + 20, frame["top"] + 60, steps=3)
    page.mouse.up()
    assert box_of(page, "#restore .compare-above")["left"] == pytest.approx(before + 20)
    assert float(page.input_value("#restore .compare-range")) == pytest.approx(25, abs=1)
    page.locator(FRAME).focus()
    page.keyboard.press("0")


def clipped(path: str, width: float) -> float:
    """Pixels that ``inset(0 0 0 …)`` cuts off at the left; a browser gives percent, pixels or a sum of both."""
    left = path.removeprefix("inset(").removesuffix(")").split(" ", 3)[3]
    percents = sum(float(each) for each in re.findall(r"(-?[\d.]+)%", left))
    pixels = sum(float(each) for each in re.findall(r"(-?[\d.]+)px", left))
    return percents / 100 * width + pixels


WORDS = [
    Word('"B.M." 38·2, Köln', ((1.0, 2.0), (30.0, 2.0), (30.0, 12.0), (1.0, 12.0)), 0.9123, "sheet"),
    Word("Mill", ((10.26, 40.0), (10.0, 20.0), (18.0, 20.0), (18.0, 40.0)), 1.0, "layer", "M,ll"),
]


def test_files_of_words_are_those_of_the_command(browser: Browser, service: Served) -> None:
    records = json.loads(to_json(WORDS, "sheet.png", (100, 50)))["words"]
    with watching(browser, service, DESKTOP) as watched:
        page = watched.open("#maps")
        as_json, as_csv, as_geojson, signs = page.evaluate(
            """async (words) => {
              const { asJson, asCsv, asGeoJson, isSign } = await import("/static/words.js");
              const signs = ["4", "4.", "|", "", "é", "44", "St", "B.M."].filter((text) => isSign({ text }));
              return [asJson(words, "sheet.png", { width: 100, height: 50 }), asCsv(words), asGeoJson(words), signs];
            }""",
            records,
        )
        watched.check()
    assert signs == ["4", "4.", "|", "", "é"]
    assert json.loads(as_json) == json.loads(to_json(WORDS, "sheet.png", (100, 50)))
    assert json.loads(as_geojson) == json.loads(to_geojson(WORDS))
    assert "y downwards" in json.loads(as_geojson)["comment"]
    ours, theirs = (list(csv.reader(io.StringIO(text))) for text in (as_csv, to_csv(WORDS)))
    assert ours[0] == theirs[0]
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        assert (one[0], one[-2:]) == (other[0], other[-2:])
        assert [float(each) for each in one[1:-2]] == [float(each) for each in other[1:-2]]


def test_the_sample_says_that_it_is_drawn(browser: Browser, service: Served) -> None:
    with watching(browser, service, PHONE) as watched:
        page = watched.open("#maps")
        assert "the town does not exist" in page.inner_text("#maps .samples-title")
        page.click("#maps .sample")
        page.wait_for_selector("#maps .bench:not([hidden])")
        assert "The town on it does not exist" in page.inner_text("#maps .drawn-told")
        own: FilePayload = {
            "name": "drawn-map.png",
            "mimeType": "image/png",
            "buffer": encoded(Image.new("RGB", (40, 30))),
        }
        page.set_input_files("#maps .picker .file-input", own)
        expect(page.locator("#maps .drawn-told")).to_be_hidden()
        watched.check()


def test_words_of_ones_own_are_sent_and_come_back_with_the_address(browser: Browser, service: Served) -> None:
    with watching(browser, service, PHONE) as watched:
        page = watched.open("#maps")
        page.set_input_files("#maps .picker .file-input", file_of(Image.new("RGB", (60, 40), (240, 238, 220)), "s.png"))
        words = page.locator("#maps [name=words]")
        expect(words).to_be_hidden()
        page.select_option("#maps [name=vocabulary]", "own")
        words.fill("Goldhanger, Tolleshunt")
        with page.expect_request(lambda request: request.method == "POST") as sent:
            page.click("#maps [type=submit]")
        assert "vocabulary=Goldhanger%2C+Tolleshunt" in sent.value.url
        page.wait_for_selector("#maps .layers:not([hidden])", timeout=3 * PATIENCE)
        page.reload()
        expect(words).to_have_value("Goldhanger, Tolleshunt")
        page.uncheck("#maps [name=ocr]")
        expect(words).to_be_hidden()
        watched.check()


@pytest.mark.campaign
def test_words_are_found_on_the_map_and_sifted(browser: Browser, service: Served, tmp_path: Path) -> None:
    sheet = Image.new("RGB", (200, 100), (240, 238, 220))
    pen = ImageDraw.Draw(sheet)
    for text, place, height in (("Castle", (20, 10), 34), ("Mill", (130, 12), 26), ("4", (30, 55), 34)):
        pen.text(place, text, (30, 30, 30), ImageFont.load_default(height))
    with watching(browser, service, DESKTOP, accept_downloads=True) as watched:
        page = watched.open("#maps")
        page.set_input_files("#maps .picker .file-input", file_of(sheet, "sheet.png"))
        page.click("#maps [type=submit]")
        page.wait_for_selector("#maps .layers:not([hidden])", timeout=3 * PATIENCE)
        assert "1 of a single sign" in page.inner_text("#maps .words-notes")
        page.select_option("#maps [name=script]", "any")
        page.click("#maps [type=submit]")
        expect(page.locator("#maps .words-notes")).to_have_text("", timeout=3 * PATIENCE)
        page.wait_for_selector("#maps .layers:not([hidden])", timeout=3 * PATIENCE)
        assert page.is_visible(".sheet-lettering")
        page.uncheck("#maps [name=lettering]")
        assert not page.is_visible(".sheet-lettering")
        listed = "#maps .words tbody tr:not([hidden])"
        texts = page.locator(f"{listed} th").all_inner_texts()
        assert {"Castle", "Mill"} <= set(texts)
        assert "4" not in texts
        assert page.inner_text("#maps .signs-told") == "1 left out"
        assert page.locator(".sheet-frames polygon:not([hidden])").count() == len(texts)

        number = texts.index("Mill")
        page.locator(".sheet-frames polygon:not([hidden])").nth(number).click()
        assert page.inner_text("#maps .words tr[aria-current] th") == "Mill"
        assert page.inner_text("#maps .sheet-word").startswith("Mill")
        page.keyboard.press("Home")
        assert page.inner_text("#maps .words tr[aria-current] th") == texts[0]
        page.locator("#maps .sheet-frame").focus()
        for _ in range(4):
            page.keyboard.press("+")
        page.locator(listed).nth(number).click()
        assert page.locator(".sheet-frames .is-selected").get_attribute("aria-label") == page.inner_text(
            "#maps .sheet-word"
        )
        word, frame = box_of(page, ".sheet-frames .is-selected"), box_of(page, "#maps .sheet-frame")
        assert frame["left"] < word["left"] + word["width"] / 2 < frame["right"], "the word was brought into sight"
        assert frame["top"] < word["top"] + word["height"] / 2 < frame["bottom"]
        watched.check()

        page.uncheck("#maps [name=signs]")
        assert "4" in page.locator(f"{listed} th").all_inner_texts()
        assert page.inner_text("#maps .words-told").startswith(f"{len(texts) + 1} of {len(texts) + 1} words shown")
        page.check("#maps [name=signs]")
        files = {}
        for kind in ("JSON", "CSV", "GeoJSON"):
            with page.expect_download() as coming:
                page.get_by_role("link", name=re.compile(rf"Words as {kind}\b")).click()
            coming.value.save_as(tmp_path / kind)
            assert coming.value.suggested_filename == f"sheet-words.{kind.lower()}"
            files[kind] = (tmp_path / kind).read_text()
        told = json.loads(files["JSON"])
        assert (told["image"], told["width"], told["height"]) == ("sheet.png", 200, 100)
        assert [each["text"] for each in told["words"]] == texts
        assert [each["text"] for each in csv.DictReader(io.StringIO(files["CSV"]))] == texts
        assert [each["properties"]["text"] for each in json.loads(files["GeoJSON"])["features"]] == texts
        assert page.locator("#maps .downloads a").count() == 5
        page.locator("#maps [name=sure]").fill("100")
        sure = sum(each["confidence"] == 1 for each in told["words"])
        assert page.locator(listed).count() == sure
        assert page.inner_text("#maps .words-told").startswith(f"{sure} of {len(texts) + 1} words shown")
        assert page.evaluate(UNNAMED) == []
        page.set_viewport_size(PHONE)
        watched.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_routes_in_the_colours_of_the_page(scheme: str, browser: Browser, service: Served) -> None:
    with watching(browser, service, PHONE, color_scheme=scheme) as watched:
        page = watched.page
        page.goto(f"{service.url}/docs")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ("17, 20, 20" in ground) == (scheme == "dark")
        assert f"'{service.url}/v1/protect" in page.inner_text("#post-v1-protect pre")
        assert page.evaluate("document.querySelector('[href=\"static/docs.css\"]').sheet.cssRules.length") > 10
        watched.check()
        page.get_by_role("link", name="Back to the page").click()
        page.wait_for_selector("html[data-ready]")
        watched.check()
