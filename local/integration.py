"""What a function's answer becomes on the wire: the output format of a Lambda proxy integration."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Final

from local.intrinsics import Json, JsonObject
from local.responses import Answer, GatewayError, Headers

_KEYS: Final = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"})
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_STATUSES: Final = range(200, 600)
# The gateway frames the message itself.
_FRAMING: Final = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


def proxy_answer(result: bytes) -> Answer:
    """The HTTP response that a function's JSON stands for.

    On AWS base64 is decoded for the media types in `BinaryMediaTypes` only, here always.

    Raises:
        GatewayError: "Malformed Lambda proxy response", as the execution log on AWS has it: another
            key, a status that is none, a body that is no string.
    """
    output = json.loads(result)
    if not isinstance(output, dict) or output.keys() - _KEYS or "statusCode" not in output:
        raise GatewayError("INTEGRATION_FAILURE")
    headers = [(n, v) for n, v in _headers(output) if n.lower() not in _FRAMING]
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers):
        raise GatewayError("INTEGRATION_FAILURE")
    if "content-type" not in {name.lower() for name, _ in headers}:
        headers.append(("Content-Type", "application/json"))
    return Answer(_status(output["statusCode"]), headers, _body(output))


def _status(given: Json) -> int:
    try:
        status = int(given) if isinstance(given, int | str) else 0
    except ValueError:
        status = 0
    if status not in _STATUSES:
        raise GatewayError("INTEGRATION_FAILURE")
    return status


def _headers(output: JsonObject) -> Headers:
    """Both kinds as one list; of a name in both, the multi-value one holds."""
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
