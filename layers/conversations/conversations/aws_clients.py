"""AWS clients of the functions.

botocore converts every value of a request and a response by its model of DynamoDB, in Python, and
searches each request for table names by JMESPath. That is half of the CPU time of a page of 100
items. Our parameters and DynamoDB's responses already are the JSON of its protocol, except for
bytes, which are base64 there. So the client of DynamoDB bypasses the model. botocore still resolves
endpoints, signs, retries and parses errors.

boto3 would make the same clients, but its import of file transfers is a tenth of a cold start.
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
    # botocore builds its own user agent twice for each request, from a dozen parts.
    user_agent="lambda-conversations",
)
"""Limits of each call: a connection within a second, a response within two, and one retry.

TCP keep-alive probes connections that stay open between requests. An append fits into the
function's time-out even if each of its calls takes the maximum.
"""
CONNECTION_ERRORS = (ConnectError, HTTPClientError)
"""Errors of a call without a response.

botocore sends each call up to twice and raises the error of the last attempt. A failed connection
can therefore follow an attempt whose response was lost: see `was_sent`.
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
"""Codes of DynamoDB's and S3's throttling, in errors and in cancellation reasons."""
_NEVER_CONNECTED = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)
_WAS_SENT = "conversations.was_sent"
_PARAMS = "conversations.params"
_UNREADABLE = "conversations.unreadable"


def dynamodb() -> DynamoDBClient:
    """Return a client of DynamoDB that takes and returns rows as boto3's does.

    It does not support sets of bytes, and does not generate a `ClientRequestToken`.
    """
    client: DynamoDBClient = _client("dynamodb")
    _keep_endpoint(client)
    events = client.meta.events
    events.register("provide-client-params.dynamodb", _take_params)  # type: ignore[arg-type] # its result replaces the parameters
    events.register("before-call.dynamodb", _write_body)
    events.register("before-parse.dynamodb", _read_body)
    events.register("after-call.dynamodb", _raise_if_unreadable)
    events.register("needs-retry.dynamodb", _note_attempt)
    return client


def _keep_endpoint(client: Any) -> None:  # noqa: ANN401 - botocore's own, without types
    """Find the endpoint by botocore's rules once, because it depends on no request of ours.

    Finding it for each call would be a twelfth of the CPU time of a page of items.
    """
    rules = client._ruleset_resolver  # noqa: SLF001
    find, found = rules.construct_endpoint, list[Any]()

    def construct_endpoint(**call: Any) -> Any:  # noqa: ANN401
        if not found:
            found.append(find(**call))
        return found[0]

    rules.construct_endpoint = construct_endpoint


def s3() -> S3Client:
    """Return a client of S3."""
    client: S3Client = _client("s3")
    return client


def _client(service: str) -> Any:  # noqa: ANN401 - one type for each service
    return botocore.session.get_session().create_client(service, config=CLIENT_CONFIG)


def was_sent(error: Exception) -> bool:
    """Return whether a request that failed with *error* may have reached DynamoDB."""
    return getattr(error, _WAS_SENT, True)


def _note_attempt(
    caught_exception: Exception | None, request_dict: dict[str, Any], **_: object
) -> None:
    """Record on the error, which botocore may raise, whether any attempt so far was sent."""
    context = request_dict["context"]
    context[_WAS_SENT] = context.get(_WAS_SENT, False) or not isinstance(
        caught_exception, _NEVER_CONNECTED
    )
    if caught_exception is not None:
        setattr(caught_exception, _WAS_SENT, context[_WAS_SENT])


def _take_params(params: dict[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any]:
    """Set the parameters aside, and return empty ones for the model.

    The keys of `RequestItems` stay, because botocore reads them.
    """
    context[_PARAMS] = params
    return {name: {} for name in params if name == "RequestItems"}


def _write_body(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    params["body"] = json.dumps(context[_PARAMS], default=_base64, separators=(",", ":")).encode()


def _read_body(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Parse the body of a success; the model parses errors and makes exceptions of them.

    An unreadable body raises no error here: botocore first checks its CRC and may retry.
    """
    if response_dict["status_code"] == HTTPStatus.OK:
        try:
            response = json.loads(response_dict["body"], object_hook=_with_bytes)
        except ValueError:
            response = None
        readable = isinstance(response, dict)
        customized_response_dict.update(response if readable else {_UNREADABLE: True})
        response_dict["body"] = b"{}"


def _raise_if_unreadable(parsed: dict[str, Any], **_: object) -> None:
    """Raise an error for a response whose body could not be parsed.

    Raises:
        ResponseStreamingError: the call may have taken effect.
    """
    if parsed.pop(_UNREADABLE, False):
        raise ResponseStreamingError(error="the response is not a JSON object")


def _base64(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode()


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    """Decode a value of type B; a map can have a key B too, whose value is never a string."""
    if "B" in value and isinstance(value["B"], str):
        return {"B": binascii.a2b_base64(value["B"])}
    return value
