"""The clients of AWS, with what our functions ask of them.

botocore takes each value of a request and of an answer through its model of DynamoDB, in Python,
and looks for the tables that a request names by JMESPath: half of the CPU of a page of 100. What we
give it, and what DynamoDB answers, is the JSON of the wire already, but for bytes, which go as
base64. So it is handed past the model. Endpoints, signatures, retries and refusals are botocore's.

boto3 would make the same clients, and import what it transfers files with: a tenth of a cold start.
"""

from __future__ import annotations

import binascii
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ConnectionError as ConnectError
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ResponseStreamingError,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client

CLIENT_CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    tcp_keepalive=True,
    parameter_validation=False,
    # botocore puts its own together twice for each request, of a dozen parts that it cleans.
    user_agent="lambda-conversations",
)
"""Of each call: a connection within a second, an answer within two, and one more try.

Connections are kept open between requests, and probed by TCP. The slowest append, whose object,
last try and look afterwards each take all of that, fits into the function's time-out.
"""
CONNECTION_ERRORS = (ConnectError, HTTPClientError)
"""Errors of a call that AWS did not answer.

botocore sends each call up to twice and raises the last attempt's error, so a connection that
cannot be made may follow a lost response: `was_sent` tells.
"""
THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "ThrottlingError",
        "ThrottlingException",
    }
)
"""The codes of DynamoDB's and S3's throttling, in errors and in cancellation reasons."""
_NEVER_CONNECTED = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)
_WAS_SENT = "conversations.was_sent"
_PARAMS = "conversations.params"
_UNREADABLE = "conversations.unreadable"


def dynamodb() -> DynamoDBClient:
    """A client of DynamoDB that takes and gives rows as boto3's does, but for sets of bytes.

    A `ClientRequestToken` is the caller's to give.
    """
    client: DynamoDBClient = _client("dynamodb")
    events = client.meta.events
    events.register("provide-client-params.dynamodb", _take_params)  # type: ignore[arg-type] # its answer counts
    events.register("before-call.dynamodb", _write_body)
    events.register("before-parse.dynamodb", _read_body)
    events.register("after-call.dynamodb", _refuse_unreadable)
    events.register("needs-retry.dynamodb", _note_attempt)
    return client


def s3() -> S3Client:
    """A client of S3."""
    client: S3Client = _client("s3")
    return client


def _client(service: str) -> Any:  # noqa: ANN401 - one type for each service
    return botocore.session.get_session().create_client(service, config=CLIENT_CONFIG)


def was_sent(error: Exception) -> bool:
    """Return whether a call of `dynamodb` that failed with *error* may have reached DynamoDB."""
    return getattr(error, _WAS_SENT, True)


def _note_attempt(
    caught_exception: Exception | None, request_dict: dict[str, Any], **_: object
) -> None:
    """Note, on the error that botocore may raise, whether one of the attempts so far was sent."""
    context = request_dict["context"]
    context[_WAS_SENT] = context.get(_WAS_SENT, False) or not isinstance(
        caught_exception, _NEVER_CONNECTED
    )
    if caught_exception is not None:
        setattr(caught_exception, _WAS_SENT, context[_WAS_SENT])


def _take_params(params: dict[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any]:
    """Leave nothing for the model to look at; it asks for the keys of this one map."""
    context[_PARAMS] = params
    return {name: {} for name in params if name == "RequestItems"}


def _write_body(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    params["body"] = json.dumps(context[_PARAMS], default=_base64, separators=(",", ":")).encode()


def _read_body(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Refusals are left to the model, which makes exceptions of them.

    What cannot be read is for botocore to see first, which may ask again: it checks the CRC.
    """
    if response_dict["status_code"] == HTTPStatus.OK:
        try:
            answer = json.loads(response_dict["body"], object_hook=_with_bytes)
        except ValueError:
            answer = None
        readable = isinstance(answer, dict)
        customized_response_dict.update(answer if readable else {_UNREADABLE: True})
        response_dict["body"] = b"{}"


def _refuse_unreadable(parsed: dict[str, Any], **_: object) -> None:
    """See to it that no answer is taken for one that cannot be read.

    Raises:
        ResponseStreamingError: what was asked may have been done.
    """
    if parsed.pop(_UNREADABLE, False):
        raise ResponseStreamingError(error="it is no JSON object")


def _base64(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode()


def _with_bytes(found: dict[str, Any]) -> dict[str, Any]:
    """A value of type B with its bytes; what a map holds under the name B is no string."""
    if "B" in found and isinstance(found["B"], str):
        return {"B": binascii.a2b_base64(found["B"])}
    return found
