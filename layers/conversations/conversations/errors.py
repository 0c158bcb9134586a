"""Errors that clients see: one table, one tree of exceptions, one envelope.

ApiError
├── InvalidRequestError             invalid_json, invalid_type, ... (InvalidRequestCode)
│   └── ItemAlreadyInConversationError
├── DelegationNotAllowedError       delegation_not_allowed
├── ConversationNotFoundError       conversation_not_found
├── ItemNotFoundError               item_not_found
├── RouteNotFoundError              route_not_found
├── ConversationBusyError           conversation_busy
├── RequestTooLargeError            request_too_large
├── IdempotencyKeyReusedError       idempotency_key_reused
├── ServerError                     server_error
└── OverloadedError                 overloaded

API Gateway itself rejects requests that have no route, no valid API key or no scope, and requests
above a limit. `GatewayResponses` in `template.yaml` gives its responses the same envelope and codes
of the same table.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypedDict

type InvalidRequestCode = Literal[
    "invalid_json",
    "missing_required_parameter",
    "invalid_type",
    "invalid_value",
    "unknown_item_type",
    "unknown_parameter",
    "array_above_max_length",
    "array_below_min_length",
    "string_above_max_length",
    "string_below_min_length",
    "item_already_in_conversation",
]


class ErrorSpec(NamedTuple):
    """Properties of an error code: a row of the table."""

    type: str
    statuses: tuple[int, ...]
    """The service's own status first; API Gateway may return the others."""
    description: str
    headers: Mapping[str, str] = {}
    """Headers beside `x-request-id`; API Gateway may give them other values."""


_INVALID: Final = "invalid_request_error"
_SOON: Final = {"Retry-After": "1"}

ERRORS: Final[Mapping[str, ErrorSpec]] = {
    "invalid_json": ErrorSpec(_INVALID, (400,), "The body is not valid JSON in UTF-8."),
    "missing_required_parameter": ErrorSpec(_INVALID, (400,), "A required field is missing."),
    "invalid_type": ErrorSpec(_INVALID, (400,), "A field has the wrong JSON type."),
    "invalid_value": ErrorSpec(
        _INVALID, (400,), "A field, parameter or header has an invalid value."
    ),
    "unknown_item_type": ErrorSpec(_INVALID, (400,), "The item type is not supported."),
    "unknown_parameter": ErrorSpec(
        _INVALID, (400,), "The request has a parameter or field that does not exist."
    ),
    "array_above_max_length": ErrorSpec(_INVALID, (400,), "An array has too many entries."),
    "array_below_min_length": ErrorSpec(_INVALID, (400,), "An array has too few entries."),
    "string_above_max_length": ErrorSpec(_INVALID, (400,), "A string is too long."),
    "string_below_min_length": ErrorSpec(_INVALID, (400,), "A string is empty but must not be."),
    "item_already_in_conversation": ErrorSpec(
        _INVALID, (400,), "The conversation already has an item with the same id."
    ),
    "request_rejected": ErrorSpec(
        _INVALID, (400, 403), "API Gateway rejected the request before it reached the service."
    ),
    "invalid_api_key": ErrorSpec(
        "authentication_error",
        (401,),
        "The API key is missing, malformed, unknown, expired or revoked.",
        {"WWW-Authenticate": "Bearer"},
    ),
    "insufficient_scope": ErrorSpec(
        "permission_error", (403,), "The API key lacks the required scope: read, write or delete."
    ),
    "delegation_not_allowed": ErrorSpec(
        "permission_error", (403,), "The API key may not act on behalf of end users."
    ),
    "conversation_not_found": ErrorSpec(
        "not_found_error",
        (404,),
        "The conversation does not exist, was deleted, or has another owner.",
    ),
    "item_not_found": ErrorSpec(
        "not_found_error", (404,), "The conversation has no item with this id."
    ),
    "route_not_found": ErrorSpec("not_found_error", (404,), "No route has this method and path."),
    "conversation_busy": ErrorSpec(
        "conflict_error",
        (409,),
        "Concurrent requests kept changing the conversation. The request had no effect, except that"
        " a deletion of many items may have deleted some of the items. Retry the request.",
        _SOON,
    ),
    "request_too_large": ErrorSpec(
        _INVALID,
        (413,),
        "The body of the request is too large, or a response with its items would be too large.",
    ),
    "unsupported_content_encoding": ErrorSpec(
        _INVALID, (415,), "The Content-Encoding is not supported, or the body does not match it."
    ),
    "idempotency_key_reused": ErrorSpec(
        "idempotency_error",
        (422,),
        "The Idempotency-Key was already used with another body.",
        {"x-should-retry": "false"},
    ),
    "rate_limit_exceeded": ErrorSpec(
        "rate_limit_error",
        (429,),
        "The rate limit of the API, or the rate limit or quota of the API key, is exceeded.",
        _SOON,
    ),
    "server_error": ErrorSpec(
        "server_error",
        (500, 502, 504),
        "The service failed because of an internal error, or did not respond in time. The request"
        " may have taken effect.",
    ),
    "overloaded": ErrorSpec(
        "server_error",
        (503,),
        "The service is temporarily over capacity, or AWS did not respond in time. The request may"
        " have taken effect.",
        _SOON,
    ),
}
"""All errors, by their codes."""


class ErrorBody(TypedDict):
    """An error, with the fields that OpenAI's SDKs read."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorEnvelope(TypedDict):
    """The body of every error response."""

    error: ErrorBody


class ApiError(Exception):
    """An error that the client sees. Only the subclasses are raised."""

    code: str

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    @property
    def spec(self) -> ErrorSpec:
        """The row of the table."""
        return ERRORS[self.code]

    def envelope(self) -> ErrorEnvelope:
        """Return the response body; `param` is the path of the offending field.

        Names and values in it may not be Unicode text: their lone surrogates are escaped.
        """
        return {
            "error": {
                "message": _escaped(self.message),
                "type": self.spec.type,
                "param": self.param and _escaped(self.param),
                "code": self.code,
            }
        }


def _escaped(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


class InvalidRequestError(ApiError):
    """An invalid request. Nothing was stored, and a retry fails in the same way."""

    def __init__(self, message: str, *, code: InvalidRequestCode, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.code = code


class ItemAlreadyInConversationError(InvalidRequestError):
    """New items whose ids the conversation already has; the message names all of these ids."""

    def __init__(self, message: str, *, param: str | None) -> None:
        super().__init__(message, code="item_already_in_conversation", param=param)


class DelegationNotAllowedError(ApiError):
    """A request with `X-On-Behalf-Of` and a key that may not act on behalf of end users."""

    code = "delegation_not_allowed"


class ConversationNotFoundError(ApiError):
    """A missing, deleted or another owner's conversation; clients cannot distinguish these."""

    code = "conversation_not_found"


class ItemNotFoundError(ApiError):
    """An item that the conversation does not have."""

    code = "item_not_found"


class RouteNotFoundError(ApiError):
    """A method and path without a route."""

    code = "route_not_found"


class ConversationBusyError(ApiError):
    """A change that was not made, because concurrent requests caused all its attempts to fail."""

    code = "conversation_busy"

    def __init__(self) -> None:
        super().__init__("Concurrent requests keep changing this conversation. Retry the request.")


class RequestTooLargeError(ApiError):
    """A body, or a response with its items, over the size limit; nothing was stored."""

    code = "request_too_large"


class IdempotencyKeyReusedError(ApiError):
    """An `Idempotency-Key` that was used before with another body."""

    code = "idempotency_key_reused"


class ServerError(ApiError):
    """A failure of the service, or a failure of AWS that is not temporary."""

    code = "server_error"


NO_RESPONSE: Final = (
    "AWS did not respond in time. The request may have taken effect. Retry the request."
)
"""Message of an `OverloadedError` after a call without a response, whose outcome is unknown."""


class OverloadedError(ApiError):
    """A temporary failure: AWS throttled the service or did not respond. A retry can succeed."""

    code = "overloaded"

    def __init__(
        self, message: str = "The service is temporarily over capacity. Retry the request."
    ) -> None:
        super().__init__(message)
