"""What a client is told when a request fails: one table, one tree of errors, one envelope.

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

What API Gateway itself refuses (no route, no key, no scope, the throttle) wears the same
envelope and codes of the same table, through the `GatewayResponses` of `template.yaml`.
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
    """A row of the table: what goes with a code."""

    type: str
    statuses: tuple[int, ...]
    """The service's own first; API Gateway may answer with the others."""
    when: str
    headers: Mapping[str, str] = {}
    """Beside `x-request-id`; API Gateway may give them other values."""


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
        _INVALID, (400,), "The conversation already has an item with that id."
    ),
    "request_refused": ErrorSpec(
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
        "not_found_error", (404,), "The conversation has no item with that id."
    ),
    "route_not_found": ErrorSpec("not_found_error", (404,), "No route has that method and path."),
    "conversation_busy": ErrorSpec(
        "conflict_error",
        (409,),
        "Concurrent requests kept changing the conversation. Nothing was written, except that a"
        " deletion of many items may be partly done. Retry the request.",
        _SOON,
    ),
    "request_too_large": ErrorSpec(
        _INVALID, (413,), "The body, or the response with its items, exceeds the size limit."
    ),
    "unsupported_content_encoding": ErrorSpec(
        _INVALID, (415,), "The body does not match its Content-Encoding."
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
        "The rate limit or quota is exceeded, for the API or for this API key.",
        _SOON,
    ),
    "server_error": ErrorSpec(
        "server_error", (500, 502, 504), "The service failed. The request may have taken effect."
    ),
    "overloaded": ErrorSpec(
        "server_error",
        (503,),
        "AWS throttled the service or did not respond. The request may have taken effect.",
        _SOON,
    ),
}
"""Every error there is, by its code."""


class ErrorBody(TypedDict):
    """The error, in the fields that OpenAI's clients read."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorEnvelope(TypedDict):
    """The body of every error response."""

    error: ErrorBody


class ApiError(Exception):
    """A request that failed in a way the client is told about; never raised directly."""

    code: str

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    @property
    def kind(self) -> ErrorSpec:
        """The row of the table."""
        return ERRORS[self.code]

    def envelope(self) -> ErrorEnvelope:
        """The answer's body; *param* is the path of the fault as the client wrote it, or null."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind.type,
                "param": self.param,
                "code": self.code,
            }
        }


class InvalidRequestError(ApiError):
    """The request is wrong and will stay wrong; nothing was stored."""

    def __init__(self, message: str, *, code: InvalidRequestCode, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.code = code


class ItemAlreadyInConversationError(InvalidRequestError):
    """One or more client ids are taken in this conversation; the message names every one."""

    def __init__(self, message: str, *, param: str | None) -> None:
        super().__init__(message, code="item_already_in_conversation", param=param)


class DelegationNotAllowedError(ApiError):
    """`X-On-Behalf-Of` was sent with a key that may not act for end users."""

    code = "delegation_not_allowed"


class ConversationNotFoundError(ApiError):
    """The conversation is missing, deleted or somebody else's: the three look the same."""

    code = "conversation_not_found"


class ItemNotFoundError(ApiError):
    """The conversation has no such item."""

    code = "item_not_found"


class RouteNotFoundError(ApiError):
    """The path and method name no route."""

    code = "route_not_found"


class ConversationBusyError(ApiError):
    """The retry budget was spent against other writers; this change was not made."""

    code = "conversation_busy"


class RequestTooLargeError(ApiError):
    """The body, or one item of it, is over the limit; nothing was stored."""

    code = "request_too_large"


class IdempotencyKeyReusedError(ApiError):
    """The `Idempotency-Key` was used before with another body."""

    code = "idempotency_key_reused"


class ServerError(ApiError):
    """A fault of ours or of AWS that is not throttling."""

    code = "server_error"


class OverloadedError(ApiError):
    """AWS throttles us; the request may be sent again."""

    code = "overloaded"
