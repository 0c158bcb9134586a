"""Pages of an owner's conversations, in the order of their last change."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from conversations.errors import ConversationNotFoundError
from conversations.storage import rows
from conversations.storage.reads import BATCH_GET_MAX, batch_get

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from conversations.model import Conversation, Order
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table

MAX_QUERIES = 10
"""Maximum number of index queries for one page.

A filter with few matches reaches it, and conversations that have expired and still exist.
"""


class OwnerIndex:
    """Index of one owner's live conversations with the given metadata, by their last change."""

    def __init__(self, table: Table, owner: str, order: Order, metadata: Mapping[str, str]) -> None:
        self._table = table
        self._owner = owner
        self._order = order
        self._metadata = metadata

    def start_after(self, cursor: str) -> Row:
        """Return the start key of a query for the conversations after *cursor*.

        *cursor* is the id of a conversation, which may be deleted, or a search cursor
        (`ids.SEARCH_CURSOR`), which begins with an id.

        Raises:
            ConversationNotFoundError: the owner never had that conversation.
        """
        conversation_id = cursor.partition("~")[0]
        pk = rows.partition(self._owner, conversation_id)
        key = rows.primary_key(pk, rows.CONVERSATION_SK)
        response = self._table.dynamodb.get_item(
            TableName=self._table.name, Key=key, ConsistentRead=True
        )
        updated_at = response.get("Item", {}).get("updated_at")
        if updated_at is None:
            raise ConversationNotFoundError(
                f"Conversation '{conversation_id}' was not found.", param="after"
            )
        return {**key, "owner": {"S": self._owner}, "updated_at": updated_at}

    def query(self, start: Row | None, count: int) -> tuple[list[Row], Row | None]:
        """Return the next index entries and the next start key.

        The number of entries is at most *count*, or `BATCH_GET_MAX` with a filter on metadata.
        """
        request: QueryInputTypeDef = {
            "TableName": self._table.name,
            "IndexName": rows.BY_OWNER,
            "KeyConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":owner": {"S": self._owner}},
            "ScanIndexForward": self._order == "asc",
            "Limit": BATCH_GET_MAX if self._metadata else count,
        }
        if start:
            request["ExclusiveStartKey"] = start
        response = self._table.dynamodb.query(**request)
        return response["Items"], response.get("LastEvaluatedKey")

    def matching(self, entries: Iterable[Row]) -> Iterator[Row]:
        """Yield the conversation rows of index entries that have the metadata, in order.

        An update of `updated_at` moves an entry, and a `Query` may return it at both places. Its
        row is yielded once, at the first place.
        """
        keys = {entry["pk"]["S"]: {"pk": entry["pk"], "sk": entry["sk"]} for entry in entries}
        found = {row["pk"]["S"]: row for row in batch_get(self._table, keys.values())}
        for row in filter(None, map(found.get, keys)):
            if self._metadata.items() <= rows.read_metadata(row).items():
                yield row


class ConversationPageReader:
    """Reader of pages of one owner's conversations."""

    def __init__(self, index: OwnerIndex) -> None:
        self._index = index

    def read(self, after: str | None, limit: int) -> tuple[list[Conversation], bool, str]:
        """Return up to *limit* conversations, whether there are more, and the next cursor.

        An update of `updated_at` moves an index entry, and queries may return it at both places.
        Each conversation is listed once, at the first place, and never on a page after itself.

        Raises:
            ConversationNotFoundError: the owner never had the conversation *after*.
        """
        start = None if after is None else self._index.start_after(after)
        found: dict[str, Conversation] = {}
        for scanned in itertools.count(1):
            count = limit + 1 if scanned == 1 else BATCH_GET_MAX
            entries, start = self._index.query(start, count)
            for conversation in map(rows.read_conversation, self._index.matching(entries)):
                if conversation.conversation_id != after:
                    found.setdefault(conversation.conversation_id, conversation)
            listed = [*found.values()]
            if len(listed) > limit:
                return listed[:limit], True, listed[limit - 1].conversation_id
            if start is None:
                return listed, False, listed[-1].conversation_id if listed else ""
            if scanned == MAX_QUERIES:
                return listed, True, start["pk"]["S"].partition("/")[2]
        raise AssertionError  # pragma: no cover - count does not end
