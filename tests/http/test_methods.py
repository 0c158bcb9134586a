"""HEAD and OPTIONS, which the SDKs never send and other HTTP clients may send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from local.template import TEMPLATE, Template
from tests.support.http_helpers import HELLO, error_of

if TYPE_CHECKING:
    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

ROUTES = Template(TEMPLATE).api.routes
HEADS = [route.path for route in ROUTES if route.method == "HEAD"]
OF_ITS_OWN = {"date", "x-request-id"}
"""Headers that differ between responses."""
PAGE = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}


def url(shared_stack: DevStack, path: str, conversation_id: str) -> str:
    return shared_stack.url + path.format(conversation_id=conversation_id, item_id="first")


def test_what_can_be_got_has_a_head() -> None:
    assert set(HEADS) == {route.path for route in ROUTES if route.method == "GET"}


@pytest.mark.parametrize("path", HEADS)
def test_head_is_get_without_its_body(
    path: str, shared_stack: DevStack, client: httpx.Client, conversation: str
) -> None:
    client.post(f"{conversation}/items", json={"items": [{**HELLO, "id": "first"}]})
    address = url(shared_stack, path, conversation.rpartition("/")[2])

    head, got = client.head(address), client.get(address)

    assert (head.status_code, head.content) == (200, b"")
    assert shown(head) == shown(got)


@pytest.mark.parametrize("path", HEADS)
def test_head_knows_no_conversation_of_another(
    path: str, shared_stack: DevStack, client: httpx.Client, conversation: str, issue_key: IssueKey
) -> None:
    client.post(f"{conversation}/items", json={"items": [{**HELLO, "id": "first"}]})
    stranger = {"Authorization": f"Bearer {issue_key('other')}"}
    address = url(shared_stack, path, conversation.rpartition("/")[2])

    head, got = (httpx.request(method, address, headers=stranger) for method in ("HEAD", "GET"))

    assert (head.status_code, shown(head)) == (got.status_code, shown(got))


def shown(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in OF_ITS_OWN}


@pytest.mark.parametrize(("scope", "status"), [("read", 200), ("write", 403)])
def test_head_asks_for_the_scope_of_get(
    scope: str, status: int, base_url: str, issue_key: IssueKey
) -> None:
    key = issue_key(scopes=frozenset({scope}))  # type: ignore[arg-type] # from a table

    response = httpx.head(f"{base_url}/conversations", headers={"Authorization": f"Bearer {key}"})

    assert response.status_code == status


def test_head_of_what_cannot_be_got_is_rejected_without_a_body(client: httpx.Client) -> None:
    response = client.head("/nowhere")

    assert (response.status_code, response.content) == (404, b"")
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("path", HEADS)
def test_no_page_of_another_origin_may_call_by_default(path: str, shared_stack: DevStack) -> None:
    response = httpx.options(url(shared_stack, path, "conv_abc123"), headers=PAGE)

    assert (response.status_code, error_of(response)["code"]) == (404, "route_not_found")
    assert not cors_headers(response)


def test_responses_have_no_cors_headers_by_default(client: httpx.Client, base_url: str) -> None:
    success = client.get("/conversations", headers=PAGE)
    failure = httpx.get(f"{base_url}/conversations", headers=PAGE)

    assert (success.status_code, failure.status_code) == (200, 401)
    assert not cors_headers(success) + cors_headers(failure)


def cors_headers(response: httpx.Response) -> list[str]:
    return [
        name for name in response.headers if name.startswith("access-control") or name == "vary"
    ]
