"""Fixtures of the browser: one Chromium for a module, and a new window for each test."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
PATIENCE_MS = 20_000
TEST_SECONDS = 300
"""Time limit of a test, which also ends scripts of the page that have no limit of their own."""
LOG_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
    console.error(`violated ${event.violatedDirective}: ${event.blockedURI}`);
});
"""


@dataclass(frozen=True, slots=True)
class View:
    """The device of a visitor."""

    width: int
    height: int
    scheme: Literal["dark", "light"]
    is_phone: bool = False


WIDE = View(1400, 900, "light")
PHONE = View(390, 844, "dark", is_phone=True)


def arguments() -> list[str]:
    """Return Chromium's arguments; root has no sandbox."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser for the module; meanwhile no other test can run an event loop."""
    if CHROMIUM is None:
        pytest.skip(f"No Chromium is installed: looked for {', '.join(NAMES)}.")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments())
        try:
            yield launched
        finally:
            launched.close()


@pytest.fixture(scope="module")
def browser_id(browser: Browser) -> int:
    """Return the id of the browser's process."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return int(next(process["id"] for process in processes if process["type"] == "browser"))


@contextmanager
def time_limit(process_id: int) -> Iterator[None]:
    """Kill the browser if the block takes too long, so that calls that wait for it fail."""
    timer = threading.Timer(TEST_SECONDS, os.kill, (process_id, signal.SIGKILL))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@pytest.fixture(
    params=[
        pytest.param(WIDE, id="wide"),
        pytest.param(PHONE, id="phone", marks=pytest.mark.prove),
    ]
)
def view(request: pytest.FixtureRequest) -> View:
    view: View = request.param
    return view


@pytest.fixture
def problems() -> list[str]:
    """Return the exceptions, errors and policy violations that the window's console reports."""
    return []


@pytest.fixture
def window(browser: Browser, browser_id: int, view: View, problems: list[str]) -> Iterator[Page]:
    """Open an empty window without any stored data."""
    with time_limit(browser_id), closing(new_context(browser, view)) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: problems.append(message.text) if message.type == "error" else None,
        )
        yield page


def new_context(browser: Browser, view: View) -> BrowserContext:
    context = browser.new_context(
        viewport={"width": view.width, "height": view.height},
        color_scheme=view.scheme,
        is_mobile=view.is_phone,
        has_touch=view.is_phone,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.add_init_script(LOG_VIOLATIONS)
    context.set_default_timeout(PATIENCE_MS)
    return context


@dataclass(frozen=True, slots=True)
class Console:
    """The console in a window, with a valid key."""

    window: Page
    view: View
    url: str
    key: str
    requests: list[str] = field(default_factory=list)
    """Method and URL of each request."""

    def visit(self, fragment: str = "") -> None:
        self.window.goto("about:blank")
        self.window.goto(f"{self.url}{fragment}")

    def sign_in(self, fragment: str = "", *, end_user: str = "", keep: bool = False) -> Page:
        self.visit(fragment)
        self.window.get_by_label("API key").fill(self.key)
        if end_user:
            self.window.locator("#sign-in-end-user").fill(end_user)
        if keep:
            self.window.get_by_label("Keep the key").check()
        self.window.get_by_label("API key").press("Enter")
        expect(self.window.locator("#app")).to_be_visible()
        return self.window


@pytest.fixture
def console(window: Page, view: View, stack: DevStack, issue_key: IssueKey) -> Console:
    made = Console(window, view, f"{stack.url}/console", issue_key(may_delegate=True))
    window.on("request", lambda request: made.requests.append(f"{request.method} {request.url}"))
    return made
