"""Sign-in and list of the console, in a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import PHONE
from tests.support.http_helpers import HELLO
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from playwright.sync_api import Page, Route

    from tests.pages.conftest import Console

pytestmark = pytest.mark.xdist_group("browser")

LIST = re.compile(r"/conversations\?")
AXE = ROOT / ".tools/axe-core/node_modules/axe-core/axe.min.js"


def make(client: httpx.Client, title: str, **metadata: str) -> str:
    body = {"metadata": {"title": title, **metadata}, "items": [HELLO]}
    return str(client.post("/conversations", json=body).raise_for_status().json()["id"])


def titles(window: Page) -> list[str]:
    return window.locator("#list strong").all_text_contents()


def test_an_invalid_key_is_rejected_and_a_valid_one_signs_in(
    console: Console, client: httpx.Client
) -> None:
    make(client, "Ferry")
    console.visit()
    window = console.window
    alert = window.locator("#sign-in-error")

    window.get_by_label("API key").fill("not a key")
    window.get_by_role("button", name="Sign in").click()
    expect(alert).to_contain_text("1 to 256 visible ASCII characters")
    window.get_by_label("API key").fill("lck_unknown")
    window.get_by_role("button", name="Sign in").click()
    expect(alert).to_have_text("This API key is not valid. It is unknown, expired or revoked.")
    window.get_by_label("API key").fill(console.key)
    window.get_by_role("button", name="Sign in").click()

    expect(window.locator("#list strong")).to_have_text(["Ferry"])


@pytest.mark.prove
def test_the_key_is_neither_kept_nor_in_any_address(console: Console) -> None:
    window = console.sign_in()

    assert window.evaluate("sessionStorage.length + localStorage.length") == 0
    assert window.context.cookies() == []
    window.reload()
    expect(window.get_by_label("API key")).to_have_value("")
    assert not [request for request in console.requests if console.key in request]


@pytest.mark.prove
def test_the_key_stays_in_the_tab_if_chosen_until_the_visitor_signs_out(
    console: Console,
) -> None:
    window = console.sign_in(keep=True)
    window.reload()
    expect(window.locator("#app")).to_be_visible()

    window.get_by_role("button", name="Sign out").click()

    expect(window.get_by_label("API key")).to_be_focused()
    assert window.evaluate("sessionStorage.length + localStorage.length") == 0


@pytest.mark.prove
def test_the_console_only_ever_reads(console: Console, client: httpx.Client) -> None:
    conversation_id = make(client, "Ferry")
    window = console.sign_in(f"#/{conversation_id}")
    expect(window.locator("article")).to_have_count(1)

    origin = console.url.removesuffix("/console")
    assert {request.split()[0] for request in console.requests} == {"GET"}
    assert all(request.split()[1].startswith(origin) for request in console.requests[1:])


def test_conversations_are_listed_by_their_last_change(
    console: Console, client: httpx.Client
) -> None:
    oldest, _ = make(client, "Oldest"), make(client, "Newest")
    client.post(f"/conversations/{oldest}/items", json={"items": [HELLO]})

    window = console.sign_in()

    expect(window.locator("#list strong")).to_have_text(["Oldest", "Newest"])


@pytest.mark.prove
def test_the_list_goes_on_while_it_is_scrolled(console: Console, client: httpx.Client) -> None:
    for number in range(30):
        make(client, f"Run {number}")
    # Pages of 25 instead of 50, so that 30 conversations are two.
    console.window.route(
        LIST, lambda route: route.continue_(url=route.request.url.replace("limit=50", "limit=25"))
    )
    window = console.sign_in()
    expect(window.locator("#list li")).to_have_count(25)

    window.locator("#list li").last.scroll_into_view_if_needed()

    expect(window.locator("#list li")).to_have_count(30)
    assert titles(window) == [f"Run {number}" for number in reversed(range(30))]


@pytest.mark.prove
def test_a_filter_by_metadata_is_applied_or_explained(
    console: Console, client: httpx.Client
) -> None:
    make(client, "Mine", plan="pro", topic="a=b")
    make(client, "Other", plan="free")
    window = console.sign_in()

    window.get_by_text("Filter").click()
    window.get_by_label("Metadata").fill("plan=pro, topic=a=b")
    window.get_by_role("button", name="Apply").click()
    expect(window.locator("#list strong")).to_have_text(["Mine"])
    window.get_by_label("Metadata").fill("pro")
    window.get_by_role("button", name="Apply").click()

    expect(window.locator("#filter-error")).to_contain_text("“pro” is not a pair of metadata")


@pytest.mark.prove
def test_an_end_user_has_conversations_of_their_own(console: Console, client: httpx.Client) -> None:
    make(client, "The account's")
    headers = {"Authorization": f"Bearer {console.key}", "X-On-Behalf-Of": "ann"}
    client.post("/conversations", json={"metadata": {"title": "Ann's"}}, headers=headers)

    window = console.sign_in(end_user="ann")
    expect(window.locator("#list strong")).to_have_text(["Ann's"])
    window.get_by_text("Filter").click()
    window.get_by_label("End user").last.fill("")
    window.get_by_role("button", name="Apply").click()

    expect(window.locator("#list strong")).to_have_text(["The account's"])


def test_a_search_finds_what_was_said(console: Console, client: httpx.Client) -> None:
    make(client, "Other")
    found = make(client, "Boat")
    ferry = {**HELLO, "content": "When does the ferry to Texel leave?"}
    client.post(f"/conversations/{found}/items", json={"items": [ferry]}).raise_for_status()
    window = console.sign_in()
    expect(window.locator("#list strong")).to_have_text(["Boat", "Other"])

    window.get_by_label("Search in conversations").fill("TEXEL ferry")
    expect(window.locator("#list strong")).to_have_text(["Boat"])
    window.get_by_label("Search in conversations").fill("Terschelling")

    expect(window.locator("#list-end")).to_have_text("No conversation matches.")
    expect(window.locator("#list strong")).to_have_count(0)


@pytest.mark.prove
def test_a_search_goes_on_over_pages_that_are_empty(console: Console, client: httpx.Client) -> None:
    make(client, "Ferry")
    window = console.sign_in()
    urls: list[str] = []

    def search(route: Route) -> None:
        url = route.request.url
        urls.append(url)
        found = {"id": "conv_1", "created_at": 0, "metadata": {"title": "Found"}}
        data = [found] if "after=c2" in url else []
        page = {"data": data, "last_id": f"c{len(urls)}", "has_more": not data}
        route.fulfill(json={"object": "list", **page})

    window.route(re.compile("search="), search)
    window.get_by_label("Search in conversations").fill("texel & co")

    expect(window.locator("#list strong")).to_have_text(["Found"])
    assert len(urls) == 3
    assert all("search=texel+%26+co" in url for url in urls)


@pytest.mark.prove
def test_a_long_search_stops_until_the_reader_continues(console: Console) -> None:
    window = console.sign_in()
    urls: list[str] = []

    def search(route: Route) -> None:
        urls.append(route.request.url)
        route.fulfill(json={"data": [], "last_id": f"c{len(urls)}", "has_more": True})

    window.route(re.compile("search="), search)
    window.get_by_label("Search in conversations").fill("nothing")
    go_on = window.get_by_role("button", name="Search in older conversations")
    expect(go_on).to_be_visible()

    assert len(urls) == 5
    go_on.click()
    expect(go_on).to_be_visible()
    assert "after=c5" in urls[5]


FAILURES: dict[str, Callable[[Route], None]] = {
    "The API could not be reached": lambda route: route.abort(),
    "Slow down.": lambda route: route.fulfill(
        status=429, json={"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}
    ),
    "The API sent no JSON (status 502)": lambda route: route.fulfill(status=502, body="<html>"),
    "The API responded with status 500": lambda route: route.fulfill(status=500, json={}),
}
"""Failure of a list request, by the message that the reader sees."""


def test_a_failed_request_is_reported_and_can_be_retried(
    console: Console, client: httpx.Client
) -> None:
    make(client, "Ferry")
    window = console.sign_in()

    for message, failure in FAILURES.items():
        expect(window.locator("#list strong")).to_have_text(["Ferry"])
        window.route(LIST, failure)
        window.get_by_role("button", name="Refresh").click()
        expect(window.locator("#list-end [role=alert]")).to_contain_text(message)
        window.unroute(LIST)
        window.get_by_role("button", name="Try again").click()

    expect(window.locator("#list strong")).to_have_text(["Ferry"])
    expect(window.locator("#list-end")).to_be_empty()


@pytest.mark.prove
def test_a_slow_request_is_reported_and_can_be_retried(
    console: Console, client: httpx.Client
) -> None:
    make(client, "Ferry")
    window = console.window
    window.clock.install()
    console.sign_in()

    window.route(LIST, lambda _: None, times=1)  # no response ever
    window.get_by_role("button", name="Refresh").click()
    expect(window.locator("#list-end")).to_have_text("Loading …")
    window.clock.run_for(5_000)
    expect(window.locator("#list-end")).to_contain_text("This takes longer than usual")
    window.get_by_role("button", name="Try again").click()

    expect(window.locator("#list strong")).to_have_text(["Ferry"])


@pytest.mark.prove
def test_a_request_without_a_response_ends(console: Console) -> None:
    console.window.add_init_script(
        "const timeout = AbortSignal.timeout.bind(AbortSignal);"
        "AbortSignal.timeout = (ms) => timeout(ms / 300);"
    )
    console.window.route(LIST, lambda _: None)
    console.visit()

    console.window.get_by_label("API key").fill(console.key)
    console.window.get_by_role("button", name="Sign in").click()

    expect(console.window.locator("#sign-in-error")).to_contain_text("within 30 seconds")


@pytest.mark.prove
def test_a_key_that_is_revoked_leads_back_to_the_sign_in(console: Console) -> None:
    window = console.sign_in(keep=True)

    window.route(LIST, lambda route: route.fulfill(status=401, json={}))
    window.get_by_role("button", name="Refresh").click()

    expect(window.locator("#sign-in-error")).to_contain_text("no longer accepted")
    assert window.evaluate("sessionStorage.length") == 0


def test_everything_is_done_with_the_keyboard(console: Console, client: httpx.Client) -> None:
    make(client, "First")
    make(client, "Second")
    console.visit()
    window, press = console.window, console.window.keyboard.press

    expect(window.get_by_label("API key")).to_be_focused()
    window.keyboard.type(console.key)
    press("Enter")
    expect(window.locator("#list a")).to_have_count(2)
    expect(window.get_by_label("Search in conversations")).to_be_focused()
    press("Escape")
    window.locator("#refresh").focus()
    press("j")
    press("j")
    expect(window.locator("#list a").nth(1)).to_be_focused()
    press("Enter")
    expect(window.locator("#conversation h1")).to_have_text("First")
    expect(window.locator("article")).to_have_count(1)
    press("j")
    expect(window.locator("article")).to_be_focused()
    press("Escape")
    expect(window.locator("article")).to_have_count(0)
    expect(window.locator("#list a").nth(1)).to_be_focused()
    press("k")
    press("Enter")
    expect(window.locator("#conversation h1")).to_have_text("Second")
    press("/")

    expect(window.get_by_label("Search in conversations")).to_be_focused()
    expect(window.get_by_label("Search in conversations")).to_have_value("")


@pytest.mark.skipif(
    not AXE.exists(), reason="axe-core is not installed: npm or its registry is missing."
)
def test_axe_finds_nothing(console: Console, client: httpx.Client) -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]}
    body = {"items": [HELLO, thought]}
    conversation_id = make(client, "Ferry", plan="pro")
    client.post(f"/conversations/{conversation_id}/items", json=body).raise_for_status()
    window = console.window

    def findings() -> list[str]:
        found = window.evaluate("axe.run().then((found) => found.violations)")
        return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]

    console.visit()
    window.evaluate(AXE.read_text(encoding="utf-8"))
    assert findings() == []
    window.get_by_label("API key").fill(console.key)
    window.get_by_label("API key").press("Enter")
    expect(window.locator("#list a")).to_have_count(1)
    window.get_by_text("Filter").click()
    assert findings() == []
    window.locator("#list a").click()
    expect(window.locator("article")).to_have_count(3)
    expect(window.locator(".toolbar")).to_be_visible()
    window.locator(".raw summary").first.click()
    assert findings() == []


@pytest.mark.prove
def test_a_phone_shows_the_list_or_the_conversation(console: Console, client: httpx.Client) -> None:
    make(client, "Ferry " * 30, plan="x" * 200)
    console.window.set_viewport_size({"width": PHONE.width, "height": PHONE.height})
    window = console.sign_in()

    window.locator("#list a").click()
    expect(window.locator("article")).to_be_visible()
    expect(window.locator("#list")).to_be_hidden()
    assert window.evaluate("document.documentElement.scrollWidth") == PHONE.width
    window.get_by_role("link", name="Back to the list").click()

    expect(window.locator("#list a")).to_be_visible()
    assert window.evaluate("document.documentElement.scrollWidth") == PHONE.width
