"""Pages of other origins: what a browser lets them send and read, by the rules of Fetch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest
from openai import OpenAI

from conversations.auth.api_keys import SCOPES, ApiKeyRepository, Scope
from local.errors import TemplateError
from local.gateway import BODY_LIMIT
from local.stack import DevStack
from local.template import TEMPLATE, Route, Template
from tests.support.http_helpers import HELLO, error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("cors")  # its fixture takes long

APP, PARTNER, STRANGER = "https://app.example.com", "http://localhost:5173", "https://evil.example"
PAGES = {"Origin": APP}
LIST = "/api/v1/llm/conversations"
ROUTES = [
    pytest.param(route, id=f"{route.method} {route.path}")
    for route in Template(TEMPLATE).api.routes
    if route.function == "ApiFunction"
]
SENT = {
    *OpenAI(api_key="x", organization="o", project="p").default_headers,
    "Idempotency-Key",
    "OpenAI-Beta",
    "X-On-Behalf-Of",
    "x-stainless-retry-count",
}
"""Headers that clients send from a page, and that need a preflight."""


@pytest.fixture(scope="module")
def open_stack(running_stack: DevStack) -> Iterator[DevStack]:
    """Run a stack with two allowed origins, in the environment of the usual stack."""
    assert running_stack.url
    with DevStack.start(parameters={"CorsOrigins": f"{APP},{PARTNER}"}) as stack:
        stack.reset()
        yield stack


def key(stack: DevStack, scopes: frozenset[Scope] = SCOPES) -> dict[str, str]:
    """Return the authorization header of a new key."""
    api_keys = ApiKeyRepository(stack.resources.dynamodb, stack.template.name("ApiKeysTable"))
    with stack.engine.lock:
        issued, _ = api_keys.create(account="acme", name="test", scopes=scopes)
    return {"Authorization": f"Bearer {issued}"}


@pytest.fixture(scope="module")
def browser(open_stack: DevStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=open_stack.url, headers=key(open_stack)) as browser:
        yield browser


def listed(response: httpx.Response, name: str) -> set[str]:
    return {value.strip().lower() for value in response.headers.get(name, "").split(",")}


def may_send(preflight: httpx.Response, origin: str, method: str, headers: set[str]) -> bool:
    """Return whether Fetch's CORS-preflight check passes, for a request without credentials."""
    allowed = listed(preflight, "Access-Control-Allow-Headers")
    return (
        preflight.is_success
        and preflight.headers.get("Access-Control-Allow-Origin") in {origin, "*"}
        and method.lower() in listed(preflight, "Access-Control-Allow-Methods")
        and "authorization" in allowed
        and ("*" in allowed or {name.lower() for name in headers} <= allowed)
    )


def send_preflight(url: str, origin: str, method: str) -> httpx.Response:
    """Send the preflight request that a browser sends for a page of *origin*."""
    wanted = {"Origin": origin, "Access-Control-Request-Method": method}
    return httpx.options(url, headers={**wanted, "Access-Control-Request-Headers": ",".join(SENT)})


@pytest.mark.parametrize("route", ROUTES)
def test_a_page_may_call_every_route_as_the_clients_do(route: Route, open_stack: DevStack) -> None:
    url = open_stack.url + route.path.format(conversation_id="conv_abc123", item_id="msg_1")

    for origin in (APP, PARTNER):
        preflight = send_preflight(url, origin, route.method)

        assert may_send(preflight, origin, route.method, SENT)
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert (preflight.headers["Vary"], len(preflight.headers["x-request-id"])) == ("Origin", 36)


@pytest.mark.parametrize("origin", [STRANGER, f"{APP}.evil.example", APP.upper(), "null"])
def test_a_page_of_another_origin_may_not_call(origin: str, open_stack: DevStack) -> None:
    preflight = send_preflight(open_stack.url + LIST, origin, "GET")

    assert not may_send(preflight, origin, "GET", SENT)
    assert preflight.headers["Vary"] == "Origin"


def test_a_preflight_needs_no_origin(open_stack: DevStack) -> None:
    response = httpx.options(open_stack.url + LIST)

    assert response.status_code == 204
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("origin", [APP, PARTNER])
def test_a_page_may_read_responses(origin: str, browser: httpx.Client) -> None:
    response = browser.post(LIST, json={"items": [HELLO]}, headers={"Origin": origin})

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert response.headers["Vary"] == "Origin"
    exposed = listed(response, "Access-Control-Expose-Headers")
    assert exposed == {"x-request-id", "retry-after", "x-should-retry"}


@pytest.mark.parametrize("origin", [STRANGER, None])
def test_no_other_page_may_read_responses(origin: str | None, browser: httpx.Client) -> None:
    response = browser.get(LIST, headers={"Origin": origin} if origin else {})

    assert response.status_code == 200
    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Vary"] == "Origin"


def error_responses(stack: DevStack) -> dict[str, httpx.Response]:
    """Return an error response of each code that a page can cause."""
    full, reader = key(stack), key(stack, frozenset({"read"}))
    url = stack.url + LIST

    def post(
        path: str = "", body: bytes = b"{}", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return httpx.post(url + path, content=body, headers={**PAGES, **full, **(headers or {})})

    return {
        "invalid_json": post(body=b"{"),
        "invalid_api_key": post(headers={"Authorization": "Bearer lck_misspelt"}),
        "delegation_not_allowed": post(headers={"X-On-Behalf-Of": "ann"}),
        "insufficient_scope": post(headers=reader),
        "conversation_not_found": post("/conv_none/items", json.dumps({"items": [HELLO]}).encode()),
        "route_not_found": post("/conv_none/nowhere"),
        "request_too_large": post(body=b" " * (BODY_LIMIT + 1)),
        "unsupported_content_encoding": post(headers={"Content-Encoding": "br"}),
    }


def test_a_page_may_read_errors_also_those_of_the_gateway(open_stack: DevStack) -> None:
    for code, response in error_responses(open_stack).items():
        assert error_of(response)["code"] == code
        assert response.headers["Access-Control-Allow-Origin"] in {APP, "*"}
        assert "x-request-id" in listed(response, "Access-Control-Expose-Headers")


@pytest.mark.usefixtures("running_stack")
def test_every_page_may_call_if_the_operator_says_so() -> None:
    with DevStack.start(parameters={"CorsOrigins": "*"}) as stack:
        stack.reset()
        preflight = send_preflight(stack.url + LIST, STRANGER, "POST")
        response = httpx.get(stack.url + LIST, headers={"Origin": STRANGER, **key(stack)})

    assert may_send(preflight, STRANGER, "POST", SENT)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Vary" not in response.headers


@pytest.mark.parametrize(
    "given",
    ["", "*", "https://a.example", "https://a.example,http://localhost:3000", "app://ours"],
)
def test_origins_are_accepted_as_browsers_send_them(given: str) -> None:
    assert Template(parameters={"CorsOrigins": given}).api.stage


@pytest.mark.parametrize(
    "given",
    [
        "a.example",
        "https://a.example/",
        "https://a.example/path",
        "https://A.example",
        "https://a.example, https://b.example",
        "https://a.example,*",
        "https://a.example,",
    ],
)
def test_what_no_browser_sends_is_rejected_as_an_origin(given: str) -> None:
    with pytest.raises(TemplateError, match=r"CorsOrigins must be \* or a list of origins"):
        Template(parameters={"CorsOrigins": given})
