"""Responses and request bodies in a content coding."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING

import pytest

from conversations.http.request import MAX_BODY_BYTES
from local.gateway import BODY_LIMIT
from tests.support.http_helpers import HELLO, error_of

if TYPE_CHECKING:
    import httpx

BATCH = json.dumps({"items": [HELLO]}).encode()


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("deflate;q=0.5, gzip;q=1.0", "gzip"),
        ("gzip;q=1.0, identity;q=0.5, *;q=0", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("br, gzip", None),
        ("gzip;q=0", None),
        ("gzip;q=much", None),
        ("identity", None),
        ("*", None),
        ("", None),
    ],
)
def test_a_page_is_packed_as_its_client_likes_it(
    accepted: str, coding: str | None, client: httpx.Client, conversation: str
) -> None:
    client.post(f"{conversation}/items", json={"items": [HELLO] * 20})
    plain = client.get(f"{conversation}/items", headers={"Accept-Encoding": "identity"})

    response = client.get(f"{conversation}/items", headers={"Accept-Encoding": accepted})

    assert response.headers.get("Content-Encoding") == coding
    assert response.json() == plain.json()
    assert (int(response.headers["Content-Length"]) < len(plain.content) / 3) == (
        coding is not None
    )


def test_who_does_not_say_gets_it_plain(client: httpx.Client, conversation: str) -> None:
    del client.headers["Accept-Encoding"]

    assert "Content-Encoding" not in client.get(conversation).headers


def test_errors_are_packed_too(client: httpx.Client) -> None:
    missing = client.get("/conversations/conv_none", headers={"Accept-Encoding": "gzip"})
    unknown = client.get("/nowhere", headers={"Accept-Encoding": "gzip"})

    assert {response.headers["Content-Encoding"] for response in (missing, unknown)} == {"gzip"}
    assert error_of(missing)["code"] == "conversation_not_found"
    assert error_of(unknown)["code"] == "route_not_found"


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(BATCH)),
        ("GZIP", gzip.compress(BATCH)),
        ("deflate", zlib.compress(BATCH)),
        ("identity", BATCH),
    ],
    ids=["gzip", "GZIP", "deflate", "identity"],
)
def test_a_packed_body_is_understood(
    coding: str, body: bytes, client: httpx.Client, conversation: str
) -> None:
    headers = {"Content-Encoding": coding}

    appended = client.post(f"{conversation}/items", content=body, headers=headers)

    assert appended.status_code == 200
    assert client.get(f"{conversation}/items").json() == appended.json()
    assert appended.json()["data"][0]["content"] == HELLO["content"]


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param("br", BATCH, id="unknown"),
        pytest.param("gzip, gzip", gzip.compress(gzip.compress(BATCH)), id="twice"),
        pytest.param("gzip", BATCH, id="not packed"),
        pytest.param("gzip", gzip.compress(BATCH)[:-1], id="cut off"),
        pytest.param("gzip", gzip.compress(BATCH) + b"more", id="more behind it"),
        pytest.param("deflate", gzip.compress(BATCH), id="the other one"),
    ],
)
def test_a_body_that_is_not_what_its_coding_says_is_rejected(
    coding: str, body: bytes, client: httpx.Client, conversation: str
) -> None:
    headers = {"Content-Encoding": coding}

    rejected = client.post(f"{conversation}/items", content=body, headers=headers)

    assert rejected.status_code == 415
    error = error_of(rejected)
    assert error["code"] == "unsupported_content_encoding"
    assert error["param"] == "Content-Encoding"
    assert "Content-Encoding" in error["message"]
    assert client.get(f"{conversation}/items").json()["data"] == []


@pytest.mark.parametrize("size", [MAX_BODY_BYTES, BODY_LIMIT + 1])
def test_limits_hold_for_what_comes_out_of_a_body(
    size: int, client: httpx.Client, conversation: str
) -> None:
    body = gzip.compress(BATCH + b" " * (size - len(BATCH)))

    rejected = client.post(
        f"{conversation}/items", content=body, headers={"Content-Encoding": "gzip"}
    )

    assert (rejected.status_code, error_of(rejected)["code"]) == (413, "request_too_large")
    assert client.get(f"{conversation}/items").json()["data"] == []


def test_a_compressed_body_without_the_header_is_rejected_with_its_name(
    client: httpx.Client, conversation: str
) -> None:
    rejected = client.post(f"{conversation}/items", content=gzip.compress(BATCH))

    assert error_of(rejected) == {
        "message": "The body is compressed with gzip, but the header `Content-Encoding: gzip` is"
        " missing.",
        "type": "invalid_request_error",
        "param": "Content-Encoding",
        "code": "invalid_json",
    }
