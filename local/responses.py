"""Responses of the gateway itself, in the format of the template's `GatewayResponses`."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from local.errors import TemplateError
from local.events import Request, request_context
from local.intrinsics import Json, JsonObject
from local.template import Api, GatewayResponse

type Headers = list[tuple[str, str]]

# Statuses and messages of the gateway's own responses. A function that fails is a 502, though the
# guide's table of response types has INTEGRATION_FAILURE as 504.
_DEFAULTS: Final[Mapping[str, tuple[int, str | None]]] = {
    "ACCESS_DENIED": (403, "User is not authorized to access this resource"),
    "AUTHORIZER_CONFIGURATION_ERROR": (500, None),
    "AUTHORIZER_FAILURE": (500, None),
    "INTEGRATION_FAILURE": (502, "Internal server error"),
    "MISSING_AUTHENTICATION_TOKEN": (403, "Missing Authentication Token"),
    "REQUEST_TOO_LARGE": (413, "Request Too Long"),
    "THROTTLED": (429, "Too Many Requests"),
    "UNAUTHORIZED": (401, "Unauthorized"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Unsupported Media Type"),
}
_PLAIN: Final = GatewayResponse(
    None, {}, {"application/json": '{"message":$context.error.messageString}'}
)
_VARIABLE: Final = re.compile(r"\$(context|stageVariables)\.([A-Za-z][\w.]*\w)")


class GatewayError(Exception):
    """Request to which the gateway itself responds; *kind* is a gateway response type of AWS."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Headers
    body: bytes


def check_responses(api: Api) -> None:
    """Render every gateway response once, for an example request.

    Raises:
        TemplateError: a gateway response uses a variable that the local stack does not support.
    """
    request = Request("GET", "/", "", (), "127.0.0.1")
    for kind in _DEFAULTS:
        gateway_response(kind, api, request, request_context(request, api, None))


def gateway_response(kind: str, api: Api, request: Request, context: JsonObject) -> Response:
    """Render the response of a type: its own in the template, or the default of its class.

    The media type is the one in `Accept` if the template has it, else JSON, else the first.
    """
    status, message = _DEFAULTS[kind]
    default = f"DEFAULT_{status // 100}XX"
    chosen = api.responses.get(kind) or api.responses.get(default) or _PLAIN
    variables: JsonObject = {
        "context": {**context, "error": _error(kind, message)},
        "stageVariables": {**(api.stage_variables or {})},
    }
    templates = chosen.templates or _PLAIN.templates
    accepted = request.header("accept")
    media_type = next(
        (name for name in (accepted, "application/json") if name in templates), min(templates)
    )
    headers = [
        ("content-type", str(media_type)),
        ("x-amzn-requestid", request.request_id),
        ("x-amzn-errortype", kind),
        *(
            (name, _header_value(given, variables, request))
            for name, given in chosen.headers.items()
        ),
    ]
    body = _VARIABLE.sub(
        lambda match: _as_text(_look_up(variables, match[1], match[2])),
        templates[str(media_type)],
    )
    return Response(chosen.status or status, headers, body.encode())


def _error(kind: str, message: str | None) -> JsonObject:
    return {"message": message, "messageString": json.dumps(message), "responseType": kind}


def _header_value(given: str, variables: JsonObject, request: Request) -> str:
    """Resolve `'static'`, `context.x`, `stageVariables.x` or `method.request.header.x`."""
    if given.startswith("'") and given.endswith("'"):
        return given[1:-1]
    source, _, name = given.partition(".")
    if source == "method" and name.startswith("request.header."):
        return request.header(name.removeprefix("request.header.")) or ""
    return _as_text(_look_up(variables, source, name))


def _look_up(variables: JsonObject, source: str, name: str) -> Json:
    value: Json = variables.get(source, {})
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            raise TemplateError(f"The local stack does not support the variable {source}.{name}.")
        value = value[part]
    return value


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)
