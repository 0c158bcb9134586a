"""Pages of a conversation's items.

A page first reads the conversation row, which names the latest batches. Batches after the last one
that it names are omitted; in ascending order, later pages have them. Batches that it names and that
the `Query` did not return are read with `TransactGetItems`. So no item ever appears before a cursor
that a reader has passed. A batch is one row, so no page sees a part of a batch.
"""

from __future__ import annotations

import itertools
import math
import operator
from typing import TYPE_CHECKING, NamedTuple

from conversations import ids
from conversations.storage import rows
from conversations.storage.reads import (
    BatchSlice,
    item_not_found,
    read_conversation_with,
    sequence_key,
    transact_get,
)
from conversations.storage.rows import index_by_sort_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from conversations.model import Order
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table


class Start(NamedTuple):
    """The place after which a page starts: a sequence key, or an end of the conversation."""

    conversation: Row
    key: str | None = None
    row: Row | None = None
    """The batch of the key, if it was read together with the conversation row."""


class ItemPageReader:
    """Reader of pages of one conversation, in one order."""

    def __init__(self, table: Table, pk: str, order: Order) -> None:
        self._table = table
        self._pk = pk
        self._order = order

    def read(self, after: str | None, limit: int) -> tuple[list[BatchSlice], bool]:
        """Return the slices of the next *limit* items after *after*, and whether there are more."""
        start = self._start(after)
        page_range = PageRange(start.key, start.conversation["last_key"]["S"], self._order)
        found = {rows.batch_key(start.row): start.row} if start.row else {}
        if not page_range.is_empty():
            self._query(start, page_range, limit + 1, found)
            self._reconcile(start.conversation, page_range, limit + 1, found)
        return page_range.slices(found.values(), limit), page_range.count(found.values()) > limit

    def _start(self, after: str | None) -> Start:
        if after is None:
            found = read_conversation_with(self._table, self._pk)
            return Start(found[rows.CONVERSATION_SK])
        sks = rows.candidate_sort_keys(after)
        found = read_conversation_with(self._table, self._pk, sks)
        conversation = found[rows.CONVERSATION_SK]
        key = _cursor_key(found, after)
        if key is None:
            own = ids.key_in(after)
            sks += [rows.tombstone_sk(own)] if own else []
            keys = [rows.primary_key(self._pk, sk) for sk in sks]
            found = index_by_sort_key(transact_get(self._table, keys))
            key = _cursor_key(found, after)
        if key is None:
            raise item_not_found(after, param="after")
        return Start(conversation, key, found.get(rows.batch_sk(key)))

    def _query(
        self, start: Start, page_range: PageRange, count: int, found: dict[str, Row]
    ) -> None:
        """Add the batches of the page to *found*, as far as a `Query` returns them."""
        request: QueryInputTypeDef = {
            "TableName": self._table.name,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":pk": {"S": self._pk},
                ":first": {"S": page_range.first_sk},
                ":last": {"S": page_range.last_sk},
            },
            "ConsistentRead": True,
            "ScanIndexForward": self._order == "asc",
        }
        if start.row:
            request["ExclusiveStartKey"] = {"pk": start.row["pk"], "sk": start.row["sk"]}
        sizes = [ids.slot_of(key) + 1 for key in rows.recent_last_keys(start.conversation)]
        rows_read, items_read = 0, 0
        left = count - page_range.count(found.values())
        is_inside = start.key is not None and start.row is None
        limit = page_range.estimate(left, sizes) + is_inside  # the cursor's own batch comes first
        while left > 0:
            request["Limit"] = limit
            response = self._table.dynamodb.query(**request)
            live = [row for row in response["Items"] if rows.is_live(row)]
            found |= {rows.batch_key(row): row for row in live}
            if "LastEvaluatedKey" not in response:
                break
            request["ExclusiveStartKey"] = response["LastEvaluatedKey"]
            rows_read += len(response["Items"])
            items_read += page_range.count(live)
            left = count - page_range.count(found.values())
            is_dense = live and items_read
            limit = math.ceil(left * rows_read / items_read) if is_dense else 4 * limit

    def _reconcile(
        self, conversation: Row, page_range: PageRange, count: int, found: dict[str, Row]
    ) -> None:
        """Add the recent batches of the page that the query did not return to *found*."""
        end = page_range.end(found.values(), count)
        missing = [
            last_key
            for last_key in rows.recent_last_keys(conversation)
            if ids.first_key(last_key) not in found and page_range.reaches(last_key, end)
        ]
        keys = [rows.primary_key(self._pk, rows.batch_sk(last_key)) for last_key in missing]
        found |= {rows.batch_key(row): row for row in transact_get(self._table, keys)}
        if missing and not found:
            # If the conversation was deleted meanwhile, this raises the error.
            read_conversation_with(self._table, self._pk)


class PageRange(NamedTuple):
    """The range of a conversation's items from which a page is taken."""

    after: str | None
    last_key: str
    """The conversation's last sequence key when its row was read; empty if it never had items."""
    order: Order

    def is_empty(self) -> bool:
        """Return whether the range cannot contain items."""
        return not self.last_key or (self.order == "asc" and (self.after or "") >= self.last_key)

    @property
    def first_sk(self) -> str:
        """The lowest sort key of a batch in the range."""
        return (
            rows.batch_sk(self.after) if self.after and self.order == "asc" else rows.BATCH_PREFIX
        )

    @property
    def last_sk(self) -> str:
        """The highest sort key of a batch in the range."""
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

    def estimate(self, count: int, sizes: Sequence[int]) -> int:
        """Estimate the number of batches with *count* items by the *sizes* of the latest ones."""
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


def _cursor_key(found: dict[str, Row], item_id: str) -> str | None:
    """Return the sequence key of a live or deleted item, from rows *found* at its candidates.

    Return None if the rows do not show that the conversation has or had the item.
    """
    key = sequence_key(found, item_id)
    if key is None or rows.pointer_sk(item_id) in found:
        return key
    row = found.get(rows.batch_sk(key)) or found.get(rows.tombstone_sk(key))
    return key if row and ids.slot_of(key) < int(row["n"]["N"]) else None
