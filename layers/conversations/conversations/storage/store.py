"""Conversations and their items in DynamoDB and S3: the interface of the storage package.

Every change is a transaction that includes the conversation row, so changes of one conversation are
serialized. A batch is one row, so it is read and written whole. Reads are strongly consistent,
except for the list of an owner's conversations. `rows` describes the table.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from conversations import ids
from conversations.errors import RequestTooLargeError
from conversations.json_text import response_bytes
from conversations.model import Conversation, Page
from conversations.storage import payloads, rows
from conversations.storage.append import Append, Create, EncodedBatch
from conversations.storage.conversation_pages import OwnerIndex
from conversations.storage.delete import DeleteConversation, ItemDeletion
from conversations.storage.items import encode_item
from conversations.storage.metadata import UpdateMetadata
from conversations.storage.pages import ItemPageReader
from conversations.storage.reads import find_items, item_not_found, read_conversation_with
from conversations.storage.search import SearchLimits, SearchReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conversations.contract.items import Item
    from conversations.model import IdempotencyInfo, Order, ReturnedItem
    from conversations.storage.payloads import PayloadStore
    from conversations.storage.reads import BatchSlice
    from conversations.storage.transactions import Table

SECONDS_PER_DAY = 86_400


class Store:
    """Store of all owners' conversations; every method is limited to one owner."""

    def __init__(
        self,
        table: Table,
        payload_store: PayloadStore,
        retention_days: int = 0,
        search_limits: SearchLimits | None = None,
    ) -> None:
        self._table = table
        self._payloads = payload_store
        self._search_limits = search_limits or SearchLimits()
        self._lifetime = retention_days * SECONDS_PER_DAY or None

    def create_conversation(
        self,
        owner: str,
        account: str,
        items: Sequence[Item],
        metadata: Mapping[str, str],
        idempotency: IdempotencyInfo,
    ) -> Conversation:
        """Create a conversation with its initial *items*, in one transaction.

        Raises:
            IdempotencyKeyReusedError: the key was used before with another body.
            RequestTooLargeError: the items would not fit into a response.
            ConversationBusyError, OverloadedError: retries ran out; see `transactions`.
        """
        created_at = time.time_ns() // 1_000_000
        conversation = Conversation.new(
            ids.new_conversation_id(), owner, account, created_at, dict(metadata)
        )
        batch = self._encode_and_spill(rows.partition(owner, conversation.conversation_id), items)
        create = Create(self._table, conversation, batch, idempotency, self._lifetime)
        self._commit(create)
        return create.conversation

    def append_items(
        self, owner: str, conversation_id: str, items: Sequence[Item], idempotency: IdempotencyInfo
    ) -> list[ReturnedItem]:
        """Append a batch of valid items, atomically and in order.

        The append takes one round trip, regardless of the conversation's length, after the write of
        a payload that spills to the bucket. A replay returns the first result and changes no
        row.

        Raises:
            ConversationNotFoundError: the conversation is missing, deleted or another owner's.
            ItemAlreadyInConversationError: the conversation has an item with a client's id.
            IdempotencyKeyReusedError: the key was used before with another body.
            RequestTooLargeError: the items would not fit into a response.
            ConversationBusyError, OverloadedError: retries ran out; see `transactions`.
        """
        pk = rows.partition(owner, conversation_id)
        batch = self._encode_and_spill(pk, items)
        append = Append(self._table, pk, batch, idempotency, self._lifetime)
        self._commit(append)
        return append.items()

    def get_conversation(self, owner: str, conversation_id: str) -> Conversation:
        """Return a conversation without its items.

        Raises:
            ConversationNotFoundError: the conversation is missing, deleted or another owner's.
        """
        pk = rows.partition(owner, conversation_id)
        found = read_conversation_with(self._table, pk)
        return rows.read_conversation(found[rows.CONVERSATION_SK])

    def update_metadata(
        self, owner: str, conversation_id: str, changes: Mapping[str, str | None]
    ) -> Conversation:
        """Set pairs of the metadata, and remove those whose value is None.

        Raises:
            ConversationNotFoundError: the conversation is missing, deleted or another owner's.
            InvalidRequestError: there would be more than 16 pairs.
            ConversationBusyError, OverloadedError: retries ran out; see `transactions`.
        """
        found = read_conversation_with(self._table, rows.partition(owner, conversation_id))
        update = UpdateMetadata(self._table, found[rows.CONVERSATION_SK], changes)
        update.commit()
        return update.conversation

    def delete_conversation(self, owner: str, conversation_id: str) -> None:
        """Delete a conversation immediately; the purge removes its content later.

        Raises:
            ConversationNotFoundError: the conversation is missing, deleted or another owner's.
        """
        DeleteConversation(self._table, rows.partition(owner, conversation_id)).commit()

    def list_conversations(  # noqa: PLR0913 - one for each parameter of the route
        self,
        owner: str,
        *,
        after: str | None,
        limit: int,
        order: Order,
        metadata: Mapping[str, str],
        search: str | None = None,
    ) -> Page[Conversation]:
        """Return the owner's conversations with all pairs of *metadata*, by their last change.

        The index is eventually consistent, usually within a second. A page that would need too many
        reads ends early. A conversation that changes moves in the list: in ascending order, the
        page after it starts at its new place. With *search*, a conversation must match its words
        too, and `has_more` means that conversations are left to search: see `SearchReader`.

        Raises:
            ConversationNotFoundError: the owner never had the conversation *after*.
        """
        index = OwnerIndex(self._table, owner, order, metadata)
        if search is None:
            page = index.read_page(after, limit)
        else:
            limits = self._search_limits
            reader = SearchReader(self._table, self._payloads, index, search, limits)
            page = reader.read(after, limit)
        self._table.stats.items += len(page.entries)
        return page

    def list_items(
        self, owner: str, conversation_id: str, *, after: str | None, limit: int, order: Order
    ) -> Page[ReturnedItem]:
        """Return up to *limit* items after the item *after*, or from the start, in *order*.

        A page that would not fit into one response of Lambda ends early.

        Raises:
            ConversationNotFoundError: the conversation is missing, deleted or another owner's.
            ItemNotFoundError: the conversation never had an item *after*.
        """
        reader = ItemPageReader(self._table, rows.partition(owner, conversation_id), order)

        def read_page() -> Page[ReturnedItem]:
            slices, has_more = reader.read(after, limit)
            fitting = _fitting(slices)
            items = self._read_items(fitting)
            has_more |= len(fitting) < len(slices)
            return Page(items, has_more, items[-1].cursor if items else "")

        return payloads.read_again_if_deleted(self._table.stats, read_page)

    def get_item(self, owner: str, conversation_id: str, item_id: str) -> ReturnedItem:
        """Return one item by its id; an `item_reference`, by its cursor.

        Raises:
            ConversationNotFoundError: the conversation is missing, deleted or another owner's.
            ItemNotFoundError: the conversation has no such item.
        """
        pk = rows.partition(owner, conversation_id)

        def read_item() -> ReturnedItem:
            _, slices = find_items(self._table, pk, [item_id])
            for item in self._read_items([*slices.values()]):
                if item.cursor == item_id:
                    return item
            raise item_not_found(item_id, param="item_id")

        return payloads.read_again_if_deleted(self._table.stats, read_item)

    def delete_items(
        self, owner: str, conversation_id: str, item_ids: Sequence[str], *, param: str
    ) -> Conversation:
        """Delete items; if one of them does not exist, delete none.

        *param* is the path of an id in the request, with braces for its index. Items of more
        batches than fit into one transaction take several; see `delete.ItemDeletion`.

        Raises:
            ConversationNotFoundError: the conversation is missing, deleted or another owner's.
            ItemNotFoundError: the conversation has no such item.
            ConversationBusyError, OverloadedError: retries ran out; see `transactions`.
        """
        pk = rows.partition(owner, conversation_id)
        deletion = ItemDeletion(self._table, self._payloads, pk, item_ids, param)
        return rows.read_conversation(deletion.run())

    def _encode_and_spill(self, pk: str, items: Sequence[Item]) -> EncodedBatch:
        """Encode a batch, and put a large one into an object.

        Raises:
            RequestTooLargeError: the items would not fit into a response.
        """
        lines = list(map(encode_item, items))
        if not lines:
            return EncodedBatch(lines, payloads.Payload("json", 0))
        encoded = payloads.encode(lines)
        if encoded.size > payloads.MAX_RESPONSE_PAYLOAD_BYTES:
            raise _too_large(lines, encoded.size)
        stored = self._payloads.spill_if_large(encoded, pk)
        if stored.object_key:
            self._table.stats.add("SpilledObjects")
            self._table.stats.add("SpilledBytes", len(encoded.data))
        return EncodedBatch(lines, stored)

    def _commit(self, append: Append) -> None:
        """Commit an append; delete the object of a batch that was not written, or is a replay."""
        try:
            append.commit()
        except Exception:
            if not append.outcome_unknown:
                self._payloads.delete_best_effort([append.payload.object_key])
            raise
        stats = self._table.stats
        stats.items += len(append.lines)
        if append.is_replay:
            stats.add("Replays")
            self._payloads.delete_best_effort([append.payload.object_key])
        elif append.lines:
            stats.add("Appends")
            stats.add("AppendedItems", len(append.lines))
            stats.add("AppendedBytes", append.payload.size)

    def _read_items(self, slices: Sequence[BatchSlice]) -> list[ReturnedItem]:
        """Return the items of all *slices*, in order."""
        lines = self._payloads.read_lines([batch.part for batch in slices])
        items = [
            item for batch, found in zip(slices, lines, strict=True) for item in batch.items(found)
        ]
        self._table.stats.items += len(items)
        return items


def _fitting(slices: Sequence[BatchSlice]) -> Sequence[BatchSlice]:
    """Return as many of *slices* as fit into one response; the first always fits.

    Each counts with the size of its whole batch.
    """
    sizes = itertools.accumulate(int(batch.row["size"]["N"]) for batch in slices)
    fitting = sum(size <= payloads.MAX_RESPONSE_PAYLOAD_BYTES for size in sizes)
    return slices[: max(fitting, 1)]


def _too_large(lines: Sequence[str], size: int) -> RequestTooLargeError:
    """Return the error for a batch of *size* bytes, naming an item that is too large by itself."""
    limit = payloads.MAX_RESPONSE_PAYLOAD_BYTES
    for index, line in enumerate(lines):
        item_size = response_bytes(line.encode())
        if item_size > limit:
            return RequestTooLargeError(
                f"items[{index}] is too large: its response would have {item_size} bytes. The limit"
                f" is {limit} bytes.",
                param=f"items[{index}]",
            )
    return RequestTooLargeError(
        f"The items are too large: a response with all of them would have {size} bytes. The limit"
        f" is {limit} bytes. Send fewer items in each request.",
        param="items",
    )
