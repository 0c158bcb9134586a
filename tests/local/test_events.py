import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.events import Request, method_arn, proxy_event, request_context, token_event
from local.template import Template

APP = Path(__file__).parent / "app"
API = Template(APP / "template.yaml").api
FILES = next(route for route in API.routes if route.path == "/{proxy+}")

type Event = dict[str, Any]


def posted(
    path: str = "/hello/world",
    query: str = "",
    headers: tuple[tuple[str, str], ...] = (("User-Agent", "pytest"),),
    body: bytes = b"",
) -> Event:
    request = Request("POST", path, query, headers, "192.0.2.7", received_at=1519166937.665)
    context = request_context(request, API, FILES)
    context["authorizer"] = {
        "principalId": "somebody",
        "integrationLatency": 3,
        "text": "words",
        "number": "7",
        "truth": "true",
    }
    return proxy_event(request, context, API, {"proxy": path.removeprefix("/")}, body)


def kinds(value: object) -> object:
    """Return the shape of an event, in the format of documented_fields.json."""
    words: dict[type, str] = {str: "string", bool: "boolean", int: "number", type(None): "null"}
    return (
        {name: kinds(item) for name, item in value.items()}
        if isinstance(value, dict)
        else (words.get(type(value), "list"))
    )


def merged(left: object, right: object) -> object:
    if not isinstance(left, dict) or not isinstance(right, dict):
        return right
    shared = {name: merged(left[name], right[name]) for name in left.keys() & right.keys()}
    return {**left, **right, **shared}


def test_event_has_exactly_the_documented_fields() -> None:
    documented: object = {}
    for fields in json.loads((APP / "documented_fields.json").read_text()).values():
        documented = merged(documented, fields)

    event = posted(query="name=me&multivalueName=you&multivalueName=me", body=b'{"a": 1}')

    shape = kinds(event)
    assert isinstance(shape, dict)
    assert isinstance(documented, dict)
    open_ended = {name for name, kind in documented.items() if str(kind).startswith("object of")}
    for name in open_ended:
        [*kinds_of_values] = set(shape.pop(name).values())
        assert kinds_of_values == [documented.pop(name).removeprefix("object of ")]
    assert shape == documented


def test_event_repeats_the_request_field_by_field() -> None:
    headers = (("Content-Type", "application/json"), ("headerName", "headerValue"))

    event = posted(query="name=me&multivalueName=you&multivalueName=me", headers=headers)

    assert event["resource"] == "/{proxy+}"
    assert event["path"] == "/hello/world"
    assert event["httpMethod"] == "POST"
    assert event["headers"].items() >= dict(headers).items()
    assert event["multiValueHeaders"]["headerName"] == ["headerValue"]
    assert event["queryStringParameters"] == {"name": "me", "multivalueName": "me"}
    assert event["multiValueQueryStringParameters"] == {
        "name": ["me"],
        "multivalueName": ["you", "me"],
    }
    assert event["pathParameters"] == {"proxy": "hello/world"}
    assert event["stageVariables"] == {"stageVariableName": "stageVariableValue"}


def test_context_describes_the_call() -> None:
    context = posted(headers=(("user-agent", "pytest/9"),))["requestContext"]

    assert context["path"] == "/testStage/hello/world"
    assert context["stage"] == "testStage"
    assert context["resourcePath"] == "/{proxy+}"
    assert context["requestTime"] == "20/Feb/2018:22:48:57 +0000"
    assert context["requestTimeEpoch"] == 1519166937665
    assert context["protocol"] == "HTTP/1.1"
    assert context["identity"]["sourceIp"] == "192.0.2.7"
    assert context["identity"]["userAgent"] == "pytest/9"
    assert re.fullmatch(r"[0-9a-f-]{36}", context["requestId"])
    assert context["domainName"].startswith(context["apiId"])


def test_repeated_header_is_its_last_value_and_all_of_them() -> None:
    event = posted(headers=(("X-Tag", "one"), ("x-tag", "two")))

    assert event["headers"]["X-Tag"] == "two"
    assert event["multiValueHeaders"]["X-Tag"] == ["one", "two"]


def test_headers_of_the_connection_are_not_passed_on() -> None:
    given = ("Connection", "Content-Length", "Transfer-Encoding", "Expect", "TE")

    event = posted(headers=tuple((name, "1") for name in given))

    assert not event["headers"].keys() & set(given)


def test_client_is_added_to_those_it_was_forwarded_for() -> None:
    event = posted(headers=(("x-forwarded-for", "203.0.113.1"),))

    assert event["headers"]["X-Forwarded-For"] == "203.0.113.1, 192.0.2.7"
    assert event["headers"]["X-Amzn-Trace-Id"].startswith("Root=1-5a8ca5d9-")


def test_trace_of_the_client_is_kept() -> None:
    event = posted(headers=(("X-Amzn-Trace-Id", "Root=1-2-3"),))

    assert event["multiValueHeaders"]["X-Amzn-Trace-Id"] == ["Root=1-2-3"]


@pytest.mark.parametrize(
    ("query", "values"),
    [
        pytest.param("include[]=a&include%5B%5D=b", {"include[]": ["a", "b"]}, id="brackets"),
        pytest.param("q=a+b%20c%2B", {"q": ["a b c+"]}, id="escapes"),
        pytest.param("empty=&bare", {"empty": [""], "bare": [""]}, id="empty"),
        pytest.param("q=%F0%9F%8C%A7", {"q": ["🌧"]}, id="utf-8"),
        pytest.param("", None, id="absent"),
    ],
)
def test_query_is_decoded(query: str, values: dict[str, list[str]] | None) -> None:
    event = posted(query=query)

    assert event["multiValueQueryStringParameters"] == values
    last_values = {name: given[-1] for name, given in (values or {}).items()}
    assert event["queryStringParameters"] == (last_values or None)


def test_path_is_decoded() -> None:
    assert posted(path="/caf%C3%A9%20noir")["path"] == "/café noir"


@pytest.mark.parametrize(
    ("body", "text", "is_base64"),
    [
        pytest.param(b"", None, False, id="none"),
        pytest.param("é".encode(), "é", False, id="utf-8"),
        pytest.param(b"\xff\x00", base64.b64encode(b"\xff\x00").decode(), True, id="binary"),
    ],
)
def test_body_is_text_if_it_can_be(body: bytes, text: str | None, is_base64: bool) -> None:  # noqa: FBT001 - a table
    event = posted(body=body)

    assert (event["body"], event["isBase64Encoded"]) == (text, is_base64)


def test_authorizer_receives_the_concrete_path() -> None:
    arn = method_arn(Request("GET", "/echo/a", "", (), "192.0.2.7"), API)

    assert arn.endswith("/testStage/GET/echo/a")
    assert token_event("Bearer x", arn) == {
        "type": "TOKEN",
        "authorizationToken": "Bearer x",
        "methodArn": arn,
    }


@pytest.mark.parametrize(
    ("name", "build"),
    [
        pytest.param("api.json", posted, id="api"),
        pytest.param("authorizer.json", lambda: token_event("", ""), id="authorizer"),
    ],
)
def test_sample_in_events_has_the_fields_that_the_gateway_sends(
    name: str, build: Callable[[], Event]
) -> None:
    sample = json.loads((APP.parents[2] / "events" / name).read_text())
    built = build()

    assert sample.keys() == built.keys()
    if "requestContext" in sample:
        assert sample["requestContext"].keys() == built["requestContext"].keys()
        assert (
            sample["requestContext"]["identity"].keys()
            == built["requestContext"]["identity"].keys()
        )
