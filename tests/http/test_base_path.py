"""The API behind a custom domain, whose base path precedes every path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from conversations.auth.api_keys import ApiKeyRepository
from local.stack import DevStack
from local.template import Template
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("base path")  # its stack takes long to start


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    parameters = {"DomainName": "api.example.com", "BasePath": "chat"}
    with DevStack.start(engine="moto", parameters=parameters) as stack:
        keys = ApiKeyRepository(stack.resources.dynamodb, stack.template.name("ApiKeysTable"))
        with stack.engine.lock:
            key, _ = keys.create(account="acme", name="test")
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=stack.url, headers=headers) as client:
            yield client


@pytest.mark.parametrize("prefix", ["/api/v1/llm", "/v1"])
def test_every_route_is_found_behind_the_base_path(client: httpx.Client, prefix: str) -> None:
    made = client.post(f"{prefix}/conversations", json={"items": [{**HELLO, "id": "mine"}]})
    values = {"conversation_id": made.json()["id"], "item_id": "mine"}
    routes = [route for route in Template().api.routes if route.path.startswith(f"{prefix}/")]

    for route in [each for each in routes if each.method in {"GET", "HEAD"}]:
        response = client.request(route.method, route.path.format(**values))
        assert response.status_code == 200, route
    assert client.delete(f"{prefix}/conversations/{values['conversation_id']}").is_success
    assert client.base_url.path == "/chat/"


def test_openais_prefix_is_known_behind_the_base_path(client: httpx.Client) -> None:
    path = f"/v1/conversations/{client.post('/v1/conversations').json()['id']}/items"

    shown = client.post(path, json={"items": [HELLO]}).json()["data"][0]

    assert shown["content"] == [{"type": "input_text", "text": HELLO["content"]}]
    assert shown["status"] == "completed"


def test_the_document_leads_to_the_routes_behind_the_base_path(client: httpx.Client) -> None:
    response = client.get("/v1/openapi.json")

    [server] = response.json()["servers"]
    assert server["url"] == f"{str(client.base_url).rstrip('/')}/v1"
    assert client.get(f"{server['url']}/conversations").status_code == 200


def test_an_id_of_odd_characters_is_rejected_behind_the_base_path(client: httpx.Client) -> None:
    response = client.get("/v1/conversations/a%20b")

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "conversation_id"


def test_nothing_is_found_beside_the_base_path(client: httpx.Client) -> None:
    for path in ("/v1/conversations", "/chats/v1/conversations"):
        assert client.get(client.base_url.join(path)).status_code == 404
