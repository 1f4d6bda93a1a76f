"""Images of the page for its document: ``python -m benchmarks screenshots``.

They are taken in Chromium from a real service, of foolbox's sample photographs and a map that the page draws itself.
"""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from served import Served

from benchmarks.pages.webp import as_webp
from deep_protection.evaluation import imagenet_samples

OUT = Path("docs/results/page")
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
SAMPLE = 9
"""A photograph on which the restoration succeeds; the tables say how often it does."""
PATIENCE = 600_000
KNOWN = "#protect .verdict-title:not(.is-open)"


def take() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Served(Path(folder) / "data", "--workers", "2") as served,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = opened(browser, served.url, DESKTOP)
        page.wait_for_timeout(1500)
        taken(page, "opening")
        page.click("#theme")
        taken(page, "opening-dark")
        page.click("#theme")
        story(page)
        taken(page, "desktop-light")
        page.locator("#protect .views label", has_text="Perturbation").click()
        page.wait_for_selector("#protect .difference:not([hidden])")
        taken(page, "perturbation")
        page.locator("#protect .views label", has_text="Before").click()
        page.click("#theme")
        taken(page, "desktop-dark")
        page.evaluate("scrollBy(0, document.querySelector('#protect .findings').getBoundingClientRect().top - 40)")
        taken(page, "findings")
        page.locator("#protect .course .plot-slider").focus()
        for _ in range(9):
            page.keyboard.press("ArrowLeft")
        page.wait_for_selector("#protect .moment-back:not([hidden])")
        page.evaluate("scrollBy(0, document.querySelector('#protect .course').getBoundingClientRect().top - 40)")
        taken(page, "moment")
        page.click("#protect .moment-back")
        page.click("#theme")
        # The same page on a phone: the window is made narrow, nothing is computed again.
        page.set_viewport_size(PHONE)
        page.evaluate("scrollTo(0, 0)")
        taken(page, "phone")
        page.click("#theme")
        taken(page, "phone-dark")
        page.context.close()
        maps(opened(browser, served.url + "/#maps", DESKTOP))
        restoration(opened(browser, served.url + "/#restore", DESKTOP))
        browser.close()


def opened(browser: Browser, url: str, size: ViewportSize) -> Page:
    page = browser.new_context(viewport=size, color_scheme="light", reduced_motion="reduce").new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    page.wait_for_selector("html[data-ready]")
    return page


def taken(page: Page, name: str) -> None:
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(2, 300)
    page.wait_for_timeout(500)
    kept(page, name)


def kept(page: Page, name: str) -> None:
    """As it is at this moment."""
    (OUT / f"{name}.webp").write_bytes(as_webp(page.screenshot()))


def story(page: Page) -> None:
    page.locator("#protect .sample").nth(SAMPLE).click()
    page.wait_for_selector(KNOWN)
    page.click("#protect .next")
    page.wait_for_selector("#protect .undo:not([hidden])")
    page.wait_for_selector(KNOWN)
    page.click("#protect .next")
    page.wait_for_selector("#protect .now:not([hidden])")
    kept(page, "growing")
    page.wait_for_selector("#protect .outcome:not([hidden])")


def maps(page: Page) -> None:
    page.click("#maps .sample")
    page.click("#maps [type=submit]")
    page.wait_for_selector("#maps .layers:not([hidden])")
    page.evaluate("scrollTo(0, 0)")
    taken(page, "maps")


def restoration(page: Page) -> None:
    with io.BytesIO() as buffer:
        imagenet_samples()[SAMPLE][0].resize((160, 160), Image.Resampling.LANCZOS).save(buffer, "PNG")
        data = buffer.getvalue()
    page.set_input_files("#restore .file-input", {"name": "photograph.png", "mimeType": "image/png", "buffer": data})
    page.locator("#restore .choice", has_text="missing").click()
    box = page.locator("#restore .mask").bounding_box()
    if box is None:
        raise RuntimeError("the mask is not on the page")
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.72 * box["height"], steps=12)
    page.mouse.up()
    page.wait_for_timeout(300)
    kept(page, "mask")
    page.click("#restore [data-spoil=noise]")
    page.click("#restore [type=submit]")
    page.wait_for_selector("#restore .mended:not([hidden])")
    page.evaluate("scrollTo(0, 0)")
    taken(page, "restoration")
    page.click("#restore [data-spoil=small]")
    page.wait_for_selector("#restore [value=upscale]:checked")
    page.locator("#restore .segments label", has_text="As long").click()
    page.click("#restore [type=submit]")
    page.wait_for_selector("#restore .mended:not([hidden])")
    page.evaluate("scrollTo(0, 0)")
    taken(page, "upscale")
