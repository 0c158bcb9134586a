"""Sample messages, and checks of responses, for tests over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conversations import ids

if TYPE_CHECKING:
    import httpx

type Json = dict[str, Any]

HELLO: Json = {"type": "message", "role": "user", "content": "What is the weather today?"}
NOISE = "".join(f"{number:x}" for number in range(30_000))
"""Text of some 140 KB that compresses too little for a row: the store spills it."""
LARGE: Json = {**HELLO, "content": NOISE}
OWNER = ids.owner_of("acme", "")
"""Owner of the conversations that the fixture `client` creates."""


def error_of(response: httpx.Response) -> Json:
    """Return the `error` object of an error response, and check its envelope."""
    error: Json = response.json()["error"]
    assert response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    assert list(error) == ["message", "type", "param", "code"]
    return error
