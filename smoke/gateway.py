"""Checks of API Gateway itself: keys, errors, limits, codings, CORS."""

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
"""Bytes of a body: Lambda accepts 6 MB, API Gateway 10 MB."""


def check_keys(api: Api) -> None:
    """Check that requests without a key or with an unknown one are rejected."""
    error = HTTPStatus.UNAUTHORIZED, "invalid_api_key"
    for other in (None, "smoke-test-unknown-key", "lck_not_a_key"):
        response = api.with_key(other).rejected("GET", CONVERSATIONS, *error)
        challenge = response.headers.get("WWW-Authenticate")
        expect(challenge == "Bearer", f"A 401 must name the scheme Bearer, got {challenge}.")
    api.rejected("GET", CONVERSATIONS, *error, headers={"Authorization": "Basic eDp5"})


def check_scopes(api: Api) -> None:
    """Check that a key with the scope `read` can read, and cannot write or delete."""
    if not api.read_key:
        raise SkipError("READ_KEY is missing. Create an API key with `--scope read`.")
    path, reader = api.create([message("a")]), api.with_key(api.read_key)
    reader.call("GET", CONVERSATIONS)
    error = HTTPStatus.FORBIDDEN, "insufficient_scope"
    reader.rejected("POST", f"{path}/items", *error, json={"items": [message("b")]})
    reader.rejected("DELETE", path, *error)
    expect(texts(api, path) == ["a"], "A rejected request changed the conversation.")


def check_unknown_routes(api: Api) -> None:
    """Check that unknown paths and methods return 404 with the API's own error."""
    error = HTTPStatus.NOT_FOUND, "route_not_found"
    api.rejected("GET", "/smoke-test", *error)
    api.rejected("PUT", CONVERSATIONS, *error, json={})
    api.rejected("PATCH", f"{CONVERSATIONS}/conv_smoke", *error, json={})


def check_invalid_bodies(api: Api) -> None:
    """Check that an invalid body is rejected with the path of the error, and stores nothing."""
    path, status = api.create(), HTTPStatus.BAD_REQUEST
    body = {"items": [message("a"), {"type": "message", "role": "user", "content": 5}]}
    response = api.rejected("POST", f"{path}/items", status, "invalid_type", json=body)
    param = error_of(response)["param"]
    expect(param == "items[1].content", f"`param` must be items[1].content, got {param}.")
    api.rejected("POST", f"{path}/items", status, "invalid_json", content=b"{")
    expect(texts(api, path) == [], "A rejected request stored something.")


def check_body_limits(api: Api) -> None:
    """Check that bodies over the limits of Lambda and of API Gateway are rejected."""
    path = api.create()
    error = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request_too_large"
    for size in (OVER_LAMBDAS_LIMIT, OVER_API_GATEWAYS_LIMIT):
        body = {"items": [message("x" * size)]}
        api.rejected("POST", f"{path}/items", *error, json=body)


def check_compression(api: Api) -> None:
    """Check that responses and request bodies may be compressed with gzip."""
    path = api.create([message("compressed " * 100)])
    response = api.call("GET", f"{path}/items", headers={"Accept-Encoding": "gzip"})
    coding = response.headers.get("Content-Encoding")
    expect(coding == "gzip", f"The Content-Encoding must be gzip, got {coding}.")
    body = gzip.compress(json.dumps({"items": [message("sent in gzip")]}).encode())
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    api.call("POST", f"{path}/items", content=body, headers=packed)
    expect(texts(api, path)[-1] == "sent in gzip", "The item that was sent in gzip was not stored.")
    error = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding"
    api.rejected("POST", f"{path}/items", *error, content=b"no gzip", headers=packed)


def check_cors(api: Api) -> None:
    """Check that pages of `CorsOrigins` may send requests, and read errors."""
    origin, open_ = api.origin or "https://smoke.invalid", api.with_key(None)
    preflight_headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = open_.send("OPTIONS", CONVERSATIONS, headers=preflight_headers)
    if error_of(preflight).get("code") == "route_not_found":
        raise SkipError("CORS is off: CorsOrigins is empty.")
    require(preflight, HTTPStatus.NO_CONTENT)
    allowed = preflight.headers.get("Access-Control-Allow-Origin")
    if not api.origin and allowed != "*":
        raise SkipError("CORS is on. Set ORIGIN to one of CorsOrigins.")
    expect(
        allowed in {origin, "*"}, f"The preflight must allow the origin {origin}, got {allowed}."
    )
    methods = preflight.headers.get("Access-Control-Allow-Methods", "")
    expect("POST" in methods, f"The preflight must allow POST, got {methods}.")
    response = api.call("GET", CONVERSATIONS, headers={"Origin": origin})
    allowed = response.headers.get("Access-Control-Allow-Origin")
    expect(allowed in {origin, "*"}, f"The response must allow the origin {origin}, got {allowed}.")
    error = HTTPStatus.UNAUTHORIZED, "invalid_api_key"
    response = open_.rejected("GET", CONVERSATIONS, *error, headers={"Origin": origin})
    allowed = response.headers.get("Access-Control-Allow-Origin")
    expect(allowed == "*", f"An error of API Gateway must allow the origin *, got {allowed}.")
