"""Consistent snapshots of whole conversations; `restore` writes them back.

A snapshot has the sequence keys of the items, so that generated ids and cursors stay valid in
another table. It has no idempotency rows and no mark of a deletion, which only serve requests in
flight.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from conversations import ids
from conversations.contract.items import generated_id
from conversations.storage import rows
from conversations.storage.items import decode_item, encode_item
from conversations.storage.reads import read_again_settled, read_conversation_with, transact_get
from conversations.storage.scan import read_batch, scan_batches, scan_prefix
from conversations.storage.transactions import conversation_not_found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conversations.contract.items import Item
    from conversations.model import Conversation
    from conversations.storage.payloads import PayloadStore
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table


class ConversationChangedError(Exception):
    """A snapshot that failed because batches changed while it was read: read again."""


@dataclass(frozen=True, slots=True)
class ArchivedConversation:
    """A conversation without its items; `expires_at` is seconds."""

    conversation: Conversation
    expires_at: int | None
    recent_keys: Sequence[str]
    """The last keys of the latest batches, the newest first, including batches without items."""

    @property
    def pk(self) -> str:
        """The partition key of the conversation."""
        return rows.partition(self.conversation.owner, self.conversation.conversation_id)

    @property
    def is_expired(self) -> bool:
        """True if the conversation has expired."""
        return self.expires_at is not None and self.expires_at <= time.time()


class ArchivedBatch(NamedTuple):
    """Items that were appended together, without those that were deleted."""

    key: str
    written: int
    """The number of items that were appended."""
    slots: Sequence[int]
    lines: Sequence[str]
    expires_at: int | None = None

    @classmethod
    def of(
        cls,
        key: str,
        written: int,
        slots: Sequence[int],
        items: Sequence[Item],
        expires_at: int | None,
    ) -> ArchivedBatch:
        """Return the batch of *items* with ids; generated ids are removed from its lines."""
        lines = [
            encode_item(_without_generated_id(item, at))
            for item, at in zip(items, ids.keys_at(key, slots), strict=True)
        ]
        return cls(key, written, slots, lines, expires_at)

    def items(self) -> list[str]:
        """Return the items as the API shows them, as JSON."""
        keys = ids.keys_at(self.key, self.slots)
        return [decode_item(line, key).json for line, key in zip(self.lines, keys, strict=True)]


class Tombstone(NamedTuple):
    """The remainder of a batch whose items are all deleted, by which cursors on them stay valid."""

    key: str
    written: int
    expires_at: int | None = None


class Pointer(NamedTuple):
    """The position of a deleted item with a client's id, by which cursors on it stay valid."""

    item_id: str
    key: str
    expires_at: int | None = None


type Part = ArchivedBatch | Tombstone | Pointer


def read_archived(table: Table, pk: str) -> tuple[ArchivedConversation, Row]:
    """Return a live conversation, and its row for `read_parts`.

    Raises:
        ConversationNotFoundError: the conversation is missing or deleted.
    """
    row = read_conversation_with(table, pk)[rows.CONVERSATION_SK]
    conversation = rows.read_conversation(row)
    recent_keys = rows.recent_last_keys(row)
    return ArchivedConversation(conversation, rows.read_expiry(row), recent_keys), row


def read_parts(table: Table, payloads: PayloadStore, conversation: Row) -> Iterator[Part]:
    """Yield the parts of a conversation when its row was read.

    Batches come first, in order, then tombstones, then pointers to deleted items. Later appends are
    omitted. Every transaction that deletes items, or adds a batch before others, increments a count
    in the conversation row: while the count is the same, no other transaction has changed earlier
    batches. Transactions that the count includes may still be committing. Their rows are read again
    by `transact_get`, which waits for them.

    A tombstone that is still committing may be missing if its batch is gone, and older than the
    batches that the row names.

    Raises:
        ConversationChangedError: batches changed meanwhile. Discard the yielded parts.
        ConversationNotFoundError: the conversation was deleted meanwhile. Discard the yielded
            parts.
    """
    pk = conversation["pk"]["S"]
    live: dict[str, Sequence[int]] = {}
    emptied = {ids.first_key(key) for key in rows.recent_last_keys(conversation)}
    found = scan_batches(table, conversation)
    for row in read_again_settled(table, pk, found) if "deletions" in conversation else found:
        batch = read_batch(table, payloads, row)
        if not batch.lines:  # It was emptied after its row was read, and its object is gone.
            raise ConversationChangedError
        key, slots = rows.batch_key(batch.row), rows.live_slots(batch.row)
        written = int(batch.row["n"]["N"])
        if len(slots) < written:
            live[key] = slots
        emptied.discard(key)
        yield ArchivedBatch(key, written, slots, batch.lines, rows.read_expiry(batch.row))
    # After this read, a Query returns the tombstones of recent batches.
    transact_get(table, pk, map(rows.tombstone_sk, sorted(emptied)))
    for row in scan_prefix(table, pk, rows.TOMBSTONE_PREFIX):
        key = row["sk"]["S"].removeprefix(rows.TOMBSTONE_PREFIX)
        live[key] = ()
        yield Tombstone(key, int(row["n"]["N"]), rows.read_expiry(row))
    if live:
        yield from _read_pointers(table, pk, live)
    # A transaction whose changes were read in part may still be committing: wait for its end.
    now = transact_get(table, pk, [rows.CONVERSATION_SK]).get(rows.CONVERSATION_SK)
    if now is None:
        raise conversation_not_found(pk)
    if now.get("deletions") != conversation.get("deletions"):
        raise ConversationChangedError


def _read_pointers(table: Table, pk: str, live: Mapping[str, Sequence[int]]) -> Iterator[Pointer]:
    """Yield the pointers to deleted items; *live* are the live slots of batches with some."""

    def is_deleted(row: Row) -> bool:
        key = row["key"]["S"]
        return ids.slot_of(key) not in live.get(ids.first_key(key), [ids.slot_of(key)])

    # An append that adds a deleted id again may still be committing.
    found = filter(is_deleted, scan_prefix(table, pk, rows.POINTER_PREFIX))
    for row in filter(is_deleted, read_again_settled(table, pk, found)):
        yield Pointer(rows.claimed_id(row), row["key"]["S"], rows.read_expiry(row))


def _without_generated_id(item: Item, key: str) -> Item:
    is_generated = item["type"] != "item_reference" and item.get("id") == generated_id(
        str(item["type"]), key
    )
    kept = {name: value for name, value in item.items() if name != "id" or not is_generated}
    return cast("Item", kept)
