"""A request body: from bytes to JSON values that can be stored and written out again."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from math import isfinite
from typing import cast

from pydantic_core import from_json, to_json

from conversations.contract.paths import Path, format_path
from conversations.errors import InvalidRequestError

_NUMBER_START = re.compile(rb"(?<![-+.eE0-9])-?[0-9]*$")
_GZIP_START = b"\x1f"  # its second byte is lost where API Gateway takes the body for text
_TOO_DEEP = "recursion limit exceeded"
_TOO_LONG = "number out of range"
_NO_VALUE = ("expected value", "invalid number")
_NOT_FINITE = (b"NaN", b"Infinity")
_HALF_CHARACTER = ("unexpected end of hex escape", "lone leading surrogate in hex escape")
_MAX_NUMBER_BYTES = 8192


class TooDeepError(Exception):
    """The parser gave up on nesting; *value* is what stands before, *path* where it gave up."""

    def __init__(self, value: object, path: Path) -> None:
        super().__init__()
        self.value = value
        self.path = path


def load(body: str | bytes) -> object:
    """Parse *body*, refusing what is not JSON and the numbers that JSON cannot carry back."""
    try:
        raw = body.encode() if isinstance(body, str) else body
    except UnicodeEncodeError as error:
        raise InvalidRequestError("The body is not UTF-8 text.", code="invalid_json") from error
    if not raw.strip():
        raise InvalidRequestError("The body is empty. Send JSON.", code="invalid_json")
    if raw.startswith(_GZIP_START):
        raise InvalidRequestError(
            "The body is gzip. Send the header Content-Encoding: gzip with it.",
            code="invalid_json",
            param="Content-Encoding",
        )
    try:
        value: object = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise _parse_error(raw, str(error)) from error
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


def _parse_error(raw: bytes, message: str) -> InvalidRequestError | TooDeepError:
    """What to raise for the parser's *message*: most faults have a place but no path."""
    fault, _, place = message.rpartition(" at line ")
    line, column = map(int, place.split(" column "))
    # Not by splitting: a body of newlines would take a hundred times its size.
    start = bisect_left(range(len(raw)), line - 1, key=lambda end: raw.count(b"\n", 0, end))
    before = raw[: start + column - 1]
    if fault == _TOO_DEEP:
        value, path = _parsed(before, max(before.rfind(b"["), before.rfind(b"{")))
        return TooDeepError(value, path)
    if fault in _HALF_CHARACTER:
        return _half_character(before)
    number = _NUMBER_START.search(before, max(0, len(before) - _MAX_NUMBER_BYTES))
    if number and fault == _TOO_LONG:
        return _bad_number(_parsed(before, number.start())[1], "a number with fewer digits")
    if number and fault in _NO_VALUE and raw.startswith(_NOT_FINITE, len(before)):
        return _bad_number(_parsed(before, number.start())[1], "a finite number")
    return InvalidRequestError(
        f"The body is not valid JSON: {fault} at line {line}, column {column}.", code="invalid_json"
    )


def _half_character(before: bytes) -> InvalidRequestError:
    """Return the error for a string with one half of a surrogate pair; *before* ends in it."""
    opening = before.replace(b"\\\\", b"__").replace(b'\\"', b"__").rfind(b'"')
    try:
        path = _parsed(before, opening)[1]
    except ValueError:  # the string is a key
        path = _parsed(before, opening, b'"":null,')[1][:-1]
    param = format_path(path)
    return InvalidRequestError(
        f"{param or 'The body'} has a lone surrogate (\\ud800 to \\udfff), which is half of a"
        " character. Send whole characters: JavaScript's slice can cut an emoji in two.",
        code="invalid_value",
        param=param,
    )


def _bad_number(path: Path, expected: str) -> InvalidRequestError:
    param = format_path(path)
    return InvalidRequestError(
        f"{param or 'The body'} must be {expected}.", code="invalid_value", param=param
    )


def _parsed(before: bytes, end: int, instead: bytes = b"null,") -> tuple[object, Path]:
    """Return the body up to *end*, where *instead* takes the place of what does not parse.

    The path is that of the last value.
    """
    value: object = from_json(b"".join([memoryview(before)[:end], instead]), allow_partial=True)
    return value, tuple(_last_path(value))


def _last_path(value: object) -> Iterator[str | int]:
    while isinstance(value, dict | list) and value:
        step = next(reversed(value)) if isinstance(value, dict) else len(value) - 1
        yield step
        value = cast("dict[object, object]", value)[step]
