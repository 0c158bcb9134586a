"""Validation of request bodies: Pydantic's errors become one error in the client's own terms."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, NamedTuple, cast

from pydantic import TypeAdapter, ValidationError

from conversations import ids
from conversations.contract import json_body
from conversations.contract.fields import TAG_PREFIXES
from conversations.contract.parser_messages import expected_tags
from conversations.contract.paths import Path, format_path
from conversations.contract.schemas import declared_part, top_fields
from conversations.errors import InvalidRequestCode, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

MAX_SHOWN_VALUE = 80
_MAX_COMPARED = 100

_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "an array",
    "dict_type": "an object",
}
_BAD_VALUES: dict[tuple[str, type], str] = {
    ("float_type", int): "a number in the range of a double",
    ("string_pattern_mismatch", str): ids.ID_RULE,
}
_LENGTHS: dict[str, InvalidRequestCode] = {
    "string_too_short": "string_below_min_length",
    "string_too_long": "string_above_max_length",
    "too_short": "array_below_min_length",
    "too_long": "array_above_max_length",
}
_UNITS: dict[type, str] = {str: "characters", list: "entries", dict: "pairs"}
_KINDS = {
    "string": "a string",
    "array": "an array",
    "number": "a number",
    "boolean": "true or false",
}


class LocatedError(NamedTuple):
    """An error of Pydantic, with the path of the fault in the body and the value at that path."""

    path: Path
    value: object
    error: ErrorDetails


def parse[T](body_type: TypeAdapter[T], body: str | bytes) -> T:
    """Parse *body* and validate it by *body_type*, which changes no value.

    Raises:
        InvalidRequestError: *body* is not valid; the error is for the first fault in it.
    """
    try:
        value = json_body.load(body)
    except json_body.TooDeepError as error:
        param = format_path(declared_part(body_type.core_schema, error.value, error.path))
        raise InvalidRequestError(
            f"{param or 'The body'} is nested too deeply.", code="invalid_value", param=param
        ) from error
    try:
        body_type.validate_python(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        raise _first_error(value, errors, top_fields(body_type.core_schema)) from None
    return cast("T", value)


def _first_error(
    body: object, errors: Sequence[ErrorDetails], fields: Sequence[str]
) -> InvalidRequestError:
    """Return the error for the fault that comes first in the document.

    A missing field counts as a field at the end of its object. *fields* are the names that the
    body may have.
    """
    faults = [_locate(body, error) for error in errors[:_MAX_COMPARED]]
    first = min(faults, key=lambda fault: _document_position(body, fault.path))
    if first.error["type"] == "extra_forbidden":
        return unknown_parameter(str(first.path[0]), fields)
    if first.error["type"] != "missing":
        return _error_for(first)
    parent = first.path[:-1]
    missing = [f.path for f in faults if f.error["type"] == "missing" and f.path[:-1] == parent]
    return _missing_error(missing)


def unknown_parameter(name: str, known: Sequence[str]) -> InvalidRequestError:
    """Return the error for a parameter that is not in *known*; it suggests a similar name."""
    name = name[:MAX_SHOWN_VALUE]
    shown = json.dumps(name, ensure_ascii=False)
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = (
        f"Did you mean '{nearest[0]}'?" if nearest else f"Valid parameters are: {', '.join(known)}."
    )
    return InvalidRequestError(
        f"{shown} is not a parameter of this request. {hint}",
        code="unknown_parameter",
        param=format_path((name,)),
    )


def _locate(body: object, error: ErrorDetails) -> LocatedError:
    path: list[str | int] = []
    value = body
    for step in error["loc"]:
        if isinstance(value, list) and isinstance(step, int):
            path.append(step)
            value = value[step]
        elif step == "[key]" and not (isinstance(value, dict) and step in value):
            value = path[-1]
        elif isinstance(value, dict) and isinstance(step, str) and _is_key(step, value):
            path.append(step)
            value = value.get(step)
    return LocatedError(tuple(path), value, error)


def _is_key(step: str, value: dict[str, object]) -> bool:
    """Return whether *step* is a key, present or missing, and not the tag of a union's member."""
    return step in value or not step.startswith(TAG_PREFIXES)


def _document_position(body: object, path: Path) -> list[int]:
    """Return the index of each step of *path* in its object or array."""
    position = []
    for step in path:
        if isinstance(body, dict):
            position.append(next((i for i, key in enumerate(body) if key == step), len(body)))
            body = body.get(step)
        else:
            index = cast("int", step)
            position.append(index)
            body = cast("list[object]", body)[index]
    return position


def _missing_error(paths: Sequence[Path]) -> InvalidRequestError:
    """Return the error for fields that one object lacks; for several, `param` is the object."""
    path = paths[0] if len(paths) == 1 else paths[0][:-1]
    names = ", ".join(f"'{missing[-1]}'" for missing in paths)
    fields = "the field" if len(paths) == 1 else "the fields"
    return InvalidRequestError(
        f"{format_path(paths[0][:-1]) or 'The body'} must have {fields} {names}.",
        code="missing_required_parameter",
        param=format_path(path),
    )


def _error_for(fault: LocatedError) -> InvalidRequestError:
    kind, context = fault.error["type"], fault.error.get("ctx", {})
    if kind == "union_tag_invalid":
        return _union_error(fault)
    if kind in _LENGTHS:
        return _length_error(fault)
    is_text = isinstance(fault.value, str)
    if kind == "literal_error":
        return _mismatch(fault, "invalid_value" if is_text else "invalid_type", context["expected"])
    if (kind, type(fault.value)) in _BAD_VALUES:
        return _mismatch(fault, "invalid_value", _BAD_VALUES[kind, type(fault.value)])
    if kind in _EXPECTED:
        return _mismatch(fault, "invalid_type", _EXPECTED[kind])
    return _error(fault, "invalid_value", fault.error["msg"])


def _union_error(fault: LocatedError) -> InvalidRequestError:
    """Return the error for a value whose `type`, or JSON type, no member of a union has."""
    tags = expected_tags(fault.error)
    types = [tag.name for tag in tags if tag.kind == "type"]
    if not types or not isinstance(fault.value, dict):
        kinds = dict.fromkeys(_KINDS.get(tag.name, "an object") for tag in tags)
        return _mismatch(fault, "invalid_type", " or ".join(kinds))
    path = (*fault.path, "type")
    if "type" not in fault.value:
        return _missing_error([path])
    inner = fault._replace(path=path, value=fault.value["type"])
    if not isinstance(inner.value, str):
        return _mismatch(inner, "invalid_type", "a string")
    code: InvalidRequestCode = "unknown_item_type" if _is_item(fault.path) else "invalid_value"
    return _mismatch(inner, code, "one of " + ", ".join(f"'{name}'" for name in types))


def _is_item(path: Path) -> bool:
    return path[:1] == ("items",) and len(path) == len(("items", 0))


def _length_error(fault: LocatedError) -> InvalidRequestError:
    """Return the error for a value that is too long, or empty: the only lower limit is 1."""
    code = "invalid_value" if isinstance(fault.value, dict) else _LENGTHS[fault.error["type"]]
    context = fault.error["ctx"]
    if "min_length" in context:
        return _error(fault, code, "must not be empty")
    unit = _UNITS[type(fault.value)]
    size = len(cast("str | list[object]", fault.value))
    return _error(fault, code, f"must have at most {context['max_length']} {unit}, got {size}")


def _mismatch(fault: LocatedError, code: InvalidRequestCode, expected: str) -> InvalidRequestError:
    return _error(fault, code, f"must be {expected}, got {_preview(fault.value)}")


def _error(fault: LocatedError, code: InvalidRequestCode, complaint: str) -> InvalidRequestError:
    param = format_path(fault.path)
    return InvalidRequestError(f"{param or 'The body'} {complaint}.", code=code, param=param)


def _preview(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        cut = "…" if len(value) > MAX_SHOWN_VALUE else ""
        return json.dumps(value[:MAX_SHOWN_VALUE], ensure_ascii=False) + cut
    return json.dumps(value)[:MAX_SHOWN_VALUE]
