"""Pages of an owner's conversations, in the order of their last change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conversations.errors import ConversationNotFoundError
from conversations.model import Page
from conversations.storage import rows
from conversations.storage.reads import BATCH_GET_MAX, batch_get, get_conversation_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from conversations.model import Conversation, Order
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table

MAX_QUERIES = 10
"""Maximum number of index queries for one page.

A page needs them all if few conversations match the filter, or if many have expired and DynamoDB
has not removed them yet.
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
        row = get_conversation_row(self._table, pk)
        if row is None or "updated_at" not in row:
            raise ConversationNotFoundError(
                f"Conversation '{conversation_id}' was not found.", param="after"
            )
        key = rows.primary_key(pk, rows.CONVERSATION_SK)
        return {**key, "owner": {"S": self._owner}, "updated_at": row["updated_at"]}

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

    def read_page(self, after: str | None, limit: int) -> Page[Conversation]:
        """Return the page of up to *limit* conversations after the conversation *after*.

        An update of `updated_at` moves an index entry, and queries may return it at both places.
        Each conversation is listed once, at the first place, and never on a page after itself.

        Raises:
            ConversationNotFoundError: the owner never had the conversation *after*.
        """
        start = None if after is None else self.start_after(after)
        found: dict[str, Conversation] = {}
        count = limit + 1
        for _ in range(MAX_QUERIES):
            entries, start = self.query(start, count)
            for conversation in map(rows.read_conversation, self.matching(entries)):
                if conversation.conversation_id != after:
                    found.setdefault(conversation.conversation_id, conversation)
            if start is None or len(found) > limit:
                break
            # Many more may have expired.
            count = min(4 * count, BATCH_GET_MAX)
        listed = [*found.values()]
        if len(listed) > limit:
            return Page(listed[:limit], has_more=True, cursor=listed[limit - 1].conversation_id)
        if start is not None:
            return Page(listed, has_more=True, cursor=start["pk"]["S"].partition("/")[2])
        return Page(listed, has_more=False, cursor=next(reversed(found), ""))
