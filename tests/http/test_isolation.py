"""Every route of the template, requested by callers who do not own the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from conversations import ids
from conversations.http.dialects import MKA1, PREFIXES
from local.template import TEMPLATE, Route, Template
from tests.support.http_helpers import HELLO, Json, error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

CONVERSATIONS = "/conversations"
CONVERSATION = f"{CONVERSATIONS}/{{conversation_id}}"
ITEMS = f"{CONVERSATION}/items"
ITEM = f"{ITEMS}/{{item_id}}"
BODIES: dict[tuple[str, str], Json | None] = {
    ("POST", CONVERSATIONS): {"items": [HELLO]},
    ("GET", CONVERSATIONS): None,
    ("GET", CONVERSATION): None,
    ("POST", CONVERSATION): {"metadata": {"topic": "changed"}},
    ("DELETE", CONVERSATION): None,
    ("POST", ITEMS): {"items": [HELLO]},
    ("GET", ITEMS): None,
    ("DELETE", ITEMS): {"item_ids": ["first"]},
    ("GET", ITEM): None,
    ("DELETE", ITEM): None,
}
"""A body for each route, with which the conversation's owner succeeds."""
SAMPLES = {
    (method, f"{prefix}{path}"): body
    for prefix in PREFIXES
    for (method, path), body in BODIES.items()
}
ROUTES = [
    pytest.param(route, id=f"{route.method} {route.path}")
    for route in Template.loaded(TEMPLATE, {}).api.routes
    if route.authorizer and route.method != "HEAD"  # test_methods.py
]
"""Routes that need a key."""
PRIVATE = "Only Ann may read this."
STRANGERS = ["another end user", "the account itself", "another account", "another account's Ann"]


@pytest.fixture
def callers(
    shared_stack: DevStack, issue_key: IssueKey, account: str
) -> Iterator[dict[str, httpx.Client]]:
    """Return clients of Ann, an end user of acme, and of other callers."""
    acme = issue_key(account, may_delegate=True)
    other = issue_key(f"other-{account}", may_delegate=True)
    headers = {
        "Ann": {"Authorization": f"Bearer {acme}", "X-On-Behalf-Of": "ann"},
        "another end user": {"Authorization": f"Bearer {acme}", "X-On-Behalf-Of": "bob"},
        "the account itself": {"Authorization": f"Bearer {acme}"},
        "another account": {"Authorization": f"Bearer {other}"},
        "another account's Ann": {"Authorization": f"Bearer {other}", "X-On-Behalf-Of": "ann"},
    }
    clients = {
        name: httpx.Client(base_url=shared_stack.url, headers=header)
        for name, header in headers.items()
    }
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def ann(callers: dict[str, httpx.Client]) -> httpx.Client:
    return callers["Ann"]


@pytest.fixture
def hers(ann: httpx.Client) -> str:
    """Return the id of Ann's conversation."""
    item = {**HELLO, "id": "first", "content": PRIVATE}
    body = {"items": [item], "metadata": {"topic": "Ann's"}}
    conversation_id: str = ann.post(f"{MKA1.prefix}{CONVERSATIONS}", json=body).json()["id"]
    return conversation_id


def send(client: httpx.Client, route: Route, conversation_id: str) -> httpx.Response:
    path = route.path.format(conversation_id=conversation_id, item_id="first")
    return client.request(route.method, path, json=SAMPLES[route.method, route.path])


def rows_of(shared_stack: DevStack, conversation_id: str) -> list[Any]:
    table = shared_stack.template.name("ConversationsTable")
    with shared_stack.engine.lock:
        found = shared_stack.resources.dynamodb.scan(TableName=table)["Items"]
    return [row for row in found if row["pk"]["S"].endswith(f"/{conversation_id}")]


def test_there_is_a_sample_for_every_route() -> None:
    routes = Template.loaded(TEMPLATE, {}).api.routes

    assert set(SAMPLES) == {
        (route.method, route.path)
        for route in routes
        if route.authorizer and route.method != "HEAD"
    }


@pytest.mark.parametrize("route", ROUTES)
def test_the_owner_succeeds(route: Route, ann: httpx.Client, hers: str) -> None:
    response = send(ann, route, hers)

    assert (response.status_code, len(response.headers["x-request-id"])) == (200, 36)


@pytest.mark.parametrize("route", ROUTES)
def test_a_stranger_finds_nothing_and_changes_nothing(
    route: Route,
    callers: dict[str, httpx.Client],
    hers: str,
    shared_stack: DevStack,
    record_property: Callable[[str, int], None],
) -> None:
    before = rows_of(shared_stack, hers)
    assert len(before) == 3

    for stranger in STRANGERS:
        response = send(callers[stranger], route, hers)

        assert_shows_nothing(response, route, send(callers[stranger], route, "conv_none"), hers)
        assert rows_of(shared_stack, hers) == before, stranger
    record_property("routes tried by strangers", len(STRANGERS))


@pytest.mark.parametrize("route", ROUTES)
def test_a_deleted_conversation_is_gone_at_once(route: Route, ann: httpx.Client, hers: str) -> None:
    ann.delete(f"{MKA1.prefix}/conversations/{hers}").raise_for_status()

    response = send(ann, route, hers)

    assert_shows_nothing(response, route, send(ann, route, "conv_none"), hers)


def assert_shows_nothing(
    response: httpx.Response, route: Route, missing: httpx.Response, conversation_id: str
) -> None:
    """Return the response for another owner's conversation, with *missing* in place of its id."""
    assert PRIVATE not in response.text
    if not route.path.endswith(CONVERSATIONS):
        assert (response.status_code, error_of(response)["code"]) == (404, "conversation_not_found")
        assert response.text == missing.text.replace("conv_none", conversation_id)
    elif route.method == "GET":
        assert (response.status_code, response.json()["data"]) == (200, [])
    else:
        assert (response.status_code, response.json()["metadata"]) == (200, {})
        assert response.json()["id"] != conversation_id


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_stranger_cannot_page_from_anothers_cursor(
    prefix: str, callers: dict[str, httpx.Client], hers: str
) -> None:
    response = callers["another end user"].get(f"{prefix}{CONVERSATIONS}", params={"after": hers})

    assert (response.status_code, error_of(response)["param"]) == (404, "after")


def test_end_users_differ_by_every_character(
    base_url: str, issue_key: IssueKey, account: str
) -> None:
    headers = {"Authorization": f"Bearer {issue_key(account, may_delegate=True)}"}
    end_users = ["ann", "Ann", "ann ann", "ann/", "acme:ann", ":", "a" * 256, "a" * 255]

    identities = {
        httpx.post(
            f"{base_url}/conversations", headers={**headers, "X-On-Behalf-Of": end_user}
        ).json()["identity"]
        for end_user in end_users
    }

    assert len(identities) == len(end_users)
    assert ids.owner_of(account, "") not in identities
