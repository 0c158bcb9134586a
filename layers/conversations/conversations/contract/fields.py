"""Types that many items share: ids, statuses, lists, and unions with a discriminator."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import (
    Annotated,
    Literal,
    NotRequired,
    TypedDict,
    TypeVar,
    cast,
    get_args,
    get_origin,
    override,
)

from pydantic import (
    ConfigDict,
    FailFast,
    Field,
    GetCoreSchemaHandler,
    Tag,
    TypeAdapter,
    with_config,
)
from pydantic_core import CoreSchema, core_schema

from conversations import ids

T = TypeVar("T")

MAX_ID_LENGTH = 64

STRICT = ConfigDict(strict=True, extra="allow")
"""Configuration of bodies and all values in them: nothing is converted, unknown fields stay."""

CLOSED = ConfigDict(strict=True, extra="forbid")
"""Configuration of the top level of a body: an unknown field is an error."""

TAG_PREFIXES = ("type=", "kind=", "shape=")
"""Prefixes of union tags, which distinguish them from keys in the path of an error."""

_KINDS: dict[object, str] = {
    str: "kind=string",
    list: "kind=array",
    bool: "kind=boolean",
    int: "kind=number",
    float: "kind=number",
}


Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH, pattern=ids.ID_PATTERN)]
CallId = Annotated[str, Field(min_length=1)]
Status = Literal["in_progress", "completed", "incomplete"]

ListOf = Annotated[list[T], FailFast()]
"""A list that is validated up to its first fault, so that a hostile one costs little."""

MapOf = Annotated[dict[str, T], FailFast()]
"""An object with any keys, validated up to its first fault."""


@dataclass(frozen=True, slots=True)
class ItemType:
    """Annotation of an item's `type`: the facts about this type that its schema does not say.

    If several classes share a type, one of them has the annotation.
    """

    prefix: str
    """Prefix of generated ids. A reference has one, for its cursor: its `id` names another item."""
    text: tuple[str, ...] = ()
    """Fields whose words a search finds."""
    any_json: bool = False
    """Whether these fields can hold any JSON; every string in it is text."""


class EchoedFields(TypedDict):
    """Fields of an item in a response, which the client may send when it posts the item again."""

    response_id: NotRequired[str | None]
    metadata: NotRequired[MapOf[str] | None]


def union_tag(value: object) -> str:
    """Return the tag of the union member that *value* is meant to be, valid or not."""
    if isinstance(value, dict):
        kind = value.get("type")
        return f"type={kind}" if isinstance(kind, str) else "type="
    return _KINDS.get(type(value), "kind=other")


class TaggedUnion:
    """Annotation of a union whose member is found by the value's `type`, or by its JSON type.

    If members share a `type`, all but one have a `Tag`, which *choose* returns.
    """

    def __init__(self, choose: Callable[[object], str] = union_tag) -> None:
        self.choose = choose

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Build the schema, with the tag of each member."""
        choices = {
            _member_tag(member): self._choice(member, handler) for member in get_args(source)
        }
        return core_schema.tagged_union_schema(choices, self.choose)

    def _choice(self, member: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler(member)


class LazyTaggedUnion(TaggedUnion):
    """Tagged union of many objects that builds each member on first use, to shorten cold starts."""

    @override
    def _choice(self, member: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_member(_plain(member)))


class LazyMember:
    """Validator of a union's member, with the configuration `STRICT`."""

    def __init__(self, declared: type) -> None:
        self._declared = with_config(STRICT)(declared)

    def __call__(self, value: object) -> object:
        """Validate *value*, and return it.

        Raises:
            ValidationError: Pydantic adds its errors to those of the union, at the value's path.
        """
        return self.adapter.validate_python(value)

    @functools.cached_property
    def adapter(self) -> TypeAdapter[object]:
        """The adapter, built on first use."""
        return TypeAdapter(self._declared)


_member = functools.cache(LazyMember)
"""The validator of a member, shared by all unions with that member."""


def build_members(union: object) -> None:
    """Build every member of a `LazyTaggedUnion`, which requests would build on first use."""
    for member in get_args(union):
        _ = _member(_plain(member)).adapter


def _member_tag(member: object) -> str:
    for mark in getattr(member, "__metadata__", ()):
        if isinstance(mark, Tag):
            return mark.tag
    plain = _plain(member)
    if isinstance(plain, type) and hasattr(plain, "__required_keys__"):
        return f"type={_literal(plain.__annotations__['type'])}"
    return _KINDS[get_origin(plain) or plain]


def _plain(member: object) -> type:
    return cast("type", get_args(member)[0] if get_origin(member) is Annotated else member)


def _literal(annotation: object) -> object:
    return _literal(get_args(annotation)[0]) if get_args(annotation) else annotation


def item_types(union: object) -> dict[str, ItemType]:
    """Return the annotations of the members of *union*, by the value of `type`."""
    marks = (_item_type(_plain(member).__annotations__["type"]) for member in get_args(union))
    return dict(mark for mark in marks if mark)


def _item_type(annotation: object) -> tuple[str, ItemType] | None:
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, ItemType):
            return str(_literal(annotation)), mark
    inner = map(_item_type, get_args(annotation))
    return next(filter(None, inner), None)
