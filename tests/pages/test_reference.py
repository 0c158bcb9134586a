"""API reference, in a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from conversations.http.dialects import MKA1, OPENAI, Dialect
from functions.api import app as api
from local import startup_message

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from local.stack import DevStack
    from tests.pages.conftest import View
    from tests.support.issue_key import IssueKey

pytestmark = pytest.mark.xdist_group("browser")


@pytest.mark.parametrize(
    "dialect",
    [
        pytest.param(MKA1, id=MKA1.prefix),
        pytest.param(OPENAI, id=OPENAI.prefix, marks=pytest.mark.prove),
    ],
)
def test_it_lists_every_operation_of_the_document_beside_it(
    dialect: Dialect, window: Page, problems: list[str], stack: DevStack
) -> None:
    window.goto(f"{stack.url}{dialect.prefix}/docs")

    expect(window.locator(".opblock")).to_have_count(len(api.api.routes))
    expect(window.locator(".opblock-summary-description").nth(1)).to_have_text("List conversations")
    expect(window.locator(".servers option")).to_have_text(f"{stack.url}{dialect.prefix}")
    assert problems == []


@pytest.mark.prove
def test_it_tries_requests_with_a_key_at_the_host_of_the_page(
    window: Page, view: View, problems: list[str], stack: DevStack, issue_key: IssueKey
) -> None:
    startup_message.create_documented_conversation(stack)
    # As if a proxy before the API had replaced the Host header.
    document = {
        **httpx.get(f"{stack.url}/v1/openapi.json").json(),
        "servers": [{"url": "http://x"}],
    }
    window.route("**/openapi.json", lambda route: route.fulfill(json=document))
    window.goto(f"{stack.url}/v1/docs")

    window.get_by_role("button", name="Authorize").first.click()
    window.locator(".auth-container input").fill(issue_key(startup_message.ACCOUNT))
    window.locator(".auth-btn-wrapper .authorize").click()
    window.locator(".auth-btn-wrapper .btn-done").click()
    # Without a filter, the list contains the conversation.
    listing = try_out(window, "Conversations-listConversations")
    listing.get_by_role("button", name="Execute").click()
    expect(listing.locator(".live-responses-table .highlight-code").first).to_contain_text(
        startup_message.CONVERSATION_ID
    )
    appending = try_out(window, "Items-createConversationItems")
    appending.get_by_placeholder("conversation_id").fill(startup_message.CONVERSATION_ID)
    expect(appending.locator("textarea")).to_have_value(re.compile('"items"'))
    appending.get_by_role("button", name="Execute").click()

    response = appending.locator(".live-responses-table")
    expect(response.locator(".response-col_status").last).to_have_text(re.compile("^200"))
    expect(response.locator(".highlight-code").first).to_contain_text('"object": "list"')
    assert window.evaluate("document.documentElement.scrollWidth") == view.width
    assert problems == []


def try_out(window: Page, operation_id: str) -> Locator:
    """Unfold an operation, and return it."""
    operation = window.locator(f"#operations-{operation_id}")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    return operation


@pytest.mark.prove
def test_it_says_that_the_document_is_not_there_and_tries_again(
    window: Page, stack: DevStack
) -> None:
    window.route("**/openapi.json", lambda route: route.fulfill(status=503, body=""))
    window.goto(f"{stack.url}/v1/docs")
    expect(window.get_by_role("alert")).to_contain_text("status 503")

    window.unroute("**/openapi.json")
    window.get_by_role("button", name="Try again").click()

    expect(window.locator(".opblock").first).to_be_visible()
