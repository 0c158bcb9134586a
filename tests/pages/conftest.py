"""One Chromium for the tests of a module, and a new window for each test."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
LOG_CSP = """
addEventListener("securitypolicyviolation", (event) => {
    console.error(`violated ${event.violatedDirective}: ${event.blockedURI}`);
});
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that ends with the module: while it runs, no other test may run an event loop."""
    if CHROMIUM is None:
        pytest.skip(f"No Chromium is installed: looked for {', '.join(NAMES)}.")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


@pytest.fixture
def problems() -> list[str]:
    """What the console of the window reports: exceptions, errors and violations of the policy."""
    return []


@pytest.fixture
def window(browser: Browser, problems: list[str]) -> Iterator[Page]:
    """An empty window of a visitor who was never here."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.add_init_script(LOG_CSP)
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    yield page
    context.close()
