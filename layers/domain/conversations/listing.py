"""Pages of items, and of conversations.

`Query` sees of a transaction that is being committed now one row and now another. A page of
items therefore goes by the conversation's own row, which names the keys of its latest batches:
what it does not name yet is left for later, and what it names and the query did not see is read
by itself, once no transaction is under way on it. So a batch is listed whole or not yet, and
nothing appears behind a cursor that a reader has moved past.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal, NamedTuple

from conversations import ids, rows
from conversations.errors import ConversationNotFoundError, ItemNotFoundError
from conversations.reading import (
    READ_AT_ONCE,
    by_sk,
    read_conversation_with,
    read_rows,
    read_settled_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from conversations.rows import Conversation, Row
    from conversations.transactions import Table

type Order = Literal["asc", "desc"]

MAX_QUERIES = 10
"""Reads of the index for one page of conversations: a filter that nothing matches ends there."""
_BEHIND_ALL = "~"
"""Sorts behind every key that begins like the one it is put at the end of."""


class ItemListing:
    """One request for items of a conversation, in an order, behind a cursor."""

    def __init__(self, table: Table, pk: str, after: str | None, order: Order) -> None:
        self._table = table
        self._pk = pk
        self._after = after
        self._order = order

    def read(self, count: int, executor: Executor) -> list[Row]:
        """The next *count* rows, or all that are left.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
            ItemNotFoundError: the conversation never had an item *after*.
        """
        guess = ids.key_in(self._after) if self._after else None
        start = executor.submit(self._start)
        is_early = self._after is None or (guess is not None and not rows.is_young(guess))
        found = self._query(guess, count) if is_early else []
        conversation, key = start.result()
        if key != guess or not is_early:
            found = self._query(key, count)
            is_early = False
        return self._settle(conversation, key, found, count, is_early=is_early)

    def _start(self) -> tuple[Row, str | None]:
        """The conversation's row, and the entry key behind which the page begins."""
        if self._after is None:
            found = read_conversation_with(self._table, self._pk)
            return found[rows.CONVERSATION_SK], None
        sks = rows.sks_of(self._after)
        found = read_conversation_with(self._table, self._pk, sks)
        key = self._key_among(found)
        if key is None:
            keys = [rows.primary_key(self._pk, sk) for sk in sks]
            key = self._key_among(by_sk(read_settled_rows(self._table, keys)))
        if key is None:
            raise item_not_found(self._after, param="after")
        return found[rows.CONVERSATION_SK], key

    def _key_among(self, found: dict[str, Row]) -> str | None:
        after = self._after or ""
        row = rows.find_item(found, after)
        return rows.entry_key(row) if row else rows.find_pointer(found, after)

    def _settle(
        self, conversation: Row, key: str | None, found: list[Row], count: int, *, is_early: bool
    ) -> list[Row]:
        """Make of what the query saw what a reader may rely on.

        A query that ran *is_early*, beside the read of the conversation's row, is repeated if it
        may have seen a part of a batch that is none of the latest any more.
        """
        last_key = conversation["last_key"]["S"]
        recent = rows.recent_keys(conversation)
        window = Window(key, last_key, self._order, count)
        if is_early and not window.is_proven(found, recent):
            found = self._query(window.start, count)
        seen = {rows.entry_key(row): row for row in found}
        end = next(reversed(seen)) if len(seen) >= count else None
        missing = [
            entry
            for batch in recent
            for entry in batch
            if entry not in seen and window.holds(entry, end)
        ]
        keys = [rows.primary_key(self._pk, rows.item_sk(entry)) for entry in missing]
        seen |= {rows.entry_key(row): row for row in read_settled_rows(self._table, keys)}
        if missing and not seen:
            read_conversation_with(self._table, self._pk)  # or all went with it meanwhile
        page = sorted((entry for entry in seen if entry <= last_key), reverse=self._order == "desc")
        return [seen[entry] for entry in page[:count]]

    def _query(self, start: str | None, count: int) -> list[Row]:
        """The next *count* live rows behind an entry key, in as many reads as that takes."""
        request: QueryInputTypeDef = {
            "TableName": self._table.name,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :items)",
            "ExpressionAttributeValues": {
                ":pk": {"S": self._pk},
                ":items": {"S": rows.ITEM_PREFIX},
            },
            "ConsistentRead": True,
            "ScanIndexForward": self._order == "asc",
        }
        if start:
            request["ExclusiveStartKey"] = rows.primary_key(self._pk, rows.item_sk(start))
        found: list[Row] = []
        while True:
            request["Limit"] = count - len(found)
            answer = self._table.dynamodb.query(**request)
            found += filter(rows.is_live, answer["Items"])
            if "LastEvaluatedKey" not in answer or len(found) >= count:
                return found
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


class Window(NamedTuple):
    """The stretch of a conversation that a page is about."""

    key: str | None
    """The entry key that the page begins behind, if it is not the conversation's end."""
    last_key: str
    """That of the last item when the conversation's row was read."""
    order: Order
    size: int

    @property
    def start(self) -> str | None:
        """Where a query begins that sees nothing that came after the conversation's row."""
        return self.last_key + _BEHIND_ALL if self._is_first() else self.key

    def is_proven(self, found: Sequence[Row], recent: Sequence[Sequence[str]]) -> bool:
        """Whether a query that ran at any time saw all that is older than the *recent* batches.

        It did if it began with the newest of these, or if a batch that is none of them is too old
        to be on its way. One that saw what came later has no place for all that it should see.
        """
        begins = rows.entry_key(found[0]) if found and self._is_first() else ""
        if begins > self.last_key:
            return False
        if len(recent) < len(rows.RECENT_BATCHES) or begins >= recent[0][0]:
            return True
        is_full = self.order == "asc" and len(found) >= self.size
        newest = rows.entry_key(found[-1]) if is_full else self.key or self.last_key
        return not rows.is_young(min(newest, recent[-1][0]))

    def _is_first(self) -> bool:
        """Whether the page begins with the conversation's newest item."""
        return self.key is None and self.order == "desc"

    def holds(self, key: str, end: str | None) -> bool:
        """Whether an item belongs on the page, which is full up to *end* if it is not None."""
        if self.order == "asc":
            return (self.key or "") < key <= (end or self.last_key)
        return (end or "") <= key < (self.key or self.last_key + _BEHIND_ALL)


def item_not_found(item_id: str, *, param: str) -> ItemNotFoundError:
    """What is said of an item that is missing or deleted."""
    return ItemNotFoundError(f"Item '{item_id}' was not found in the conversation.", param=param)


class ConversationListing:
    """One request for an owner's conversations, by their last change."""

    def __init__(self, table: Table, owner: str, order: Order, metadata: Mapping[str, str]) -> None:
        self._table = table
        self._owner = owner
        self._order = order
        self._metadata = metadata

    def read(self, after: str | None, limit: int) -> tuple[list[Conversation], bool, str]:
        """Up to *limit* conversations, whether there are more, and the cursor to go on with.

        Raises:
            ConversationNotFoundError: there is no conversation *after*.
        """
        start = None if after is None else self._start(after)
        found: list[Conversation] = []
        for scanned in itertools.count(1):
            entries, start = self._query(start, limit + 1)
            found += self._complete(entries)
            if len(found) > limit:
                return found[:limit], True, found[limit - 1].conversation_id
            if start is None:
                return found, False, found[-1].conversation_id if found else ""
            if scanned == MAX_QUERIES:
                return found, True, start["pk"]["S"].partition("/")[2]
        raise AssertionError  # pragma: no cover - count does not end

    def _start(self, after: str) -> Row:
        """Where the index goes on; a deleted conversation still has its place."""
        key = rows.primary_key(rows.partition(self._owner, after), rows.CONVERSATION_SK)
        answer = self._table.dynamodb.get_item(
            TableName=self._table.name, Key=key, ConsistentRead=True
        )
        if "Item" not in answer:
            raise ConversationNotFoundError(f"Conversation '{after}' was not found.", param="after")
        updated_at = answer["Item"]["updated_at"]
        return {**key, "owner": {"S": self._owner}, "updated_at": updated_at}

    def _query(self, start: Row | None, count: int) -> tuple[list[Row], Row | None]:
        request: QueryInputTypeDef = {
            "TableName": self._table.name,
            "IndexName": rows.BY_OWNER,
            "KeyConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":owner": {"S": self._owner}},
            "ScanIndexForward": self._order == "asc",
            "Limit": READ_AT_ONCE if self._metadata else count,
        }
        if start:
            request["ExclusiveStartKey"] = start
        answer = self._table.dynamodb.query(**request)
        return answer["Items"], answer.get("LastEvaluatedKey")

    def _complete(self, entries: Iterable[Row]) -> Iterator[Conversation]:
        """Return the conversations of index entries, in their order, that match the filter.

        An update moves an entry by a deletion and a put, and a page may hold both places.
        """
        keys = {
            entry["pk"]["S"]: rows.primary_key(entry["pk"]["S"], entry["sk"]["S"])
            for entry in entries
        }
        found = {row["pk"]["S"]: row for row in read_rows(self._table, keys.values())}
        for pk in keys:
            if row := found.get(pk):
                conversation = rows.read_conversation(row)
                if self._metadata.items() <= conversation.metadata.items():
                    yield conversation
