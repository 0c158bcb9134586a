"""Conversations and their items, kept in DynamoDB and S3.

Every change is one transaction which includes the conversation's row: changes of one conversation
are serialised, and a batch is there whole and in its order, or not at all. Reads are strongly
consistent, but for the list of an owner's conversations. `rows` draws the table.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from conversations import ids, payloads, rows
from conversations.appends import Append, Create
from conversations.changes import (
    DELETIONS_AT_ONCE,
    DeleteConversation,
    DeleteItems,
    UpdateMetadata,
)
from conversations.errors import ApiError, RequestTooLargeError
from conversations.listing import ConversationListing, ItemListing, item_not_found
from conversations.reading import by_sk, find_items, read_conversation_with, read_rows
from conversations.rows import Conversation, Draft, StoredItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from conversations.appends import Delivery
    from conversations.contract.items import Item
    from conversations.listing import Order
    from conversations.payloads import Payload, PayloadBucket
    from conversations.rows import Row
    from conversations.transactions import Table

SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Page[Entry]:
    """Some entries in the order asked for; `has_more` is exact."""

    entries: list[Entry]
    has_more: bool
    cursor: str
    """What `after` takes to go on; empty where there was nothing."""


class Store:
    """The conversations of all owners; every method sees one owner's."""

    def __init__(
        self, table: Table, bucket: PayloadBucket, executor: Executor, retention_days: int = 0
    ) -> None:
        self._table = table
        self._bucket = bucket
        self._executor = executor
        self._lifetime = retention_days * SECONDS_A_DAY or None

    def create_conversation(
        self,
        owner: str,
        items: Sequence[Item],
        metadata: Mapping[str, str],
        delivery: Delivery,
        conversation_id: str | None = None,
    ) -> Conversation:
        """Make a conversation that begins with *items*, in one transaction.

        *conversation_id* is for the local stack's documented example: one that is there already
        stays as it is.

        Raises:
            IdempotencyKeyReusedError: its key came with another body before.
        """
        conversation = Conversation(
            conversation_id or ids.new_conversation_id(),
            owner,
            created_at=time.time_ns() // 1_000_000,
            metadata=dict(metadata),
        )
        packed = self._pack(rows.partition(owner, conversation.conversation_id), items)
        create = Create(self._table, conversation, packed, delivery, self._lifetime)
        self._write(create, packed)
        return create.conversation

    def append_items(
        self, owner: str, conversation_id: str, items: Sequence[Item], delivery: Delivery
    ) -> list[StoredItem]:
        """Put a batch of valid items behind all that is there: whole and in order, or not at all.

        One round trip, whatever the conversation's length; payloads that spill to the bucket are
        written before it. A repetition is answered as the first time, and writes nothing.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
            ItemAlreadyInConversationError: a client's id is taken.
            IdempotencyKeyReusedError: its key came with another body before.
            ConversationBusyError, OverloadedError: others, or AWS, were in the way too long.
        """
        pk = rows.partition(owner, conversation_id)
        packed = self._pack(pk, items)
        append = Append(self._table, pk, packed, delivery, self._lifetime)
        self._write(append, packed)
        return append.items()

    def get_conversation(self, owner: str, conversation_id: str) -> Conversation:
        """The conversation itself.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
        """
        pk = rows.partition(owner, conversation_id)
        found = read_conversation_with(self._table, pk)
        return rows.read_conversation(found[rows.CONVERSATION_SK])

    def update_metadata(
        self, owner: str, conversation_id: str, changes: Mapping[str, str | None]
    ) -> Conversation:
        """Set pairs of the metadata, and remove those whose value is None.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
            InvalidRequestError: there would be more than 16 pairs.
        """
        update = UpdateMetadata(self._table, self.get_conversation(owner, conversation_id), changes)
        update.commit()
        return update.conversation

    def delete_conversation(self, owner: str, conversation_id: str) -> None:
        """End a conversation for everybody at once; what it holds is purged later.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
        """
        DeleteConversation(self._table, rows.partition(owner, conversation_id)).commit()

    def list_conversations(
        self,
        owner: str,
        *,
        after: str | None,
        limit: int,
        order: Order,
        metadata: Mapping[str, str],
    ) -> Page[Conversation]:
        """The owner's conversations by their last change, those with all pairs of *metadata*.

        The index behind it follows a change within a second or so. A page that would take too
        many reads ends early.

        Raises:
            ConversationNotFoundError: there is no conversation *after*.
        """
        listing = ConversationListing(self._table, owner, order, metadata)
        page = Page(*listing.read(after, limit))
        self._table.tally.items += len(page.entries)
        return page

    def list_items(
        self, owner: str, conversation_id: str, *, after: str | None, limit: int, order: Order
    ) -> Page[StoredItem]:
        """Up to *limit* items behind the item *after*, or from the beginning of *order*.

        A page ends earlier where it would not fit one answer of Lambda.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
            ItemNotFoundError: the conversation never had an item *after*.
        """
        listing = ItemListing(self._table, rows.partition(owner, conversation_id), after, order)

        def read() -> Page[StoredItem]:
            found = listing.read(limit + 1, self._executor)
            page = self._unpack(found[:limit])
            return Page(page, len(found) > len(page), page[-1].cursor if page else "")

        return payloads.with_objects(read)

    def get_item(self, owner: str, conversation_id: str, item_id: str) -> StoredItem:
        """One item, by the id it is shown with (an `item_reference`: by its cursor).

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
            ItemNotFoundError: the conversation has no such item.
        """
        pk = rows.partition(owner, conversation_id)

        def read() -> StoredItem:
            row = find_items(self._table, pk, [item_id]).get(item_id)
            if row is None:
                raise item_not_found(item_id, param="item_id")
            return self._unpack([row])[0]

        return payloads.with_objects(read)

    def delete_items(
        self, owner: str, conversation_id: str, item_ids: Sequence[str], *, param: str
    ) -> Conversation:
        """Delete items; if one of them is not there, none.

        *param* is the path of an id in the request, with braces for its place. Up to 49 go in one
        transaction; more in several, each of which is done or not: sent again, such a request
        passes over what it deleted before.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
            ItemNotFoundError: the conversation has no such item.
        """
        pk = rows.partition(owner, conversation_id)
        found = find_items(self._table, pk, [*dict.fromkeys(item_ids)])
        done = self._deleted_before(pk, item_ids, found)
        params = {item_id: param.format(item_ids.index(item_id)) for item_id in item_ids}
        for item_id in item_ids:
            if item_id not in found and item_id not in done:
                raise item_not_found(item_id, param=params[item_id])
        for batch in itertools.batched(found.values(), DELETIONS_AT_ONCE, strict=False):
            DeleteItems(self._table, pk, batch, params).commit()
            self._table.tally.items += len(batch)
            self._bucket.discard([rows.read_payload(row) for row in batch])
        return self.get_conversation(owner, conversation_id)

    def _deleted_before(
        self, pk: str, item_ids: Sequence[str], found: Mapping[str, Row]
    ) -> set[str]:
        """The ids that a request of several transactions may have deleted at an earlier try."""
        absent = [item_id for item_id in item_ids if item_id not in found]
        if not found or not absent or len({*item_ids}) <= DELETIONS_AT_ONCE:
            return set()
        keys = [rows.primary_key(pk, rows.pointer_sk(item_id)) for item_id in set(absent)]
        pointers = by_sk(read_rows(self._table, keys))
        return {item_id for item_id in absent if rows.pointer_sk(item_id) in pointers}

    def _pack(self, pk: str, items: Sequence[Item]) -> list[tuple[Draft, Payload]]:
        drafts = [Draft.of(item) for item in items]
        encoded = [
            payloads.encode(draft.text, param=f"items[{place}]")
            for place, draft in enumerate(drafts)
        ]
        size = sum(payload.size for payload in encoded)
        if size > payloads.MAX_CARRIED_BYTES:
            raise RequestTooLargeError(
                f"The answer to these items would have {size} bytes, over the limit of"
                f" {payloads.MAX_CARRIED_BYTES}. Send them in smaller batches.",
                param="items",
            )
        kept = self._bucket.spill(encoded, pk)
        pairs = zip(encoded, kept, strict=True)
        spilled = [len(whole.data) for whole, payload in pairs if payload.object_key]
        self._table.tally.add("SpilledObjects", len(spilled))
        self._table.tally.add("SpilledBytes", sum(spilled))
        return list(zip(drafts, kept, strict=True))

    def _write(self, change: Append, packed: Sequence[tuple[Draft, Payload]]) -> None:
        """Commit, and remove the objects of what was not, or already, written."""
        spilled = [payload for _, payload in packed]
        try:
            change.commit()
        except (ApiError, ClientError):
            if not change.may_be_written:
                self._bucket.discard(spilled)
            raise
        tally = self._table.tally
        tally.items += len(packed)
        if change.is_repetition:
            tally.add("Replays")
            self._bucket.discard(spilled)
        elif packed:
            tally.add("Appends")
            tally.add("AppendedItems", len(packed))
            tally.add("AppendedBytes", sum(payload.size for payload in spilled))

    def _unpack(self, found: Sequence[Row]) -> list[StoredItem]:
        """The items of as many rows as one answer can carry; one always fits."""
        kept = [rows.read_payload(row) for row in found]
        sizes = itertools.accumulate(payload.size for payload in kept)
        fitting = sum(total <= payloads.MAX_CARRIED_BYTES for total in sizes)
        fetched = self._bucket.fetch(kept[:fitting])
        self._table.tally.items += fitting
        return [
            rows.read_item(row, payloads.decode(payload))
            for row, payload in zip(found, fetched, strict=False)
        ]
