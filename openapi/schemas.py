"""JSON Schema of the contract: Pydantic's, and the rules that the contract has in code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from conversations import ids
from conversations.contract.bodies import (
    AppendItems,
    CreateConversation,
    DeleteItems,
    UpdateConversation,
)
from conversations.contract.fields import STRICT
from conversations.contract.items import AnyItem
from conversations.errors import ERRORS, ErrorEnvelope
from openapi.discriminators import NAME, by_type, name_in, requires_type, type_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

type Json = dict[str, Any]

ITEM: Final = "Item"
ID: Final[Json] = {"type": "string", "pattern": ids.ID_PATTERN}
_BODIES: Final = (AppendItems, CreateConversation, UpdateConversation, DeleteItems, ErrorEnvelope)
_PREFIX: Final = "#/components/schemas/"


def _exactly_one(*names: str) -> Json:
    """Require a string in exactly one of the properties; null counts as absent."""
    return {"oneOf": [{"required": [n], "properties": {n: {"type": "string"}}} for n in names]}


def _without(*names: str) -> Json:
    """Require that at least one of the properties is absent."""
    return {"not": {"required": [*names], "properties": {name: {} for name in names}}}


_SCHEMA_OVERRIDES: Final[Mapping[str, Json]] = {
    "InputImage": _exactly_one("file_id", "image_url"),
    "InputFile": _exactly_one("file_data", "file_id", "file_url"),
    "NamedFunctionOutput": _without("call_id"),
    "ItemReference": {
        "anyOf": [
            {"required": ["type"], "properties": {"type": {"const": "item_reference"}}},
            {
                "properties": {"type": {"type": "null"}},
                "propertyNames": {"enum": ["id", "type", "response_id", "metadata"]},
            },
        ]
    },
    "ErrorBody": {
        "properties": {
            "type": {"enum": sorted({kind.type for kind in ERRORS.values()})},
            "code": {"enum": [*ERRORS]},
        }
    },
}
"""Rules that are functions in `conversations.contract`: which of its type's forms an item has, and
which fields of a part exclude each other."""


class _Generator(GenerateJsonSchema):
    def function_plain_schema(self, schema: Any) -> Json:  # noqa: ANN401 - Pydantic's own
        """Return the schema of a union's member, which is built lazily."""
        return self.generate_inner(schema["function"]["function"].adapter.core_schema)

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - its signature
        """Return False: only named schemas have a title."""
        return False


def ref(name: str) -> Json:
    """Return a reference to a schema of the document."""
    return {"$ref": f"{_PREFIX}{name}"}


def schema_of(declared: type) -> Json:
    """Return the schema of a type that refers to no others, without a title."""
    schema = TypeAdapter(declared).json_schema(schema_generator=_Generator)
    return {name: value for name, value in schema.items() if name != "title"}


def contract_schemas() -> dict[str, Json]:
    """Return the schemas of request bodies, and all that they refer to, by name."""
    adapters: list[Any] = [(ITEM, "validation", TypeAdapter(AnyItem, config=STRICT))]
    adapters += [(body.__name__, "validation", TypeAdapter(body)) for body in _BODIES]
    generated, common = TypeAdapter.json_schemas(
        adapters, ref_template=f"{_PREFIX}{{model}}", schema_generator=_Generator
    )
    item = generated[cast("Any", (ITEM, "validation"))]
    schemas = {
        name: _merged(_replaced(schema, item, ref(ITEM)), _SCHEMA_OVERRIDES.get(name, {}))
        for name, schema in common["$defs"].items()
    }
    title = {
        "title": ITEM,
        "description": "An item of a conversation, of the kind that `type` names.",
    }
    return {ITEM: title | item, **schemas}


def response_schemas(schemas: Mapping[str, Json]) -> dict[str, Json]:
    """Return the schemas as they are in responses, where `include` may omit an image's URL.

    An item of a response always has its `id` and its `type`. Forms of one type are grouped under
    one name, so that the type discriminates the members of the union.
    """
    bodies = {body.__name__ for body in _BODIES}
    members = {name_in(member): schemas[name_in(member)] for member in schemas[ITEM]["oneOf"]}
    untyped = {name for name, schema in members.items() if not requires_type(schema)}
    names = [
        name
        for name in schemas
        if name not in bodies and (name in untyped or _reaches_image(schemas, name))
    ]
    returned = {name: {**schemas[name], "title": f"Returned{name}"} for name in names}
    del returned["InputImage"]["oneOf"]
    for name in untyped:
        returned[name] = _typed(returned[name])
    for name in names:
        for inner in names:
            returned[name] = _replaced(returned[name], ref(inner), ref(f"Returned{inner}"))
    has_id = {"required": ["id", "type"], "properties": {"id": ID, "type": {"type": "string"}}}
    returned[ITEM] |= {"type": "object", **has_id}
    found = {f"Returned{name}": schema for name, schema in returned.items()}
    union = found[f"Returned{ITEM}"]
    union["oneOf"], shapes = _grouped(union["oneOf"], {**schemas, **found})
    return {**found, **shapes}


def _typed(schema: Json) -> Json:
    """Return the schema of an item that has its type."""
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    properties = {**schema["properties"], NAME: {"const": type_of(schema), "type": "string"}}
    return {**rest, "properties": properties, "required": [NAME, *schema["required"]]}


def _grouped(
    members: Sequence[Json], schemas: Mapping[str, Json]
) -> tuple[list[Json], dict[str, Json]]:
    """Return one member of a union for each type, and the unions that group several, by name."""
    singles: list[Json] = []
    shapes: dict[str, Json] = {}
    for kind, group in by_type(members, schemas).items():
        name = f"Any{name_in(group[0])}"
        if len(group) > 1:
            shapes[name] = {
                "title": name,
                "description": f"An item of type `{kind}`, in one of its forms.",
                "type": "object",
                "properties": {NAME: {"const": kind, "type": "string"}},
                "required": [NAME],
                "oneOf": group,
            }
        singles.append(ref(name) if len(group) > 1 else group[0])
    return singles, shapes


def _reaches_image(schemas: Mapping[str, Json], name: str) -> bool:
    return name == "InputImage" or any(
        _reaches_image(schemas, inner) for inner in _references(schemas[name])
    )


def _references(value: object) -> Iterator[str]:
    """Yield the names of the schemas that a schema refers to."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].removeprefix(_PREFIX)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _replaced(value: Any, old: Json, new: Json) -> Any:  # noqa: ANN401 - whatever JSON there is
    """Return the value with each *old* replaced by *new*."""
    if value == old:
        return new
    if isinstance(value, dict):
        return {name: _replaced(inner, old, new) for name, inner in value.items()}
    return [_replaced(inner, old, new) for inner in value] if isinstance(value, list) else value


def _merged(schema: Json, more: Json) -> Json:
    """Merge two schemas; *more* overrides properties of *schema*."""
    merged = {**schema, **more}
    if "properties" in more:
        merged["properties"] = schema["properties"] | more["properties"]
    if "required" in more:
        merged["required"] = [*schema["required"], *more["required"]]
    return merged
