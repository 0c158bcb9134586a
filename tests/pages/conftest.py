"""One Chromium for the tests of a module, and a new window for each test."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
PATIENCE_MS = 20_000
LOG_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
    console.error(`violated ${event.violatedDirective}: ${event.blockedURI}`);
});
"""


def arguments() -> list[str]:
    """Return what Chromium is started with: as root it has no sandbox."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that ends with the module: while it runs, no other test may run an event loop."""
    if CHROMIUM is None:
        pytest.skip(f"No Chromium is installed: looked for {', '.join(NAMES)}.")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=arguments())


@pytest.fixture
def problems() -> list[str]:
    """What the console of the window reports: exceptions, errors and violations of the policy."""
    return []


@pytest.fixture
def window(browser: Browser, problems: list[str]) -> Iterator[Page]:
    """An empty window of a visitor who was never here."""
    context = browser.new_context(
        viewport={"width": 1400, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    context.add_init_script(LOG_VIOLATIONS)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    yield page
    context.close()


@dataclass(frozen=True, slots=True)
class Console:
    """The console in a window, and a key that opens it."""

    window: Page
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
        self.window.locator("#sign-in-end-user").fill(end_user)
        self.window.get_by_label("Keep the key").set_checked(keep)
        self.window.get_by_role("button", name="Sign in").click()
        expect(self.window.get_by_role("navigation")).to_be_attached()
        expect(self.window.locator("#app")).to_be_visible()
        return self.window


@pytest.fixture
def console(window: Page, stack: DevStack, issue_key: IssueKey) -> Console:
    made = Console(window, f"{stack.url}/console", issue_key(may_delegate=True))
    window.on("request", lambda request: made.requests.append(f"{request.method} {request.url}"))
    return made
