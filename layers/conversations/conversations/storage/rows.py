"""Rows of the conversations table: their keys, how they are written, what is read from them.

    pk                   sk                    holds
    owner/conversation   c                     created_at, updated_at, appended_at (ms), metadata
                                               and rev, once it was changed;
                                               last_key and before_1 .. before_11: the last sequence
                                               keys of the latest 12 batches; last_body (SHA-256);
                                               owner and account (for the indexes); deleting
                                               (SHA-256 of the ids whose deletion is under way);
                                               deletions (how many transactions deleted items);
                                               deleted_at (ms) and purges
    owner/conversation   b#<first key>         a batch: n (items it was written with), codec, size,
                                               and data or object (a key of the bucket); ends, where
                                               lines are compressed one by one; slots and rev, once
                                               items of it were deleted
    owner/conversation   t#<first key>         the tombstone of a batch without items: n
    owner/conversation   p#<item id>           key: the sequence key of the item that was last
                                               posted with this id
    owner/conversation   k#<SHA-256 of key>    of an append with an Idempotency-Key: body (SHA-256),
                                               last_key; expires after 24 hours
    owner/conversation   i                     run: the claim of the restore that writes it now
    owner/               k#<SHA-256 of key>    the same of a create: body, conversation, created_at

Every row may have expires_at (s): from then on it counts as gone, whenever DynamoDB removes it.
A conversation row has v from the second schema version on: see `schema_version`.
The owner is part of the partition key, so another owner's request misses on every path.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, cast

from conversations import ids
from conversations.model import Conversation
from conversations.storage.payloads import Codec, Payload
from conversations.storage.schema_version import IS_SUPPORTED, check_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    type Row = dict[str, AttributeValueTypeDef]

CONVERSATION_SK = "c"
"""The sort key of the conversation row."""
BATCH_PREFIX = "b#"
"""The first characters of the sort keys of batches."""
TOMBSTONE_PREFIX = "t#"
POINTER_PREFIX = "p#"
BY_ACCOUNT = "by-account"
"""The index of live conversations by account."""
BY_OWNER = "by-owner"
"""The index of live conversations by owner and updated_at."""
RECENT_BATCHES = ("last_key", *(f"before_{place}" for place in range(1, 12)))
"""The attributes that name the latest batches by their last keys, the newest first."""
IS_LIVE = (
    f"attribute_exists(pk) AND {IS_SUPPORTED} AND attribute_not_exists(deleted_at)"
    " AND (attribute_not_exists(expires_at) OR expires_at > :seconds)"
)
"""The condition under which a conversation exists for its owner."""


def partition(owner: str, conversation_id: str) -> str:
    """Return the partition key, which is also the folder of the conversation's objects."""
    return f"{owner}/{conversation_id}"


def batch_sk(key: str) -> str:
    """Return the sort key of the batch that the sequence *key* belongs to."""
    return f"{BATCH_PREFIX}{ids.first_key(key)}"


def tombstone_sk(key: str) -> str:
    """Return the sort key of the tombstone of the batch that *key* belongs to."""
    return f"{TOMBSTONE_PREFIX}{ids.first_key(key)}"


def pointer_sk(item_id: str) -> str:
    """Return the sort key of the row that claims a client's id."""
    return f"{POINTER_PREFIX}{item_id}"


def primary_key(pk: str, sk: str) -> Row:
    """Return the primary key of one row."""
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def number(value: int) -> AttributeValueTypeDef:
    """Return a number as DynamoDB takes it."""
    return {"N": str(value)}


def text_map(pairs: Mapping[str, str]) -> AttributeValueTypeDef:
    """Return metadata as DynamoDB takes it."""
    return {"M": {name: {"S": value} for name, value in pairs.items()}}


def expiry(now: int, seconds: int | None) -> Row:
    """Return `expires_at` of a row written at *now*, in milliseconds; nothing for no *seconds*."""
    return {} if seconds is None else {"expires_at": number(now // 1000 + seconds)}


def conversation_row(conversation: Conversation, last_key: str) -> Row:
    """Return the row of a new conversation; *last_key* is empty where it has no items."""
    created_at = number(conversation.created_at)
    return {
        **primary_key(partition(conversation.owner, conversation.conversation_id), CONVERSATION_SK),
        "owner": {"S": conversation.owner},
        "account": {"S": conversation.account},
        "created_at": created_at,
        "updated_at": created_at,
        "appended_at": created_at,
        "metadata": text_map(conversation.metadata),
        **{name: {"S": ""} for name in (*RECENT_BATCHES, "last_body")},
        "last_key": {"S": last_key},
    }


def batch_row(pk: str, key: str, written: int, payload: Payload) -> Row:
    """Return the row of a batch that is written with *written* items, the first at *key*."""
    row: Row = {
        **primary_key(pk, batch_sk(key)),
        "n": number(written),
        "codec": {"S": payload.codec},
        "size": number(payload.size),
    }
    if payload.object_key is None:
        row["data"] = {"B": payload.data}
    else:
        row["object"] = {"S": payload.object_key}
    if payload.ends:
        row["ends"] = {"S": " ".join(map(str, payload.ends))}
    return row


def rewritten(
    row: Mapping[str, AttributeValueTypeDef], payload: Payload, slots: Sequence[int]
) -> Row:
    """Return a batch *row* after a deletion: with another payload, of the *slots* still live."""
    after = batch_row(row["pk"]["S"], batch_key(row), int(row["n"]["N"]), payload)
    after["slots"] = {"S": " ".join(map(str, slots))}
    after["rev"] = number(revision(row) + 1)
    return after | _expiry_of(row)


def tombstone_row(row: Mapping[str, AttributeValueTypeDef]) -> Row:
    """Return what stays of a batch *row* without items, so that cursors on them still work."""
    key = primary_key(row["pk"]["S"], tombstone_sk(batch_key(row)))
    return {**key, "n": row["n"]} | _expiry_of(row)


def pointer_row(pk: str, item_id: str, key: str) -> Row:
    """Return the row that claims *item_id* for the item at the sequence *key*."""
    return {**primary_key(pk, pointer_sk(item_id)), "key": {"S": key}}


def idempotency_row(pk: str, idempotency_key: str, body: str, replay: Row) -> Row:
    """Return the row that remembers, under an idempotency key, what a *replay* needs."""
    sk = f"k#{hashlib.sha256(idempotency_key.encode()).hexdigest()}"
    return {**primary_key(pk, sk), "body": {"S": body}, **replay}


def is_live(row: Mapping[str, AttributeValueTypeDef]) -> bool:
    """Return whether a row exists for its owner: neither deleted nor expired.

    Raises:
        UnsupportedSchemaVersionError: a newer release wrote the row.
    """
    check_version(row)
    expires_at = row.get("expires_at")
    return "deleted_at" not in row and (
        expires_at is None or int(expires_at["N"]) > int(time.time())
    )


def recent_last_keys(row: Mapping[str, AttributeValueTypeDef]) -> list[str]:
    """Return the last keys of a conversation's latest batches, the newest first."""
    return [key for name in RECENT_BATCHES if (key := row[name]["S"])]


def batch_key(row: Mapping[str, AttributeValueTypeDef]) -> str:
    """Return the first sequence key of a batch row."""
    return row["sk"]["S"].removeprefix(BATCH_PREFIX)


def live_slots(row: Mapping[str, AttributeValueTypeDef]) -> Sequence[int]:
    """Return the slots of a batch row whose items are not deleted, in order; at least one."""
    if "slots" in row:
        return [int(slot) for slot in row["slots"]["S"].split()]
    return range(int(row["n"]["N"]))


def revision(row: Mapping[str, AttributeValueTypeDef]) -> int:
    """Return how often a batch row, or a conversation's metadata, was rewritten."""
    return int(row["rev"]["N"]) if "rev" in row else 0


def same_revision(row: Mapping[str, AttributeValueTypeDef]) -> tuple[str, Row]:
    """Return the condition, and its values, that an existing *row* has not been rewritten since."""
    rev = revision(row)
    return ("rev = :rev", {":rev": number(rev)}) if rev else ("attribute_not_exists(rev)", {})


def read_conversation(row: Mapping[str, AttributeValueTypeDef]) -> Conversation:
    """Return the conversation of a conversation row."""
    owner, _, conversation_id = row["pk"]["S"].partition("/")
    return Conversation(
        conversation_id=conversation_id,
        owner=owner,
        account=row["account"]["S"],
        created_at=int(row["created_at"]["N"]),
        metadata={name: value["S"] for name, value in row["metadata"]["M"].items()},
    )


def read_payload(row: Mapping[str, AttributeValueTypeDef]) -> Payload:
    """Return where and how the lines of a batch row are kept."""
    return Payload(
        codec=cast("Codec", row["codec"]["S"]),
        size=int(row["size"]["N"]),
        data=bytes(row["data"]["B"]) if "data" in row else b"",
        object_key=row["object"]["S"] if "object" in row else None,
        ends=tuple(map(int, row["ends"]["S"].split())) if "ends" in row else (),
    )


def candidate_sort_keys(item_id: str) -> list[str]:
    """Return where an item with that id may be found: by its pointer, and by the key in the id."""
    key = ids.key_in(item_id)
    return [pointer_sk(item_id)] if key is None else [pointer_sk(item_id), batch_sk(key)]


def index_by_sort_key(found: Iterable[Row]) -> dict[str, Row]:
    """Return rows of one conversation by their sort keys."""
    return {row["sk"]["S"]: row for row in found}


def _expiry_of(row: Mapping[str, AttributeValueTypeDef]) -> Row:
    return {"expires_at": row["expires_at"]} if "expires_at" in row else {}
