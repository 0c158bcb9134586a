"""The page at `/docs`, as a browser shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from conversations.http.dialects import DIALECTS, Dialect
from local import startup_message
from openapi.document import operation_ids
from tests.support.browser import CHROMIUM, Browser, running_browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

pytestmark = pytest.mark.xdist_group("browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, stack: DevStack) -> Browser:
    browser.open(f"{stack.url}/docs")
    browser.wait_for("document.body && document.body.dataset.ready")
    return browser


def test_it_needs_nothing_from_elsewhere(stack: DevStack) -> None:
    response = httpx.get(f"{stack.url}/docs")

    assert response.status_code == 200
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert not re.search(r"(?:src|href)=|https?:", response.text)


def test_it_is_not_part_of_the_api(stack: DevStack) -> None:
    assert httpx.post(f"{stack.url}/docs").status_code == 404
    assert not [route for route in stack.template.api.routes if "docs" in route.path]


@needs_chromium
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.prefix)
def test_it_lists_every_operation_of_a_document(dialect: Dialect, page: Browser) -> None:
    url = f"{dialect.prefix}/openapi.json"
    page.run(f"choice.value = '{url}'; choice.dispatchEvent(new Event('change')); 0")
    page.wait_for(f"document.body.dataset.ready === '{url}'")

    shown = page.run("[...document.querySelectorAll('article')].map((found) => found.id)")
    assert set(shown) == set(operation_ids(dialect).values())
    assert not page.problems


@needs_chromium
def test_it_shows_what_stands_in_the_document(page: Browser) -> None:
    page.run("document.querySelectorAll('details').forEach((found) => { found.open = true; })")
    page.wait_for("document.body.innerText.includes('What is the weather today?')")

    for words in ("FunctionCallOutput", "Idempotency-Key", "maximum 100", "rate_limit_exceeded"):
        assert page.run(f"document.body.textContent.includes('{words}')")
    assert not page.problems


@needs_chromium
def test_it_fits_a_phone(page: Browser) -> None:
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.do("Emulation.setDeviceMetricsOverride", **phone)
    page.run("document.querySelectorAll('details').forEach((found) => { found.open = true; })")
    page.wait_for("document.querySelector('form')")

    assert page.run("document.documentElement.scrollWidth") == phone["width"]


@needs_chromium
def test_it_tries_a_request_with_a_key(page: Browser, stack: DevStack, issue_key: IssueKey) -> None:
    startup_message.create_documented_conversation(stack)
    form = "document.getElementById('conversations.items.create').querySelector('form')"
    page.run(f"document.getElementById('key').value = '{issue_key(startup_message.ACCOUNT)}'")
    page.run("document.querySelectorAll('details').forEach((found) => { found.open = true; })")
    page.wait_for(form)
    page.run(f"{form}.requestSubmit()")
    outcome = page.wait_for(f"{form}.parentNode.querySelector('pre')?.innerText")

    assert '"object": "list"' in outcome
    assert "What is the weather today?" in outcome


@needs_chromium
def test_it_shows_a_error(page: Browser) -> None:
    form = "document.getElementById('conversations.list').querySelector('form')"
    page.run("document.querySelectorAll('details').forEach((found) => { found.open = true; })")
    page.wait_for(form)
    page.run(f"{form}.requestSubmit()")

    assert page.wait_for(f"{form}.parentNode.querySelector('.bad')?.innerText").startswith("401")


def test_the_root_leads_to_the_page(stack: DevStack) -> None:
    response = httpx.get(f"{stack.url}/")

    assert (response.status_code, response.headers["location"]) == (307, "/docs")
    assert response.text == (
        "The page /docs shows the API, whose routes begin with /api/v1/llm or /v1.\n"
    )
    assert "items" in httpx.get(f"{stack.url}/", follow_redirects=True).text
    assert httpx.post(f"{stack.url}/").status_code == 404
