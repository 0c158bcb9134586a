"""Parser of the messages of pydantic and pydantic-core, for facts that have no typed interface.

No other module depends on the wording of these libraries. `tests/contract/test_parser_messages.py`
names the versions whose wording this module reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

type JsonFaultKind = Literal[
    "too deep", "lone surrogate", "number out of range", "no value", "other"
]

_JSON_FAULT_KINDS: Final[Mapping[str, JsonFaultKind]] = {
    "recursion limit exceeded": "too deep",
    "unexpected end of hex escape": "lone surrogate",
    "lone leading surrogate in hex escape": "lone surrogate",
    "number out of range": "number out of range",
    "expected value": "no value",
    "invalid number": "no value",
}
_UNION_TAG = re.compile("'(type|kind|shape)=([^']*)'")


class JsonFault(NamedTuple):
    """A fault that `pydantic_core.from_json` found in its input."""

    kind: JsonFaultKind
    text: str
    """The message without the position."""
    line: int
    """Counted from 1."""
    column: int
    """Counted from 1, in bytes."""


class UnionTag(NamedTuple):
    """The tag of a member of a union; see `fields.union_tag`."""

    kind: str
    """One of type, kind and shape."""
    name: str


def json_fault(error: ValueError) -> JsonFault:
    """Return the fault that an *error* of `pydantic_core.from_json` reports."""
    text, _, position = str(error).rpartition(" at line ")
    line, column = map(int, position.split(" column "))
    return JsonFault(_JSON_FAULT_KINDS.get(text, "other"), text, line, column)


def expected_tags(error: ErrorDetails) -> list[UnionTag]:
    """Return the tags that a union accepts, from its error of the type `union_tag_invalid`."""
    return [UnionTag(*tag) for tag in _UNION_TAG.findall(error["ctx"]["expected_tags"])]
