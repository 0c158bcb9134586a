"""Output format of a Lambda proxy integration."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Final

from local.intrinsics import Json, JsonObject
from local.responses import GatewayError, Headers, Response

_KEYS: Final = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"})
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_STATUSES: Final = range(200, 600)
# The gateway sets these headers itself.
_FRAMING: Final = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


def proxy_response(result: bytes) -> Response:
    """Build the HTTP response from a function's JSON.

    AWS decodes base64 only for media types in `BinaryMediaTypes`; the local stack always does.

    Raises:
        GatewayError: the response has an unknown key, an invalid status or a body that is not a
            string. The execution log on AWS says "Malformed Lambda proxy response".
    """
    output = json.loads(result)
    if not isinstance(output, dict) or output.keys() - _KEYS or "statusCode" not in output:
        raise GatewayError("INTEGRATION_FAILURE")
    headers = [(n, v) for n, v in _headers(output) if n.lower() not in _FRAMING]
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers):
        raise GatewayError("INTEGRATION_FAILURE")
    if "content-type" not in {name.lower() for name, _ in headers}:
        headers.append(("Content-Type", "application/json"))
    return Response(_status(output["statusCode"]), headers, _body(output))


def _status(given: Json) -> int:
    try:
        status = int(given) if isinstance(given, int | str) else 0
    except ValueError:
        status = 0
    if status not in _STATUSES:
        raise GatewayError("INTEGRATION_FAILURE")
    return status


def _headers(output: JsonObject) -> Headers:
    """Merge `headers` and `multiValueHeaders`; the latter wins for a name in both."""
    single, multiple = (
        {} if output.get(name) is None else output[name]
        for name in ("headers", "multiValueHeaders")
    )
    if not isinstance(single, dict) or not isinstance(multiple, dict):
        raise GatewayError("INTEGRATION_FAILURE")
    listed = {name.lower() for name in multiple}
    return [
        *((n, _text(value)) for n, value in single.items() if n.lower() not in listed),
        *((n, _text(value)) for n, values in multiple.items() for value in _values(values)),
    ]


def _values(given: Json) -> Iterator[Json]:
    if not isinstance(given, list):
        raise GatewayError("INTEGRATION_FAILURE")
    yield from given


def _text(value: Json) -> str:
    if isinstance(value, dict | list) or value is None:
        raise GatewayError("INTEGRATION_FAILURE")
    return value if isinstance(value, str) else json.dumps(value)


def _body(output: JsonObject) -> bytes:
    body = output.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise GatewayError("INTEGRATION_FAILURE")
    try:
        if output.get("isBase64Encoded") is True:
            return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise GatewayError("INTEGRATION_FAILURE") from error
    return body.encode()
