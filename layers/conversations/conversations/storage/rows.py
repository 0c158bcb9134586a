"""Rows of the conversations table: their keys, attributes and conversions.

    pk                   sk                    attributes
    owner/conversation   C                     created_at, updated_at, appended_at (ms), metadata
                                               and rev, after a change of the metadata;
                                               last_key and before_1 .. before_11: the last sequence
                                               keys of the latest 12 batches; last_body (SHA-256);
                                               owner and account (for the indexes); deleting
                                               (SHA-256 of the ids whose deletion is in progress,
                                               or empty);
                                               deletions (count of transactions that deleted items
                                               or that an import merged);
                                               deleted_at (ms) and purges
    owner/conversation   b#<first key>         a batch: n (number of items appended), codec, size,
                                               and data or object (a key of the bucket); ends, if
                                               lines are compressed one by one; slots and rev, after
                                               a deletion of some of its items
    owner/conversation   t#<first key>         the tombstone of a batch without items: n
    owner/conversation   p#<item id>           the pointer of a client's id: key (the sequence key
                                               of the latest item with this id)
    owner/conversation   k#<SHA-256 of key>    the idempotency row of an append: body (SHA-256),
                                               last_key; expires after 24 hours
    owner/conversation   i                     run, claimed_at: the restore that writes it now
    owner/               k#<SHA-256 of key>    the idempotency row of a create: body, conversation,
                                               created_at; expires after 24 hours

Every row can have expires_at (s): after that time it is not live, even before DynamoDB removes it.
A conversation row has v from the second schema version on: see `schema_version`.
The owner is part of the partition key, so another owner's request misses on every path.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from typing import TYPE_CHECKING, cast

from conversations import ids
from conversations.model import Conversation
from conversations.storage.payloads import Codec, Payload
from conversations.storage.schema_version import SUPPORTED_CONDITION, check_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    type Row = dict[str, AttributeValueTypeDef]

CONVERSATION_SK = "C"
"""The sort key of the conversation row, which precedes its batches: one `Query` can read both."""
BATCH_PREFIX = "b#"
"""Prefix of the sort keys of batches."""
LAST_BATCH_SK = "b#~"
"""Sort key after those of all batches, and before those of the rows that follow them."""
TOMBSTONE_PREFIX = "t#"
POINTER_PREFIX = "p#"
BY_ACCOUNT = "by-account"
"""The index of live conversations by account."""
BY_OWNER = "by-owner"
"""The index of live conversations by owner and updated_at."""
DELETION = (
    "SET deleted_at = if_not_exists(deleted_at, :now), expires_at = :expires_at"
    " REMOVE #owner, account, metadata"
)
"""Update of the conversation row that deletes the conversation: no content of clients stays."""
RECENT_BATCHES = ("last_key", *(f"before_{age}" for age in range(1, 12)))
"""Attributes of the conversation row with the last keys of the latest batches, newest first.

The slot in a last key tells the number of items of its batch.
"""
LIVE_CONDITION = (
    f"attribute_exists(pk) AND {SUPPORTED_CONDITION} AND attribute_not_exists(deleted_at)"
    " AND (attribute_not_exists(expires_at) OR expires_at > :now_seconds)"
)
"""Condition of a live conversation row; `:now_seconds` is the current time."""


def partition(owner: str, conversation_id: str) -> str:
    """Return the partition key of a conversation, which is also the folder of its objects."""
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
    """Return the attribute value of a number."""
    return {"N": str(value)}


def text_map(pairs: Mapping[str, str]) -> AttributeValueTypeDef:
    """Return the attribute value of metadata."""
    return {"M": {name: {"S": value} for name, value in pairs.items()}}


def expiry(expires_at: int | None) -> Row:
    """Return the attribute `expires_at`, in seconds, or no attribute for None."""
    return {} if expires_at is None else {"expires_at": number(expires_at)}


def read_expiry(row: Row) -> int | None:
    """Return the time at which a row expires, in seconds, or None."""
    return int(row["expires_at"]["N"]) if "expires_at" in row else None


def conversation_row(conversation: Conversation, recent_keys: Sequence[str] = ()) -> Row:
    """Return the row of a conversation; *recent_keys* are those of `recent_last_keys`."""
    return {
        **primary_key(partition(conversation.owner, conversation.conversation_id), CONVERSATION_SK),
        "owner": {"S": conversation.owner},
        "account": {"S": conversation.account},
        "created_at": number(conversation.created_at),
        "updated_at": number(conversation.updated_at),
        "appended_at": number(conversation.appended_at),
        "metadata": text_map(conversation.metadata),
        "last_body": {"S": ""},
        **recent_batches(recent_keys),
    }


def recent_batches(keys: Sequence[str]) -> Row:
    """Return the attributes `RECENT_BATCHES`; *keys* begin with the newest, and may be longer."""
    latest = keys[: len(RECENT_BATCHES)]
    named = itertools.zip_longest(RECENT_BATCHES, latest, fillvalue="")
    return {name: {"S": key} for name, key in named}


def batch_row(pk: str, key: str, written: int, payload: Payload) -> Row:
    """Return the row of a new batch of *written* items, the first of them at *key*."""
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


def rewritten(row: Row, payload: Payload, slots: Sequence[int]) -> Row:
    """Return a batch *row* after a deletion, with the *payload* of the *slots* that stay live."""
    after = batch_row(row["pk"]["S"], batch_key(row), int(row["n"]["N"]), payload)
    after["slots"] = {"S": " ".join(map(str, slots))}
    after["rev"] = number(revision(row) + 1)
    return after | expiry(read_expiry(row))


def tombstone_row(row: Row) -> Row:
    """Return the tombstone of a batch *row*, by which cursors on its deleted items stay valid."""
    key = primary_key(row["pk"]["S"], tombstone_sk(batch_key(row)))
    return {**key, "n": row["n"]} | expiry(read_expiry(row))


def pointer_row(pk: str, item_id: str, key: str) -> Row:
    """Return the row that claims *item_id* for the item at the sequence *key*."""
    return {**primary_key(pk, pointer_sk(item_id)), "key": {"S": key}}


def claimed_id(row: Row) -> str:
    """Return the item id that a pointer *row* claims."""
    return row["sk"]["S"].removeprefix(POINTER_PREFIX)


def idempotency_row(pk: str, idempotency_key: str, body_hash: str, replay: Row) -> Row:
    """Return the row of an idempotency key; *replay* has the attributes that a replay needs."""
    sk = f"k#{hashlib.sha256(idempotency_key.encode()).hexdigest()}"
    return {**primary_key(pk, sk), "body": {"S": body_hash}, **replay}


def is_live(row: Row) -> bool:
    """Return whether a row is neither deleted nor expired.

    Raises:
        UnsupportedSchemaVersionError: a newer release wrote the row.
    """
    check_version(row)
    expires_at = read_expiry(row)
    return "deleted_at" not in row and (expires_at is None or expires_at > int(time.time()))


def recent_last_keys(row: Row) -> list[str]:
    """Return the last keys of a conversation's latest batches, the newest first."""
    return [key for name in RECENT_BATCHES if (key := row[name]["S"])]


def batch_key(row: Row) -> str:
    """Return the first sequence key of a batch row."""
    return row["sk"]["S"].removeprefix(BATCH_PREFIX)


def live_slots(row: Row) -> Sequence[int]:
    """Return the slots of a batch row whose items are not deleted, in order; at least one."""
    if "slots" in row:
        return [int(slot) for slot in row["slots"]["S"].split()]
    return range(int(row["n"]["N"]))


def revision(row: Row) -> int:
    """Return the number of times that a batch row, or a conversation's metadata, was rewritten."""
    return int(row["rev"]["N"]) if "rev" in row else 0


def same_revision(row: Row) -> tuple[str, Row]:
    """Return the condition, and its values, that a *row* has not been rewritten since its read."""
    rev = revision(row)
    return ("rev = :seen", {":seen": number(rev)}) if rev else ("attribute_not_exists(rev)", {})


def read_conversation(row: Row) -> Conversation:
    """Return the conversation of a conversation row."""
    owner, _, conversation_id = row["pk"]["S"].partition("/")
    return Conversation(
        conversation_id=conversation_id,
        owner=owner,
        account=row["account"]["S"],
        created_at=int(row["created_at"]["N"]),
        updated_at=int(row["updated_at"]["N"]),
        appended_at=int(row["appended_at"]["N"]),
        metadata=read_metadata(row),
    )


def read_metadata(row: Row) -> dict[str, str]:
    """Return the metadata of a conversation row."""
    return {name: value["S"] for name, value in row["metadata"]["M"].items()}


def read_payload(row: Row) -> Payload:
    """Return the payload of a batch row."""
    return Payload(
        codec=cast("Codec", row["codec"]["S"]),
        size=int(row["size"]["N"]),
        data=bytes(row["data"]["B"]) if "data" in row else b"",
        object_key=row["object"]["S"] if "object" in row else None,
        ends=tuple(map(int, row["ends"]["S"].split())) if "ends" in row else (),
    )


def candidate_sort_keys(item_id: str) -> list[str]:
    """Return the sort keys of the rows that can lead to an item: its pointer and its batch."""
    key = ids.key_in(item_id)
    return [pointer_sk(item_id)] if key is None else [pointer_sk(item_id), batch_sk(key)]


def index_by_sort_key(found: Iterable[Row]) -> dict[str, Row]:
    """Return rows of one conversation by their sort keys."""
    return {row["sk"]["S"]: row for row in found}
