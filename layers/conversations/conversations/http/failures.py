"""Failures that the client did not cause, and the error that it sees."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from conversations.aws_clients import CONNECTION_ERRORS, THROTTLED
from conversations.errors import NO_RESPONSE, OverloadedError, ServerError
from conversations.telemetry import aws_error_code

if TYPE_CHECKING:
    from conversations.errors import ApiError


def is_throttle(error: Exception) -> bool:
    """Return whether AWS throttled the call that raised *error*."""
    return aws_error_code(error) in THROTTLED


def public_error(error: Exception) -> ApiError:
    """Return the error for the client: 503 for a throttle or failure of AWS, else 500."""
    if is_throttle(error):
        return OverloadedError()
    is_of_aws = isinstance(error, CONNECTION_ERRORS) or (
        isinstance(error, ClientError)
        and (
            error.response["ResponseMetadata"]["HTTPStatusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR
            or aws_error_code(error) == "RequestTimeout"
        )
    )
    if is_of_aws:
        return OverloadedError(NO_RESPONSE)
    return ServerError(
        "The service failed because of an internal error. The request may have taken effect."
    )
