"""What a client is told when a request fails: one tree of errors, one envelope.

ApiError
├── InvalidRequestError             400  invalid_json, invalid_type, invalid_value, ... (ErrorCode)
│   └── ItemAlreadyInConversationError
├── AuthenticationError             401  invalid_api_key
├── DelegationNotAllowedError       403  delegation_not_allowed
├── ConversationNotFoundError       404  conversation_not_found
├── ItemNotFoundError               404  item_not_found
├── RouteNotFoundError              404  route_not_found
├── ConversationBusyError           409  conversation_busy
├── RequestTooLargeError            413  request_too_large
├── IdempotencyKeyReusedError       422  idempotency_key_reused
├── ServerError                     500  server_error
└── OverloadedError                 503  overloaded

What API Gateway itself refuses (no route, no key, no scope, the throttle) wears the same
envelope through the `GatewayResponses` of `template.yaml`.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, TypedDict

type InvalidRequestCode = Literal[
    "invalid_json",
    "missing_required_parameter",
    "invalid_type",
    "invalid_value",
    "unknown_item_type",
    "array_above_max_length",
    "array_below_min_length",
    "string_above_max_length",
    "string_below_min_length",
    "item_already_in_conversation",
]


class ErrorBody(TypedDict):
    """The inside of the envelope, as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorEnvelope(TypedDict):
    """The body of every answer that is not a success."""

    error: ErrorBody


class ApiError(Exception):
    """A request that failed in a way the client is told about; never raised directly."""

    status: ClassVar[int]
    type: ClassVar[str]
    code: str
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def envelope(self) -> ErrorEnvelope:
        """The answer's body; *param* is the path of the fault as the client wrote it, or null."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class InvalidRequestError(ApiError):
    """The request is wrong and will stay wrong; nothing was stored."""

    status = 400
    type = "invalid_request_error"

    def __init__(self, message: str, *, code: InvalidRequestCode, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.code = code


class ItemAlreadyInConversationError(InvalidRequestError):
    """One or more client ids are taken in this conversation; the message names every one."""

    def __init__(self, message: str, *, param: str | None) -> None:
        super().__init__(message, code="item_already_in_conversation", param=param)


class AuthenticationError(ApiError):
    """No key, or one that is malformed, unknown, expired or revoked: all are answered alike."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class DelegationNotAllowedError(ApiError):
    """`X-On-Behalf-Of` was sent with a key that may not act for end users."""

    status = 403
    type = "permission_error"
    code = "delegation_not_allowed"


class NotFoundError(ApiError):
    """Missing, deleted or somebody else's: the three look the same; never raised directly."""

    status = 404
    type = "not_found_error"


class ConversationNotFoundError(NotFoundError):
    """The caller has no such conversation."""

    code = "conversation_not_found"


class ItemNotFoundError(NotFoundError):
    """The conversation has no such item."""

    code = "item_not_found"


class RouteNotFoundError(NotFoundError):
    """The path and method name no route."""

    code = "route_not_found"


class ConversationBusyError(ApiError):
    """The retry budget was spent against other writers; nothing was written."""

    status = 409
    type = "conflict_error"
    code = "conversation_busy"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class RequestTooLargeError(ApiError):
    """The body, or one item of it, is over the limit; nothing was stored."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class IdempotencyKeyReusedError(ApiError):
    """The `Idempotency-Key` was used before with another body."""

    status = 422
    type = "idempotency_error"
    code = "idempotency_key_reused"
    headers: ClassVar[Mapping[str, str]] = {"x-should-retry": "false"}


class ServerError(ApiError):
    """A fault of ours or of AWS that is not throttling."""

    status = 500
    type = "server_error"
    code = "server_error"


class OverloadedError(ApiError):
    """AWS throttles us; the request may be sent again."""

    status = 503
    type = "server_error"
    code = "overloaded"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}
