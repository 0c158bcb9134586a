"""Every route of the template, through the deployed gateway, authorizer and function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.template import Template
from tests.e2e.stacks import CONVERSATIONS
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from local.template import Route
    from tests.e2e.stacks import Stack

    type KeyWith = Callable[..., str]

ROUTES = Template().api.routes
GUARDED = [route for route in ROUTES if route.authorizer]
SCOPES = {"GET": "read", "HEAD": "read", "POST": "write", "DELETE": "delete"}


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def send(
    stack: Stack, route: Route, conversation_id: str, item_id: str, key: str | None
) -> httpx.Response:
    """Send the smallest request that the route accepts."""
    bodies: dict[tuple[str, str], object] = {
        ("POST", "items"): {"items": [HELLO]},
        ("DELETE", "items"): {"item_ids": [item_id]},
        ("POST", "{conversation_id}"): {"metadata": {"topic": "weather"}},
        ("POST", "conversations"): {},
    }
    path = route.path.format(conversation_id=conversation_id, item_id=item_id)
    body = bodies.get((route.method, route.path.rpartition("/")[2]))
    return stack.request(route.method, path, key, body)


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_route_responds(stack: Stack, key: str, route: Route) -> None:
    made = stack.request("POST", CONVERSATIONS, key, {"items": [HELLO]}).json()
    items = stack.request("GET", f"{CONVERSATIONS}/{made['id']}/items", key).json()
    item_id = items["data"][0]["id"]

    response = send(stack, route, made["id"], item_id, key if route.authorizer else None)

    assert response.status_code == 200, response.text
    assert response.content or route.method == "HEAD"


@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_route_needs_a_key(stack: Stack, route: Route) -> None:
    response = send(stack, route, "conv_1", "msg_1", None)

    assert response.status_code == 401


@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_route_needs_its_scope(stack: Stack, key_with: KeyWith, route: Route) -> None:
    others = sorted({*SCOPES.values()} - {SCOPES[route.method]})
    lesser = key_with("--scope", others[0], "--scope", others[1])

    response = send(stack, route, "conv_1", "msg_1", lesser)

    assert response.status_code == 403


@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_its_scope_opens_a_route(stack: Stack, key_with: KeyWith, route: Route) -> None:
    least = key_with("--scope", SCOPES[route.method])

    response = send(stack, route, "conv_1", "msg_1", least)

    assert response.status_code in {200, 404}
