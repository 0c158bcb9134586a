"""The part of a path that the contract declares."""

import pytest
from pydantic import TypeAdapter

from conversations.contract.bodies import AppendItems
from conversations.contract.paths import Path
from conversations.contract.schemas import declared_part

TOOL = {"name": "t", "input_schema": {"a": {"b": 1}}}
POINT = {"x": {"y": 1}}
BODY = {
    "items": [
        {"type": "mcp_list_tools", "tools": [TOOL], "x": {"y": 1}, "metadata": {"k": "v"}},
        {"type": "message", "content": "text"},
        {"type": "chat", "x": {"y": 1}},
        {"type": "message", "content": [{"type": "input_text", "prompt_cache_breakpoint": POINT}]},
        {"type": "computer_call", "action": {"type": "click", "x": {"y": 1}}},
    ]
}


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (("items", 0, "tools", 0, "name"), 5),
        (("items", 0, "tools", 0, "input_schema", "a", "b"), 5),
        (("items", 0, "metadata", "k"), 3),
        (("items", 0, "x", "y"), 3),
        (("items", 1, "content"), 3),
        (("items", 2, "x", "y"), 2),
        (("items", 3, "content", 0, "prompt_cache_breakpoint", "x", "y"), 6),
        (("items", 4, "action", "x", "y"), 4),
        (("items",), 1),
        (("x", "y"), 1),
        ((), 0),
    ],
)
def test_a_path_is_known_up_to_a_free_form_field_or_an_unknown_key(path: Path, known: int) -> None:
    assert declared_part(TypeAdapter(AppendItems).core_schema, BODY, path) == path[:known]
