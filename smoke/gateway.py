"""Checks of what API Gateway itself must do: keys, refusals, limits, codings, CORS."""

from __future__ import annotations

import gzip
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from smoke.api import CONVERSATIONS, SkipError, error_of, expect, require
from smoke.routes import message, texts

if TYPE_CHECKING:
    from smoke.api import Api

OVER_LAMBDAS_LIMIT = 7_000_000
OVER_API_GATEWAYS_LIMIT = 11_000_000
"""Bytes of a body: Lambda takes 6 MB, API Gateway 10."""


def check_keys(api: Api) -> None:
    """Requests without a key, and with a wrong one, are refused."""
    refused = {"status": HTTPStatus.UNAUTHORIZED, "code": "invalid_api_key"}
    for other in (None, "smoke-test-unknown-key", "lck_not_a_key"):
        response = api.with_key(other).call("GET", CONVERSATIONS, **refused)
        challenge = response.headers.get("WWW-Authenticate")
        expect(challenge == "Bearer", f"A 401 must name the scheme Bearer, got {challenge}.")
    api.call("GET", CONVERSATIONS, headers={"Authorization": "Basic eDp5"}, **refused)


def check_scopes(api: Api) -> None:
    """A key with the scope `read` reads, and neither writes nor deletes."""
    if not api.read_key:
        raise SkipError("READ_KEY is missing: make one with --scope read.")
    path, reader = api.create([message("a")]), api.with_key(api.read_key)
    reader.call("GET", CONVERSATIONS)
    refused = {"status": HTTPStatus.FORBIDDEN, "code": "insufficient_scope"}
    reader.call("POST", f"{path}/items", json={"items": [message("b")]}, **refused)
    reader.call("DELETE", path, **refused)
    expect(texts(api, path) == ["a"], "A request that was refused changed the conversation.")


def check_unknown_routes(api: Api) -> None:
    """Unknown paths and methods are 404, with the API's own error."""
    refused = {"status": HTTPStatus.NOT_FOUND, "code": "route_not_found"}
    api.call("GET", "/smoke-test", **refused)
    api.call("PUT", CONVERSATIONS, json={}, **refused)
    api.call("PATCH", f"{CONVERSATIONS}/conv_smoke", json={}, **refused)


def check_invalid_bodies(api: Api) -> None:
    """A wrong body is refused with the path of its fault, and stores nothing."""
    path, refused = api.create(), {"status": HTTPStatus.BAD_REQUEST}
    body = {"items": [message("a"), {"type": "message", "role": "user", "content": 5}]}
    response = api.call("POST", f"{path}/items", code="invalid_type", json=body, **refused)
    param = error_of(response)["param"]
    expect(param == "items[1].content", f"`param` must be items[1].content, got {param}.")
    api.call("POST", f"{path}/items", code="invalid_json", content=b"{", **refused)
    expect(texts(api, path) == [], "A request that was refused stored something.")


def check_body_limits(api: Api) -> None:
    """Bodies over the limits of Lambda and of API Gateway are refused."""
    path = api.create()
    for size in (OVER_LAMBDAS_LIMIT, OVER_API_GATEWAYS_LIMIT):
        api.call(
            "POST",
            f"{path}/items",
            status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            code="request_too_large",
            json={"items": [message("x" * size)]},
        )


def check_compression(api: Api) -> None:
    """Responses come in gzip to clients that accept it, and bodies may be sent so."""
    path = api.create([message("compressed " * 100)])
    response = api.call("GET", f"{path}/items", headers={"Accept-Encoding": "gzip"})
    coding = response.headers.get("Content-Encoding")
    expect(coding == "gzip", f"The response must be in gzip, its Content-Encoding is {coding}.")
    body = gzip.compress(json.dumps({"items": [message("sent in gzip")]}).encode())
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    api.call("POST", f"{path}/items", content=body, headers=packed)
    expect(texts(api, path)[-1] == "sent in gzip", "The body that was sent in gzip is not there.")
    api.call(
        "POST",
        f"{path}/items",
        status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        code="unsupported_content_encoding",
        content=b"no gzip",
        headers=packed,
    )


def check_cors(api: Api) -> None:
    """Browsers may call from the origins of `CorsOrigins`, and are told of errors."""
    origin, open_ = api.origin or "https://smoke.invalid", api.with_key(None)
    asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = open_.send("OPTIONS", CONVERSATIONS, headers=asks)
    if error_of(preflight).get("code") == "route_not_found":
        raise SkipError("CORS is off: CorsOrigins is empty.")
    require(preflight, status=HTTPStatus.NO_CONTENT)
    allowed = preflight.headers.get("Access-Control-Allow-Origin")
    if not api.origin and allowed != "*":
        raise SkipError("CORS is on: give one of CorsOrigins as ORIGIN.")
    expect(allowed in {origin, "*"}, f"The preflight allows the origin {allowed}, not {origin}.")
    methods = preflight.headers.get("Access-Control-Allow-Methods", "")
    expect("POST" in methods, f"The preflight allows the methods {methods}.")
    response = api.call("GET", CONVERSATIONS, headers={"Origin": origin})
    allowed = response.headers.get("Access-Control-Allow-Origin")
    expect(allowed in {origin, "*"}, f"The response allows the origin {allowed}, not {origin}.")
    refused = {"status": HTTPStatus.UNAUTHORIZED, "code": "invalid_api_key"}
    response = open_.call("GET", CONVERSATIONS, headers={"Origin": origin}, **refused)
    allowed = response.headers.get("Access-Control-Allow-Origin")
    expect(allowed == "*", f"API Gateway's own error allows the origin {allowed}, not *.")
