"""Pages of a conversation's items.

A page needs the conversation row, which names the latest batches. Batches after the last one that
it names are omitted, unless the cursor is newer; in ascending order, later pages have them. Batches
of the page that it names and that a `Query` did not return are read with `TransactGetItems`. So no
item ever appears before a cursor that a reader has passed. A batch is one row, so it is read whole.

The first page in ascending order reads the conversation row and the first batches with one `Query`;
other pages read the row, and the rows of the cursor, before the `Query`.
"""

from __future__ import annotations

import itertools
import math
import operator
from typing import TYPE_CHECKING, NamedTuple

from conversations import ids
from conversations.contract.items import MAX_BATCH_ITEMS
from conversations.storage import rows
from conversations.storage.reads import (
    BatchSlice,
    item_not_found,
    range_query,
    read_conversation_with,
    sequence_key,
    transact_get,
)
from conversations.storage.rows import index_by_sort_key
from conversations.storage.transactions import conversation_not_found

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from conversations.model import Order
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table


MAX_ROWS = 10_000
"""Maximum `Limit` of a `Query`; a response of 1 MB, DynamoDB's maximum, rarely has more rows."""


class ItemPageReader:
    """Reader of pages of one conversation, in one order."""

    def __init__(self, table: Table, pk: str, order: Order) -> None:
        self._table = table
        self._pk = pk
        self._order = order

    def read(self, after: str | None, limit: int) -> tuple[list[BatchSlice], bool]:
        """Return the slices of the next *limit* items after *after*, and whether there are more."""
        page_range = self._start(after, limit + 1)
        found = {**page_range.batches}
        if not page_range.is_empty():
            self._query(page_range, limit + 1, found)
            self._reconcile(page_range, limit + 1, found)
        return page_range.slices(found.values(), limit), page_range.count(found.values()) > limit

    def _start(self, after: str | None, count: int) -> PageRange:
        """Read the conversation row with the rows of the cursor, or with the first batches.

        Raises:
            ConversationNotFoundError: the conversation is missing, deleted or another owner's.
            ItemNotFoundError: the conversation never had the item *after*.
        """
        if after is None and self._order == "asc":
            return self._first_batches(count)
        if after is None:
            found = read_conversation_with(self._table, self._pk)
            return PageRange(self._order, found[rows.CONVERSATION_SK])
        sks = rows.candidate_sort_keys(after)
        found = read_conversation_with(self._table, self._pk, sks)
        conversation = found[rows.CONVERSATION_SK]
        key = _cursor_key(found, after)
        if key is None:
            own = ids.key_in(after)
            sks += [rows.tombstone_sk(own)] if own else []
            found = transact_get(self._table, self._pk, sks)
            key = _cursor_key(found, after)
        if key is None:
            raise item_not_found(after, param="after")
        row = found.get(rows.batch_sk(key))
        batches = index_by_sort_key([row] if row else [])
        return PageRange(self._order, conversation, key, batches, row)

    def _first_batches(self, count: int) -> PageRange:
        """Read the conversation row and as many batches as *count* items need at least.

        A batch has at most `MAX_BATCH_ITEMS` items.
        """
        request = range_query(self._table, self._pk, rows.CONVERSATION_SK, rows.LAST_BATCH_SK)
        request["Limit"] = 1 + math.ceil(count / MAX_BATCH_ITEMS)
        response = self._table.dynamodb.query(**request)
        found = index_by_sort_key(response["Items"])
        conversation = found.pop(rows.CONVERSATION_SK, None)
        if conversation is None or not rows.is_live(conversation):
            raise conversation_not_found(self._pk)
        last_sk = _last_sk(conversation)
        committed = [row for sk, row in found.items() if sk <= last_sk]
        return PageRange(
            self._order,
            conversation,
            batches=index_by_sort_key(filter(rows.is_live, committed)),
            last_read=committed[-1] if committed else None,
            is_complete="LastEvaluatedKey" not in response or any(sk >= last_sk for sk in found),
        )

    def _query(self, page_range: PageRange, count: int, found: dict[str, Row]) -> None:
        """Add the batches of the page to *found*, as far as queries return them."""
        request = range_query(self._table, self._pk, page_range.first_sk, page_range.last_sk)
        request["ScanIndexForward"] = self._order == "asc"
        if row := page_range.last_read:
            request["ExclusiveStartKey"] = {"pk": row["pk"], "sk": row["sk"]}
        rows_read, items_read = 0, 0
        left = count - page_range.count(found.values())
        # Without its row, the cursor's own batch may come first.
        is_inside = page_range.after is not None and page_range.last_read is None
        limit = page_range.estimate(left) + is_inside
        while left > 0 and not page_range.is_complete:
            request["Limit"] = min(limit, MAX_ROWS)
            response = self._table.dynamodb.query(**request)
            live = [row for row in response["Items"] if rows.is_live(row)]
            found |= index_by_sort_key(live)
            if "LastEvaluatedKey" not in response:
                break
            request["ExclusiveStartKey"] = response["LastEvaluatedKey"]
            rows_read += len(response["Items"])
            items_read += page_range.count(live)
            left = count - page_range.count(found.values())
            # Without an item in the latest rows, many more may have expired.
            has_items = live and items_read
            limit = math.ceil(left * rows_read / items_read) if has_items else 4 * limit

    def _reconcile(self, page_range: PageRange, count: int, found: dict[str, Row]) -> None:
        """Add the recent batches of the page that the query did not return to *found*."""
        end = page_range.end(found.values(), count)
        missing = [
            rows.batch_sk(last_key)
            for last_key in rows.recent_last_keys(page_range.conversation)
            if rows.batch_sk(last_key) not in found and page_range.reaches(last_key, end)
        ]
        found |= transact_get(self._table, self._pk, missing)
        came_in_one_query = page_range.is_complete and page_range.batches
        if missing and len(found) == len(page_range.batches) and not came_in_one_query:
            # If a purge removed the rows after the first read, this raises the error.
            read_conversation_with(self._table, self._pk)


class PageRange(NamedTuple):
    """The range of a conversation's items from which a page is taken, and the rows read so far."""

    order: Order
    conversation: Row
    after: str | None = None
    """The sequence key of the cursor; None without a cursor."""
    batches: Mapping[str, Row] = {}
    """The live ones of the page's first batches, or the cursor's batch if it was read."""
    last_read: Row | None = None
    """The last row that was read; the next `Query` begins after it, or else with the range."""
    is_complete: bool = False
    """Whether it is certain that no more batches follow."""

    @property
    def last_key(self) -> str:
        """The last sequence key in the conversation row; empty if there never were items."""
        return self.conversation["last_key"]["S"]

    def is_empty(self) -> bool:
        """Return whether it is certain that the range contains no items."""
        return not self.last_key or (self.order == "asc" and (self.after or "") >= self.last_key)

    @property
    def first_sk(self) -> str:
        """The lowest sort key that a batch in the range can have."""
        return (
            rows.batch_sk(self.after) if self.after and self.order == "asc" else rows.BATCH_PREFIX
        )

    @property
    def last_sk(self) -> str:
        """The highest sort key that a batch in the range can have."""
        return rows.batch_sk(self.after if self.after and self.order == "desc" else self.last_key)

    def slots(self, row: Row) -> Sequence[int]:
        """Return the live slots of a batch *row* that are in the range, in the page's order."""
        slots = rows.live_slots(row)
        if self.after and rows.batch_key(row) == ids.first_key(self.after):
            bound = ids.slot_of(self.after)
            is_after = operator.gt if self.order == "asc" else operator.lt
            slots = [slot for slot in slots if is_after(slot, bound)]
        return slots if self.order == "asc" else slots[::-1]

    def count(self, found: Iterable[Row]) -> int:
        """Return the number of items of batch rows in the range."""
        return sum(len(self.slots(row)) for row in found)

    def estimate(self, count: int) -> int:
        """Estimate the number of batches with *count* items by the sizes of the latest ones."""
        sizes = [ids.slot_of(key) + 1 for key in rows.recent_last_keys(self.conversation)]
        known = 0
        if self.order == "desc" and self.after is None:
            for known, items in enumerate(itertools.accumulate(sizes), 1):
                if items >= count:
                    return known
            count -= sum(sizes)
        return known + math.ceil(count * len(sizes) / sum(sizes))

    def end(self, found: Iterable[Row], count: int) -> str | None:
        """Return the key of the batch that contains the item number *count*, or None."""
        for row in self._sorted(found):
            count -= len(self.slots(row))
            if count <= 0:
                return rows.batch_key(row)
        return None

    def reaches(self, last_key: str, end: str | None) -> bool:
        """Return whether the batch that ends with *last_key* is in the range, not after *end*."""
        first = ids.first_key(last_key)
        if self.order == "asc":
            return last_key > (self.after or "") and (end is None or first <= end)
        return (self.after is None or first < self.after) and first >= (end or "")

    def slices(self, found: Iterable[Row], count: int) -> list[BatchSlice]:
        """Return the first *count* items of batch rows, in the page's order."""
        slices: list[BatchSlice] = []
        for row in self._sorted(found):
            slots = self.slots(row)[:count]
            count -= len(slots)
            if slots:
                slices.append(BatchSlice(row, slots))
        return slices

    def _sorted(self, found: Iterable[Row]) -> list[Row]:
        return sorted(found, key=rows.batch_key, reverse=self.order == "desc")


def _last_sk(conversation: Row) -> str:
    """Return the sort key of the latest batch that a conversation row names, or an empty text."""
    last_key = conversation["last_key"]["S"]
    return rows.batch_sk(last_key) if last_key else ""


def _cursor_key(found: dict[str, Row], item_id: str) -> str | None:
    """Return the sequence key of a live or deleted item, from rows *found* at its candidates.

    Return None if the rows do not show that the conversation has or had the item. A generated id
    with the prefix of another type counts as the item's.
    """
    key = sequence_key(found, item_id)
    if key is None or rows.pointer_sk(item_id) in found:
        return key
    row = found.get(rows.batch_sk(key)) or found.get(rows.tombstone_sk(key))
    return key if row and ids.slot_of(key) < int(row["n"]["N"]) else None
