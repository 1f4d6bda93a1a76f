"""What the tests of the page share: a browser, a service, and a page that is watched."""

import base64
import io
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, ViewportSize, expect, sync_playwright
from served import Served

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
FLAGS = "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run"
MORE_FLAGS = "--disable-component-update --disable-sync"
PATIENCE = 120_000
"""Milliseconds until a thing that does not come counts as missing; a busy machine is slow."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        told = "no Chromium was found; install it (Debian: apt-get install chromium) to test the page"
        pytest.fail(told) if os.environ.get("CI") == "true" else pytest.skip(told)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=f"{FLAGS} {MORE_FLAGS}".split())
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    del browser  # asked for first, so that nothing is started where there is none
    with Served(tmp_path_factory.mktemp("service") / "data", "--workers", "1") as served:
        yield served


@pytest.fixture(scope="module")
def photo(photograph_bytes: bytes) -> FilePayload:
    return {"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": photograph_bytes}


@pytest.fixture(scope="module")
def photograph_bytes() -> bytes:
    from deep_protection.evaluation import imagenet_samples

    return encoded(imagenet_samples()[4][0].resize((120, 90)), "JPEG")


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


class Watched:
    """A page that must ask nobody but its service, and complain of nothing."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self.jobs: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("response", self._answered)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.url + "/", "data:", f"blob:{self.url}/")):
            self.strangers.append(url)

    def _answered(self, response: Any) -> None:
        if response.status == 202:
            self.jobs.append(response.headers["location"])

    def open(self, fragment: str = "") -> Page:
        self.page.goto(f"{self.url}/{fragment}")
        self.page.wait_for_selector("html[data-ready]")
        return self.page

    def check(self) -> None:
        assert not self.strangers
        assert not self.complaints
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"


@contextmanager
def watching(browser: Browser, served: Served, size: ViewportSize, **options: Any) -> Iterator[Watched]:
    context = browser.new_context(viewport=size, **options)
    try:
        yield Watched(context.new_page(), served.url)
    finally:
        context.close()


def drop(page: Page, picture: FilePayload) -> None:
    """Drops a file onto the window, as a file manager does."""
    page.evaluate(
        """([name, type, content]) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const files = new DataTransfer();
          files.items.add(new File([bytes], name, { type }));
          for (const kind of ["dragenter", "dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: files }));
        }""",
        [picture["name"], picture["mimeType"], base64.b64encode(picture["buffer"]).decode()],
    )


def file_of(image: Image.Image, name: str = "s.png") -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": encoded(image)}


def state_of(service: Served, job: str) -> str:
    """Of a job that is to end, once it has."""
    with service.http() as http:
        while (state := str(http.get(job).json()["state"])) in ("queued", "running"):
            time.sleep(0.1)
    return state


def tab_to(page: Page, wanted: str) -> None:
    for _ in range(60):
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
            return
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const at = document.activeElement;
              const marked = [at, at.nextElementSibling, at.parentElement, at.closest(".compare")];
              if (at === document.body) return true;  // past the last control, before the first
              return marked.some((each) => each && getComputedStyle(each).outlineStyle !== "none");
            }"""
        )
        assert seen, page.evaluate("document.activeElement.outerHTML")
    raise AssertionError(f"{wanted} is not reached by tab")


UNNAMED = """() => {
  const named = (each) => each.getAttribute("aria-label") || each.textContent.trim() || each.title
    || (each.labels && [...each.labels].some((label) => label.textContent.trim()))
    || (each.getAttribute("aria-labelledby") && document.getElementById(each.getAttribute("aria-labelledby")));
  const roles = ["tab", "tablist", "tabpanel", "radiogroup", "application", "region"].map((role) => `[role=${role}]`);
  const wanted = ["button, a[href], input, select, summary, fieldset, dialog", ...roles].join();
  return [...document.querySelectorAll(wanted)].filter((each) => !named(each)).map((each) => each.outerHTML);
}"""
DOUBLES = """() => {
  const names = [...document.querySelectorAll("[id]")].map((each) => each.id);
  return names.filter((name, number) => names.indexOf(name) !== number);
}"""
