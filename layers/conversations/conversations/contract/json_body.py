"""Parser of a request body: from bytes to JSON values that can be stored and written again."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from math import isfinite
from typing import cast

from pydantic_core import from_json, to_json

from conversations.contract.parser_messages import JsonFault, json_fault
from conversations.contract.paths import Path, format_path
from conversations.errors import InvalidRequestError

_NUMBER_START = re.compile(rb"(?<![-+.eE0-9])-?[0-9]*$")
_GZIP_START = b"\x1f"  # The second byte is lost when API Gateway decodes the body as text.
_NOT_FINITE = (b"NaN", b"Infinity")
_MAX_NUMBER_BYTES = 8192


class TooDeepError(Exception):
    """A body whose nesting is too deep for the parser.

    *value* is the part that was parsed, *path* the position in it where the parser stopped.
    """

    def __init__(self, value: object, path: Path) -> None:
        super().__init__()
        self.value = value
        self.path = path


def load(body: str | bytes) -> object:
    """Parse *body*.

    Raises:
        InvalidRequestError: *body* is not JSON, or has a number that JSON cannot write again.
        TooDeepError: *body* is nested too deeply.
    """
    try:
        raw = body.encode() if isinstance(body, str) else body
    except UnicodeEncodeError as error:
        raise InvalidRequestError("The body is not UTF-8 text.", code="invalid_json") from error
    if not raw.strip():
        raise InvalidRequestError("The body is empty. Send a JSON object.", code="invalid_json")
    if raw.startswith(_GZIP_START):
        raise InvalidRequestError(
            "The body is compressed with gzip, but the header `Content-Encoding: gzip` is missing.",
            code="invalid_json",
            param="Content-Encoding",
        )
    try:
        value: object = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise _error_for(raw, json_fault(error)) from error
    if b"Infinity" in to_json(value, inf_nan_mode="constants"):
        for path in _non_finite(value, ()):
            raise _bad_number(path, "a finite number")
    return value


def _non_finite(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, float) and not isfinite(value):
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _non_finite(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _non_finite(inner, (*path, index))


def _error_for(raw: bytes, fault: JsonFault) -> InvalidRequestError | TooDeepError:
    """Return the error for a *fault* of the body *raw*.

    The error names the path of the fault where the path can be found; the parser gives a position.
    """
    # Splitting a body of newlines into lines would take a hundred times its size.
    start = bisect_left(range(len(raw)), fault.line - 1, key=lambda end: raw.count(b"\n", 0, end))
    before = raw[: start + fault.column - 1]
    if fault.kind == "too deep":
        value, path = _parsed(before, max(before.rfind(b"["), before.rfind(b"{")))
        return TooDeepError(value, path)
    if fault.kind == "lone surrogate":
        return _lone_surrogate(before)
    number = _NUMBER_START.search(before, max(0, len(before) - _MAX_NUMBER_BYTES))
    if number and fault.kind == "number out of range":
        return _bad_number(_parsed(before, number.start())[1], "a number with fewer digits")
    if number and fault.kind == "no value" and raw.startswith(_NOT_FINITE, len(before)):
        return _bad_number(_parsed(before, number.start())[1], "a finite number")
    return InvalidRequestError(
        f"The body is not valid JSON: {fault.text} at line {fault.line}, column {fault.column}.",
        code="invalid_json",
    )


def _lone_surrogate(before: bytes) -> InvalidRequestError:
    """Return the error for a string with one half of a surrogate pair; *before* ends in it."""
    opening = before.replace(b"\\\\", b"__").replace(b'\\"', b"__").rfind(b'"')
    try:
        path = _parsed(before, opening)[1]
    except ValueError:  # the string is a key
        path = _parsed(before, opening, b'"":null,')[1][:-1]
    param = format_path(path)
    return InvalidRequestError(
        f"{param or 'The body'} has a lone surrogate (\\ud800 to \\udfff), which is not a"
        " valid character. This can happen if a string is cut inside an emoji, for example by"
        " JavaScript's slice().",
        code="invalid_value",
        param=param,
    )


def _bad_number(path: Path, expected: str) -> InvalidRequestError:
    param = format_path(path)
    return InvalidRequestError(
        f"{param or 'The body'} must be {expected}.", code="invalid_value", param=param
    )


def _parsed(before: bytes, end: int, instead: bytes = b"null,") -> tuple[object, Path]:
    """Return the value of *before* up to *end*, followed by *instead*, and its last value's path.

    *instead* replaces the value that does not parse.
    """
    value: object = from_json(b"".join([memoryview(before)[:end], instead]), allow_partial=True)
    return value, tuple(_last_path(value))


def _last_path(value: object) -> Iterator[str | int]:
    while isinstance(value, dict | list) and value:
        step = next(reversed(value)) if isinstance(value, dict) else len(value) - 1
        yield step
        value = cast("dict[object, object]", value)[step]
