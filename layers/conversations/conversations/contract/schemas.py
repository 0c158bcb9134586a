"""The names of fields that a contract declares, read from Pydantic's core schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import CoreSchema

    from conversations.contract.fields import LazyMember
    from conversations.contract.paths import Path


class _Node(TypedDict, total=False):
    """The parts of Pydantic's core schema that lead from a value to the values in it."""

    type: str
    ref: str
    schema: _Node
    schema_ref: str
    definitions: list[_Node]
    fields: dict[str, _Node]
    items_schema: _Node
    choices: dict[str, _Node]
    discriminator: Callable[[object], str]
    function: dict[str, object]


def top_fields(contract: CoreSchema) -> list[str]:
    """Return the names that an object of the *contract* may have."""
    return [*_resolved(cast("_Node", contract), None, {}).get("fields", {})]


def declared_part(contract: CoreSchema, value: object, path: Path) -> Path:
    """Return the start of *path* in *value*, as far as the contract declares it.

    The result ends with the first key that the contract does not declare.
    """
    node = cast("_Node", contract)
    definitions: dict[str, _Node] = {}
    for depth, step in enumerate(path):
        node = _resolved(node, value, definitions)
        if isinstance(step, str) and isinstance(value, dict) and "fields" in node:
            if step not in node["fields"]:
                return path[: depth + 1]
            node, value = node["fields"][step]["schema"], value[step]
        elif isinstance(step, int) and isinstance(value, list) and "items_schema" in node:
            node, value = node["items_schema"], value[step]
        else:
            return path[:depth]
    return path


def _resolved(node: _Node, value: object, definitions: dict[str, _Node]) -> _Node:
    """Return the node of *value* behind references, unions and wrappers.

    Definitions on the way are added to *definitions*.
    """
    while True:
        definitions |= {found["ref"]: found for found in node.get("definitions", [])}
        if "schema_ref" in node:
            node = definitions[node["schema_ref"]]
        elif "choices" in node:
            node = node["choices"].get(node["discriminator"](value), {})
        elif "schema" in node:
            node = node["schema"]
        elif "function" in node:
            member = cast("LazyMember", node["function"]["function"])
            node = cast("_Node", member.adapter.core_schema)
        else:
            return node
