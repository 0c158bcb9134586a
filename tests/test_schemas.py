"""What part of a path the contract knows."""

import pytest
from pydantic import TypeAdapter

from conversations.contract.items import Batch
from conversations.contract.paths import Path
from conversations.contract.schemas import declared_part

TOOL = {"name": "t", "input_schema": {"a": {"b": 1}}}
BODY = {
    "items": [
        {"type": "mcp_list_tools", "tools": [TOOL], "x": {"y": 1}, "metadata": {"k": "v"}},
        {"type": "message", "content": "text"},
        {"type": "chat", "x": {"y": 1}},
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
        (("items",), 1),
        (("x", "y"), 1),
        ((), 0),
    ],
)
def test_a_path_is_known_up_to_a_free_form_field_or_an_unknown_key(path: Path, known: int) -> None:
    assert declared_part(TypeAdapter(Batch).core_schema, BODY, path) == path[:known]
