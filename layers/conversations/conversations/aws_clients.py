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
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as ConnectError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
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

botocore sends each call up to twice and raises the error of the last try. Any error can therefore
follow a try whose response was lost: see `may_have_taken_effect`.
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
MAY_HAVE_TAKEN_EFFECT = "conversations.may_have_taken_effect"
"""Name of the record of `may_have_taken_effect`, in the context of a call and in its errors."""
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
    record_tries(client)
    return client


def record_tries(client: DynamoDBClient) -> None:
    """Make a client record the outcome of each try, for `may_have_taken_effect`."""
    events = client.meta.events
    # botocore's own handler may raise the error of the last try.
    events.register_first("needs-retry.dynamodb", _note_try)
    events.register("after-call.dynamodb", _mark_response)


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


def may_have_taken_effect(error: ClientError | BotoCoreError) -> bool:
    """Return whether any of botocore's tries of a call that failed may have taken effect.

    *error* is what a client raised that records its tries: see `record_tries`.
    """
    if not isinstance(error, ClientError):
        return getattr(error, MAY_HAVE_TAKEN_EFFECT, True)
    metadata: dict[str, Any] = {**error.response["ResponseMetadata"]}
    has_failed = metadata["HTTPStatusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR
    return bool(metadata.get(MAY_HAVE_TAKEN_EFFECT, has_failed))


def _note_try(
    response: tuple[Any, Any] | None,
    caught_exception: Exception | None,
    request_dict: dict[str, Any],
    **_: object,
) -> None:
    """Record in the context, and on an exception, whether any try so far may have taken effect.

    A response with a 4xx shows that its try had no effect. One with 200 is tried again if it is
    damaged.
    """
    context = request_dict["context"]
    if response is None:
        may = not isinstance(caught_exception, _NEVER_CONNECTED)
    else:
        status = response[0].status_code  # not an `HTTPStatus`: a proxy may send any number
        may = not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    context[MAY_HAVE_TAKEN_EFFECT] = context.get(MAY_HAVE_TAKEN_EFFECT, False) or may
    if caught_exception is not None:
        setattr(caught_exception, MAY_HAVE_TAKEN_EFFECT, context[MAY_HAVE_TAKEN_EFFECT])


def _mark_response(
    http_response: AWSResponse, parsed: dict[str, Any], context: dict[str, Any], **_: object
) -> None:
    """Copy the record of `_note_try` into an error response, from which botocore makes an error."""
    if http_response.status_code != HTTPStatus.OK:
        parsed["ResponseMetadata"][MAY_HAVE_TAKEN_EFFECT] = context.get(
            MAY_HAVE_TAKEN_EFFECT, False
        )


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
