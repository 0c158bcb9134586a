"""The rows of the conversations table, and what is read out of them.

    pk                   sk                  holds
    owner/conversation   c                   created_at, updated_at (ms), metadata, last_key,
                                             item_count; owner (for the index by-owner)
    owner/conversation   i#<entry key>       type, id if it was given, position, batch_size,
                                             codec, size, and data or object (a bucket's key)
    owner/conversation   p#<client id>       key: the entry key of the item with that id

The owner is part of the partition key, so whoever asks with another owner misses, on every path.
An item's JSON is kept without its id, so that a batch may be given other keys, and generated ids
with them, without being encoded again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from conversations import ids
from conversations.contract.items import PLACEHOLDER_ID, Item
from conversations.payloads import Codec, Payload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    type Row = dict[str, AttributeValueTypeDef]

CONVERSATION_SK = "c"
"""The sort key of a conversation's own row."""
ITEM_PREFIX = "i#"
"""What the sort keys of items begin with."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its items; times are milliseconds since the epoch."""

    conversation_id: str
    owner: str
    created_at: int
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as it is given back."""

    cursor: str
    """What `after` takes to go on behind this item, and what reads it: its id, or, for an
    `item_reference`, whose id is another item's, the id that its own entry key makes."""
    json: str
    """What came in, with `id` and `type`."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An item before it has a place: its JSON without the id, and the id it was given, if any."""

    item_type: str
    given_id: str | None
    text: str

    @classmethod
    def of(cls, item: Item) -> Draft:
        """Take the id out of a valid and complete *item*, and put its type first."""
        fields: dict[str, object] = {"type": item["type"], **item}
        given_id = fields.pop("id", None)
        return cls(
            item_type=str(fields["type"]),
            given_id=None if given_id in (None, PLACEHOLDER_ID) else str(given_id),
            text=json.dumps(fields, ensure_ascii=False, separators=(",", ":")),
        )

    @property
    def claimed_id(self) -> str | None:
        """The given id, where it must be the only one in the conversation."""
        return None if self.item_type == "item_reference" else self.given_id

    def at(self, key: str) -> StoredItem:
        """The item once it has its entry *key*."""
        cursor = self.cursor_at(key)
        return StoredItem(cursor, f'{{"id":"{self.given_id or cursor}",{self.text[1:]}')

    def cursor_at(self, key: str) -> str:
        """The cursor of the item with an entry *key*."""
        return self.claimed_id or ids.generated_id(self.item_type, key)


def partition(owner: str, conversation_id: str) -> str:
    """The partition key, and the folder of the conversation's objects in the bucket."""
    return f"{owner}/{conversation_id}"


def item_sk(key: str) -> str:
    """The sort key of the item with an entry *key*."""
    return f"{ITEM_PREFIX}{key}"


def pointer_sk(item_id: str) -> str:
    """The sort key of the row that claims a client's id."""
    return f"p#{item_id}"


def primary_key(pk: str, sk: str) -> Row:
    """The key of one row."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def conversation_row(conversation: Conversation, last_key: str, count: int) -> Row:
    """The row of a new conversation of *count* items; *last_key* is empty where there are none."""
    now: AttributeValueTypeDef = {"N": str(conversation.created_at)}
    return {
        **primary_key(partition(conversation.owner, conversation.conversation_id), CONVERSATION_SK),
        "owner": {"S": conversation.owner},
        "created_at": now,
        "updated_at": now,
        "metadata": {"M": {name: {"S": value} for name, value in conversation.metadata.items()}},
        "last_key": {"S": last_key},
        "item_count": {"N": str(count)},
    }


def item_row(pk: str, key: str, place: tuple[int, int], draft: Draft, payload: Payload) -> Row:
    """The row of an item; *place* is its position in its batch and the batch's size."""
    row: Row = {
        **primary_key(pk, item_sk(key)),
        "type": {"S": draft.item_type},
        "position": {"N": str(place[0])},
        "batch_size": {"N": str(place[1])},
        "codec": {"S": payload.codec},
        "size": {"N": str(payload.size)},
    }
    if draft.given_id is not None:
        row["id"] = {"S": draft.given_id}
    if payload.object_key is None:
        row["data"] = {"B": payload.data}
    else:
        row["object"] = {"S": payload.object_key}
    return row


def pointer_row(pk: str, item_id: str, key: str) -> Row:
    """The row that claims a client's id for the item with an entry *key*."""
    return {**primary_key(pk, pointer_sk(item_id)), "key": {"S": key}}


def read_conversation(row: Mapping[str, AttributeValueTypeDef]) -> Conversation:
    """The conversation that `conversation_row` was given."""
    owner, _, conversation_id = row["pk"]["S"].partition("/")
    return Conversation(
        conversation_id=conversation_id,
        owner=owner,
        created_at=int(row["created_at"]["N"]),
        metadata={name: value["S"] for name, value in row["metadata"]["M"].items()},
    )


def read_payload(row: Mapping[str, AttributeValueTypeDef]) -> Payload:
    """Where and how the item's JSON is kept."""
    return Payload(
        codec=cast("Codec", row["codec"]["S"]),
        size=int(row["size"]["N"]),
        data=bytes(row["data"]["B"]) if "data" in row else b"",
        object_key=row["object"]["S"] if "object" in row else None,
    )


def read_item(row: Mapping[str, AttributeValueTypeDef], text: str) -> StoredItem:
    """The item of an `item_row`, with its JSON fetched and decoded."""
    return _draft(row, text).at(row["sk"]["S"].removeprefix(ITEM_PREFIX))


def sks_of(item_id: str) -> list[str]:
    """Where an item with that id may be found: by its pointer, and by the key in the id itself."""
    key = ids.key_in(item_id)
    return [pointer_sk(item_id)] if key is None else [pointer_sk(item_id), item_sk(key)]


def find_pointer(found: Mapping[str, Row], item_id: str) -> str | None:
    """The entry key of the item that claimed the client's id, among rows by sort key."""
    row = found.get(pointer_sk(item_id))
    return row["key"]["S"] if row else None


def find_item(found: Mapping[str, Row], item_id: str) -> Row | None:
    """The row of the item with that generated id, among rows by sort key."""
    key = ids.key_in(item_id)
    row = found.get(item_sk(key)) if key else None
    return row if key and row and _draft(row).cursor_at(key) == item_id else None


def _draft(row: Mapping[str, AttributeValueTypeDef], text: str = "") -> Draft:
    return Draft(row["type"]["S"], row["id"]["S"] if "id" in row else None, text)
