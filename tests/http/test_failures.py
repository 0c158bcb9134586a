"""Responses and log lines when AWS fails."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from conversations.storage import backoff
from functions.api import app as api
from tests.support.fault_injection import Faults, connection_errors, error_response
from tests.support.sample_events import CONTEXT, sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack


@pytest.fixture
def reads(stack: DevStack) -> Iterator[Faults]:
    api.dynamodb_client.cache_clear()
    with stack.engine.lock:
        yield Faults(api.dynamodb_client(), "Query")
    api.dynamodb_client.cache_clear()


def read() -> tuple[int, Any, Any]:
    event = sample("api")
    event |= {"httpMethod": "GET", "path": "/api/v1/llm/conversations/conv_abc123", "body": None}
    response = api.lambda_handler(event, CONTEXT)
    return (
        response["statusCode"],
        response["multiValueHeaders"],
        json.loads(response["body"])["error"],
    )


@pytest.mark.parametrize("code", ["ThrottlingException", "SlowDown"])
def test_throttling_is_returned_as_overload(code: str, reads: Faults) -> None:
    reads.before(*[error_response(code)] * 3)

    status, headers, error = read()

    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert headers["Retry-After"] == ["1"]
    assert (error["type"], error["code"]) == ("server_error", "overloaded")


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        *((error, type(error).__name__) for error in connection_errors()),
        (error_response("InternalServerError"), "InternalServerError"),
        (error_response("RequestTimeout"), "RequestTimeout"),
    ],
)
def test_a_client_may_retry_if_aws_does_not_respond(
    fault: Any, cause: str, reads: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    reads.before(*[fault] * 3)

    status, headers, error = read()

    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert headers["Retry-After"] == ["1"]
    assert error["code"] == "overloaded"
    [line] = [record for record in caplog.records if record.message == "request failed"]
    assert cause in {line.__dict__["error"], line.__dict__["code"]}


@pytest.mark.parametrize("fault", connection_errors(), ids=lambda fault: type(fault).__name__)
def test_a_write_that_finds_no_connection_is_tried_like_one_whose_response_is_lost(
    fault: Any, stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0.05)
    api.dynamodb_client.cache_clear()
    with stack.engine.lock:
        writes = Faults(api.dynamodb_client(), "TransactWriteItems")
        writes.before(*[fault] * 1000)
        response = api.lambda_handler(sample("api"), CONTEXT)
    api.dynamodb_client.cache_clear()

    assert response["statusCode"] == HTTPStatus.SERVICE_UNAVAILABLE
    assert response["multiValueHeaders"]["Retry-After"] == ["1"]
    assert len(writes.calls) > 1


@pytest.mark.parametrize("name", ["X-On-Behalf-Of", "Idempotency-Key"])
def test_a_header_under_two_spellings_is_given_twice(name: str, stack: DevStack) -> None:
    event = sample("api")
    event["multiValueHeaders"] |= {name: ["ann"], name.lower(): ["bob"]}

    with stack.engine.lock:
        response = api.lambda_handler(event, CONTEXT)

    error = json.loads(response["body"])["error"]
    assert (response["statusCode"], error["param"]) == (HTTPStatus.BAD_REQUEST, name)
    assert "given once" in error["message"]


def test_text_that_is_no_unicode_is_no_json(stack: DevStack) -> None:
    with stack.engine.lock:
        response = api.lambda_handler(sample("api") | {"body": '"\ud800"'}, CONTEXT)

    assert response["statusCode"] == HTTPStatus.BAD_REQUEST
    assert json.loads(response["body"])["error"]["code"] == "invalid_json"


@pytest.mark.parametrize(
    "changed",
    [
        {"multiValueHeaders": {"X-On-Behalf-Of": ["\ud800"]}},
        {"multiValueHeaders": {"Idempotency-Key": ["\ud800"]}},
        {"pathParameters": {"conversation_id": "\ud800"}},
        {"httpMethod": "GET", "multiValueQueryStringParameters": {"limit": ["\ud800"]}},
        {
            "resource": "/api/v1/llm/conversations",
            "httpMethod": "GET",
            "multiValueQueryStringParameters": {"limit\ud800": ["1"]},
        },
    ],
)
def test_text_that_is_no_unicode_is_named(changed: Any, stack: DevStack) -> None:
    with stack.engine.lock:
        response = api.lambda_handler(sample("api") | changed, CONTEXT)

    assert response["statusCode"] == HTTPStatus.BAD_REQUEST
    assert r"\ud800" in json.loads(response["body"].encode())["error"]["message"]


def test_a_fault_of_ours_tells_the_client_nothing_of_it(reads: Faults) -> None:
    reads.before(*[error_response("AccessDeniedException")] * 3)

    status, headers, error = read()

    assert status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert headers["x-request-id"]
    assert error == {
        "message": "The service failed because of an internal error. The request may have taken"
        " effect.",
        "type": "server_error",
        "param": None,
        "code": "server_error",
    }


@pytest.mark.parametrize("fault", [None, error_response("AccessDeniedException")])
def test_the_log_holds_neither_content_nor_key(
    fault: Any, stack: DevStack, caplog: pytest.LogCaptureFixture
) -> None:
    api.dynamodb_client.cache_clear()
    event = sample("api")
    with stack.engine.lock:
        Faults(api.dynamodb_client(), "TransactWriteItems").before(fault)
        response = api.lambda_handler(event, CONTEXT)
    api.dynamodb_client.cache_clear()

    logged = str([vars(record) for record in caplog.records])
    assert response["statusCode"] == (500 if fault else 404)
    assert event["requestContext"]["requestId"] in logged
    assert "weather" not in logged
    assert event["headers"]["Authorization"].partition(" ")[2] not in logged
