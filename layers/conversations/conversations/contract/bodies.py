"""Request bodies: a type and a `parse_...` function for each."""

import functools
from typing import Annotated, NotRequired, TypedDict, cast

from pydantic import AfterValidator, FailFast, Field, TypeAdapter, with_config
from pydantic_core import PydanticCustomError

from conversations.contract.fields import CLOSED, Id, ListOf, build_members
from conversations.contract.items import MAX_BATCH_ITEMS, PLACEHOLDER_ID, AnyItem, Item
from conversations.contract.validation import parse
from conversations.errors import InvalidRequestError

MAX_DELETED_ITEMS = 100
MAX_METADATA_PAIRS = 16
MAX_METADATA_KEY_LENGTH = 64
MAX_METADATA_VALUE_LENGTH = 512

MetadataKey = Annotated[str, Field(min_length=1, max_length=MAX_METADATA_KEY_LENGTH)]
MetadataValue = Annotated[str, Field(max_length=MAX_METADATA_VALUE_LENGTH)]


def _require_at_most_16(pairs: dict[str, str | None]) -> dict[str, str | None]:
    count = sum(value is not None for value in pairs.values())
    if count > MAX_METADATA_PAIRS:
        limits = {"most": MAX_METADATA_PAIRS, "count": count}
        raise PydanticCustomError("pairs", "must have at most {most} pairs, got {count}", limits)
    return pairs


@with_config(CLOSED)
class CreateConversation(TypedDict):
    """The body of a create. Every field is optional, and null counts as absent."""

    items: NotRequired[Annotated[ListOf[AnyItem], Field(max_length=MAX_BATCH_ITEMS)] | None]
    metadata: NotRequired[
        Annotated[
            dict[MetadataKey, MetadataValue], FailFast(), Field(max_length=MAX_METADATA_PAIRS)
        ]
        | None
    ]


@with_config(CLOSED)
class AppendItems(TypedDict):
    """The body of an append: 1 to 20 items. All of them are stored, or none."""

    items: Annotated[ListOf[AnyItem], Field(min_length=1, max_length=MAX_BATCH_ITEMS)]
    include: NotRequired[ListOf[str] | None]


@with_config(CLOSED)
class UpdateConversation(TypedDict):
    """The body of an update: metadata pairs to set. A null value removes a pair."""

    metadata: (
        Annotated[
            dict[MetadataKey, MetadataValue | None], FailFast(), AfterValidator(_require_at_most_16)
        ]
        | None
    )


@with_config(CLOSED)
class DeleteItems(TypedDict):
    """The body of a request that deletes items: their ids."""

    item_ids: Annotated[ListOf[Id], Field(min_length=1, max_length=MAX_DELETED_ITEMS)]


_APPEND = TypeAdapter(AppendItems)
_UPDATE = TypeAdapter(UpdateConversation)
_DELETE = TypeAdapter(DeleteItems)
_METADATA = TypeAdapter(Annotated[dict[str, str], FailFast()])


@functools.cache
def _create_type() -> TypeAdapter[CreateConversation]:
    """Return the contract of a create, built on first use to shorten an append's cold start."""
    return TypeAdapter(CreateConversation)


def build_types() -> None:
    """Build all types that requests would build on first use."""
    build_members(Item)
    _create_type()


def parse_create(body: str | bytes | None) -> CreateConversation:
    """Parse the body of a create, which may be empty; see `normalize_items`."""
    created = parse(_create_type(), body) if body and body.strip() else CreateConversation()
    normalize_items(created.get("items") or [])
    return created


def parse_append(body: str | bytes) -> AppendItems:
    """Parse the body of an append; see `normalize_items`. A missing id stays missing."""
    batch = parse(_APPEND, body)
    normalize_items(batch["items"])
    return batch


def parse_update(body: str | bytes) -> UpdateConversation:
    """Parse the body of an update; the store validates the number of pairs that result."""
    return parse(_UPDATE, body)


def parse_deletion(body: str | bytes) -> list[str]:
    """Parse the body of a deletion of 1 to 100 items; ids may repeat."""
    return parse(_DELETE, body)["item_ids"]


def parse_filter(text: str) -> dict[str, str]:
    """Parse a filter on metadata, which is a JSON object of strings."""
    try:
        return parse(_METADATA, text)
    except InvalidRequestError as error:
        detail = f": {error.message}" if error.param else "."
        raise InvalidRequestError(
            f"metadata must be a JSON object of strings{detail}",
            code="invalid_value",
            param="metadata",
        ) from error


def normalize_items(items: list[Item]) -> None:
    """Add each missing `type`; a null `type` counts as missing.

    Raises:
        InvalidRequestError: two items have the same id. References and the placeholder may repeat.
    """
    seen: set[str] = {PLACEHOLDER_ID}
    for index, item in enumerate(items):
        if item.get("type") is None:
            added = "message" if "role" in item else "item_reference"
            cast("dict[str, object]", item)["type"] = added
        item_id = item.get("id")
        if item_id is None or item["type"] == "item_reference":
            continue
        if item_id in seen and item_id != PLACEHOLDER_ID:
            raise InvalidRequestError(
                f"items[{index}].id '{item_id}' is also the id of another item in this request.",
                code="invalid_value",
                param=f"items[{index}].id",
            )
        seen.add(item_id)
