"""The types that recur across items: ids, statuses, lists, and unions told apart by `type`."""

import functools
from collections.abc import Callable
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
"""How a body is read, and all that is nested in it: nothing is converted, nothing dropped."""

CLOSED = ConfigDict(strict=True, extra="forbid")
"""How the top level of a body is read: a misspelt field is an error. What is nested stays open."""

TAG_PREFIXES = ("type=", "kind=", "shape=")
"""How the name of a union's member begins, so that it can be told from a key in an error."""

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
"""A list that is read up to its first fault: a hostile one costs little."""

MapOf = Annotated[dict[str, T], FailFast()]
"""The same for an object of free keys."""


class EchoedFields(TypedDict):
    """What an item that this API answered may carry when it is posted back."""

    response_id: NotRequired[str | None]
    metadata: NotRequired[MapOf[str] | None]


def union_tag(value: object) -> str:
    """The label of the union member that *value* means to be, be it valid or not."""
    if isinstance(value, dict):
        kind = value.get("type")
        return f"type={kind}" if isinstance(kind, str) else "type="
    return _KINDS.get(type(value), "kind=other")


class TaggedUnion:
    """Marks a union whose member is looked up by the value's `type`, or by its JSON kind.

    A member that shares its `type` with another carries a `Tag`, which *choose* answers.
    """

    def __init__(self, choose: Callable[[object], str] = union_tag) -> None:
        self.choose = choose

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Build the lookup, with each member's label read off the member itself."""
        choices = {
            _member_tag(member): self._choice(member, handler) for member in get_args(source)
        }
        return core_schema.tagged_union_schema(choices, self.choose)

    def _choice(self, member: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler(member)


class LazyTaggedUnion(TaggedUnion):
    """The same of many objects, each built when it is first met: a cold start meets few of them."""

    @override
    def _choice(self, member: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_member(_plain(member)))


class LazyMember:
    """Validates a value by an object's type, which is read as `STRICT` says."""

    def __init__(self, declared: type) -> None:
        self._declared = with_config(STRICT)(declared)

    def __call__(self, value: object) -> object:
        """The value, if it is valid.

        Raises:
            ValidationError: Pydantic takes its faults for those of the value's place.
        """
        return self.adapter.validate_python(value)

    @functools.cached_property
    def adapter(self) -> TypeAdapter[object]:
        """What is built."""
        return TypeAdapter(self._declared)


_member = functools.cache(LazyMember)
"""One for all unions that it is in."""


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
