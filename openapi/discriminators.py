"""Discriminators of unions, which map a value's `type` to its schema."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

type Json = dict[str, Any]

NAME: Final = "type"
"""Property that discriminates the members of every union."""
_PREFIX: Final = "#/components/schemas/"


def type_of(schema: Json) -> str | None:
    """Return the one `type` that a schema allows, or None; null counts as absent."""
    allowed = schema.get("properties", {}).get(NAME, {})
    consts = [option["const"] for option in allowed.get("anyOf", [allowed]) if "const" in option]
    return consts[0] if len(consts) == 1 else None


def requires_type(schema: Json) -> bool:
    """Return whether every value of a schema has a `type`."""
    return NAME in schema.get("required", ())


def by_type(members: Sequence[Json], schemas: Mapping[str, Json]) -> dict[str, list[Json]]:
    """Group references to schemas, each of which has one `type`, by that type."""
    groups: dict[str, list[Json]] = defaultdict(list)
    for member in members:
        groups[str(type_of(schemas[name_in(member)]))].append(member)
    return groups


def name_in(reference: Json) -> str:
    """Return the name of the schema that a reference leads to."""
    return str(reference["$ref"]).removeprefix(_PREFIX)


def with_discriminators(value: Any, schemas: Mapping[str, Json]) -> Any:  # noqa: ANN401 - whatever JSON there is
    """Return *value* with a discriminator at each `oneOf` whose members' types all differ.

    A union gets none if a member is not an object, may omit its type, or shares it with another.
    """
    if isinstance(value, list):
        return [with_discriminators(inner, schemas) for inner in value]
    if not isinstance(value, dict):
        return value
    found = {name: with_discriminators(inner, schemas) for name, inner in value.items()}
    mapping = _mapping(value.get("oneOf", ()), schemas)
    return found | ({"discriminator": mapping} if mapping else {})


def _mapping(members: Sequence[Json], schemas: Mapping[str, Json]) -> Json | None:
    types = [_required_type(member, schemas) for member in members]
    if not types or None in types or len({*types}) < len(types):
        return None
    references = [member["$ref"] for member in members]
    return {"propertyName": NAME, "mapping": dict(zip(types, references, strict=True))}


def _required_type(member: Json, schemas: Mapping[str, Json]) -> str | None:
    schema = schemas[name_in(member)] if "$ref" in member else {}
    return type_of(schema) if requires_type(schema) else None
