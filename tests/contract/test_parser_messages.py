"""The wording of pydantic and pydantic-core that `parser_messages` reads."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from conversations.contract.items import AnyItem
from conversations.contract.parser_messages import JsonFault, UnionTag, expected_tags, json_fault

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

READ_VERSIONS = {"pydantic": "2.14.3", "pydantic-core": "2.50.4"}
"""The versions whose wording `parser_messages` was written for."""


def advice() -> str:
    installed = {name: importlib.metadata.version(name) for name in READ_VERSIONS}
    if installed == READ_VERSIONS:
        return "parser_messages no longer reads the wording of the versions it was written for."
    return (
        f"The wording changed between {READ_VERSIONS} and the installed {installed}: adapt"
        " layers/conversations/conversations/contract/parser_messages.py to it, and name the"
        " installed versions in READ_VERSIONS."
    )


def json_error(body: bytes) -> ValueError:
    with pytest.raises(ValueError, match=" at line ") as caught:
        from_json(body, allow_inf_nan=False)
    return caught.value


def union_error(body: object) -> ErrorDetails:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter[object](AnyItem).validate_python(body)
    [error] = caught.value.errors()
    return error


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"[" * 300, JsonFault("too deep", "recursion limit exceeded", 1, 202)),
        (rb'["\ud83d"]', JsonFault("lone surrogate", "unexpected end of hex escape", 1, 9)),
        (
            rb'["\ud83d\u0061"]',
            JsonFault("lone surrogate", "lone leading surrogate in hex escape", 1, 14),
        ),
        (
            b"[" + b"9" * 5_000 + b"]",
            JsonFault("number out of range", "number out of range", 1, 4303),
        ),
        (b"[NaN]", JsonFault("no value", "expected value", 1, 2)),
        (b"[-Infinity]", JsonFault("no value", "invalid number", 1, 3)),
        (b'{"a": 1,\n"b" 2}', JsonFault("other", "expected `:`", 2, 5)),
    ],
    ids=lambda value: value.text if isinstance(value, JsonFault) else "",
)
def test_a_fault_of_the_json_is_read_from_the_message(body: bytes, fault: JsonFault) -> None:
    error = json_error(body)

    assert str(error) == f"{fault.text} at line {fault.line} column {fault.column}", advice()
    assert json_fault(error) == fault


def test_the_tags_of_a_union_are_read_from_its_error() -> None:
    error = union_error({"type": "unknown"})
    tags = ["type=message", "type=output_audio", "shape=encrypted compaction"]

    assert error["type"] == "union_tag_invalid", advice()
    assert [tag for tag in tags if f"'{tag}'" not in error["ctx"]["expected_tags"]] == [], advice()
    assert [tag for tag in tags if UnionTag(*tag.split("=")) not in expected_tags(error)] == []
    assert len(expected_tags(error)) == error["ctx"]["expected_tags"].count("=")
