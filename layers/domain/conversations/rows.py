"""The rows of the conversations table, and what is read out of them.

    pk                   sk                  holds
    owner/conversation   c                   created_at, updated_at (ms), metadata, item_count;
                                             last_key and those of the three batches before it;
                                             last_body (SHA-256); owner (for the index by-owner);
                                             deleted_at (ms)
    owner/conversation   i#<entry key>       type, id if it was given, codec, size, and data or
                                             object (a bucket's key)
    owner/conversation   p#<item id>         key: the entry key of the item with that id; for the
                                             ids of clients, and of deleted items for ever
    owner/conversation   k#<SHA-256 of key>  of an append with an Idempotency-Key: body (SHA-256),
                                             last_key; expires after 24 hours
    owner/               k#<SHA-256 of key>  the same of a create: body, conversation, created_at

Each row may have expires_at (s): by then it is treated as gone, whenever DynamoDB removes it.
A conversation's row will have v once there is a second version of all this: see `versions`.
The owner is part of the partition key, so whoever asks with another owner misses, on every path.
An item's JSON is kept without its id, so that a batch may be given other keys, and generated ids
with them, without being encoded again.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from conversations import ids
from conversations.contract.items import PLACEHOLDER_ID, Item
from conversations.payloads import Codec, Payload
from conversations.versions import IS_KNOWN, check_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    type Row = dict[str, AttributeValueTypeDef]

CONVERSATION_SK = "c"
"""The sort key of a conversation's own row."""
ITEM_PREFIX = "i#"
"""What the sort keys of items begin with."""
BY_OWNER = "by-owner"
"""The index of live conversations by owner and updated_at."""
RECENT_BATCHES = ("last_key", "before_1", "before_2", "before_3")
"""Where a conversation's row keeps the last keys of its latest batches, the newest first."""
YOUNG_SECONDS = 61 * 60
"""The age by its key at which an item's batch is surely there as a whole: a minute for DynamoDB to
end a transaction, and an hour by which the clocks of two writers may differ."""
IS_LIVE = (
    f"attribute_exists(pk) AND {IS_KNOWN} AND attribute_not_exists(deleted_at)"
    " AND (attribute_not_exists(expires_at) OR expires_at > :seconds)"
)
"""The condition under which a conversation is there for its owner."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its items; times are milliseconds since the epoch."""

    conversation_id: str
    owner: str
    created_at: int
    metadata: dict[str, str]


class StoredItem(NamedTuple):
    """An item as it is given back."""

    cursor: str
    """What `after` takes to go on behind this item, and what reads it: its id, or, for an
    `item_reference`, whose id is another item's, the id that its own entry key makes."""
    json: str
    """What came in, with `id` and `type`."""


class Draft(NamedTuple):
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
            given_id=None if given_id is None or _is_placeholder(item) else str(given_id),
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


def number(value: int) -> AttributeValueTypeDef:
    """A number as DynamoDB takes it."""
    return {"N": str(value)}


def text_map(pairs: Mapping[str, str]) -> AttributeValueTypeDef:
    """Metadata as DynamoDB takes it."""
    return {"M": {name: {"S": value} for name, value in pairs.items()}}


def conversation_row(conversation: Conversation, last_key: str, count: int) -> Row:
    """The row of a new conversation of *count* items; *last_key* is empty where there are none."""
    return {
        **primary_key(partition(conversation.owner, conversation.conversation_id), CONVERSATION_SK),
        "owner": {"S": conversation.owner},
        "created_at": number(conversation.created_at),
        "updated_at": number(conversation.created_at),
        "metadata": text_map(conversation.metadata),
        "item_count": number(count),
        **{name: {"S": ""} for name in (*RECENT_BATCHES, "last_body")},
        "last_key": {"S": last_key},
    }


def item_row(pk: str, key: str, draft: Draft, payload: Payload) -> Row:
    """The row of an item."""
    row: Row = {
        **primary_key(pk, item_sk(key)),
        "type": {"S": draft.item_type},
        "codec": {"S": payload.codec},
        "size": number(payload.size),
    }
    if draft.given_id is not None:
        row["id"] = {"S": draft.given_id}
    if payload.object_key is None:
        row["data"] = {"B": payload.data}
    else:
        row["object"] = {"S": payload.object_key}
    return row


def pointer_row(pk: str, item_id: str, key: str) -> Row:
    """The row that claims an id for the item with an entry *key*."""
    return {**primary_key(pk, pointer_sk(item_id)), "key": {"S": key}}


def tombstone(row: Row) -> Row:
    """What stays of a deleted item: the pointer by which a cursor on it still works."""
    pointer = pointer_row(row["pk"]["S"], cursor(row), entry_key(row))
    return pointer | ({"expires_at": row["expires_at"]} if "expires_at" in row else {})


def memory_row(pk: str, key: str, body: str, answer: Row) -> Row:
    """The row that remembers the *answer* to a request with an idempotency *key*."""
    sk = f"k#{hashlib.sha256(key.encode()).hexdigest()}"
    return {**primary_key(pk, sk), "body": {"S": body}, **answer}


def expiry(now: int, seconds: int | None) -> Row:
    """The attribute of a row written at *now*, in milliseconds, that lives so long; or none."""
    return {} if seconds is None else {"expires_at": number(now // 1000 + seconds)}


def is_live(row: Mapping[str, AttributeValueTypeDef]) -> bool:
    """Whether a row is there for its owner: neither deleted nor expired.

    Raises:
        NewerRowError: this release does not know what the row says.
    """
    check_version(row)
    expires_at = row.get("expires_at")
    return "deleted_at" not in row and (
        expires_at is None or int(expires_at["N"]) > int(time.time())
    )


def is_young(key: str) -> bool:
    """Whether of batches up to that with an entry *key* some rows may still be on their way."""
    return ids.time_of(key) > time.time() - YOUNG_SECONDS


def recent_keys(row: Mapping[str, AttributeValueTypeDef]) -> list[list[str]]:
    """The entry keys of a conversation's latest batches, whole, the newest batch first."""
    last_keys = [row[name]["S"] for name in RECENT_BATCHES]
    return [ids.keys_of_batch(last_key) for last_key in last_keys if last_key]


def entry_key(row: Mapping[str, AttributeValueTypeDef]) -> str:
    """The entry key of an item's row."""
    return row["sk"]["S"].removeprefix(ITEM_PREFIX)


def cursor(row: Mapping[str, AttributeValueTypeDef]) -> str:
    """What `after` takes to go on behind the item of a row."""
    return _draft(row).cursor_at(entry_key(row))


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
    return _draft(row, text).at(entry_key(row))


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
    return row if row and cursor(row) == item_id else None


def _is_placeholder(item: Item) -> bool:
    return item["type"] != "item_reference" and item.get("id") == PLACEHOLDER_ID


def _draft(row: Mapping[str, AttributeValueTypeDef], text: str = "") -> Draft:
    return Draft(row["type"]["S"], row["id"]["S"] if "id" in row else None, text)
