"""Conversations and their items, kept in DynamoDB and S3.

Every write is one transaction that moves the conversation's `last_key` forward: appends to one
conversation are serialised, and a batch is there whole and in its order, or not at all. Reads are
strongly consistent. `rows` draws the table.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from conversations import ids, payloads, rows
from conversations.errors import ApiError, ConversationNotFoundError, ItemNotFoundError
from conversations.rows import Conversation, Draft, StoredItem
from conversations.transactions import Append, Create, conversation_not_found

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef, WriteRequestUnionTypeDef

    from conversations.contract.items import Item
    from conversations.payloads import Payload, PayloadBucket
    from conversations.rows import Row

type Order = Literal["asc", "desc"]

MAX_PAGE_BYTES = 4_500_000
"""JSON bytes at which a page ends early: Lambda answers 6 MB at most, escaping included."""


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some items in the order asked for; `has_more` is exact."""

    items: list[StoredItem]
    has_more: bool


class Store:
    """The conversations of all owners; every method sees one owner's."""

    def __init__(
        self, dynamodb: DynamoDBClient, table: str, bucket: PayloadBucket, executor: Executor
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._bucket = bucket
        self._executor = executor

    def create_conversation(
        self,
        owner: str,
        items: Sequence[Item] = (),
        metadata: dict[str, str] | None = None,
        conversation_id: str | None = None,
    ) -> Conversation:
        """Make a conversation that begins with *items*, in one transaction.

        *conversation_id* is for the local stack's documented example: one that is there already
        stays as it is.
        """
        conversation = Conversation(
            conversation_id or ids.new_conversation_id(),
            owner,
            created_at=time.time_ns() // 1_000_000,
            metadata=metadata or {},
        )
        pk = rows.partition(owner, conversation.conversation_id)
        packed = self._pack(pk, items)
        self._commit(Create(self._dynamodb, self._table, conversation, packed), packed)
        return conversation

    def get_conversation(self, owner: str, conversation_id: str) -> Conversation:
        """The conversation itself.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
        """
        found = self._read(rows.partition(owner, conversation_id))
        return rows.read_conversation(found[rows.CONVERSATION_SK])

    def append_items(
        self, owner: str, conversation_id: str, items: Sequence[Item]
    ) -> list[StoredItem]:
        """Put a batch of valid items behind all that is there: whole and in order, or not at all.

        One round trip, whatever the conversation's length; payloads that spill to the bucket are
        written before it.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
            ItemAlreadyInConversationError: a client's id is taken.
            ConversationBusyError, OverloadedError: others, or AWS, were in the way too long.
        """
        pk = rows.partition(owner, conversation_id)
        packed = self._pack(pk, items)
        return self._commit(Append(self._dynamodb, self._table, pk, packed), packed)

    def list_items(
        self, owner: str, conversation_id: str, *, after: str | None, limit: int, order: Order
    ) -> ItemPage:
        """Up to *limit* items behind the item *after*, or from the beginning of *order*.

        A page whose JSON would pass `MAX_PAGE_BYTES` ends earlier.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
            ItemNotFoundError: the conversation never had an item *after*.
        """
        pk = rows.partition(owner, conversation_id)
        guess = ids.key_in(after) if after else None
        start = self._executor.submit(self._start_of_page, pk, after)
        found = self._query(pk, guess, limit + 1, order) if guess or after is None else []
        if (key := start.result()) != guess:
            found = self._query(pk, key, limit + 1, order)
        page = _cut(found[:limit])
        return ItemPage(self._unpack(page), has_more=len(found) > len(page))

    def get_item(self, owner: str, conversation_id: str, item_id: str) -> StoredItem:
        """One item, by the id it is shown with (an `item_reference`: by its cursor).

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
            ItemNotFoundError: the conversation has no such item.
        """
        pk = rows.partition(owner, conversation_id)
        found = self._read(pk, *rows.sks_of(item_id))
        row = rows.find_item(found, item_id)
        if row is None and (key := rows.find_pointer(found, item_id)):
            row = self._read(pk, rows.item_sk(key)).get(rows.item_sk(key))
        if row is None:
            raise _item_not_found(item_id, param="item_id")
        return self._unpack([row])[0]

    def purge_conversation(self, owner: str, conversation_id: str) -> None:
        """Remove all that a deleted conversation left, but its own row; safe to repeat.

        Nothing is appended to a deleted conversation, so one pass is enough. One that is not
        deleted stays as it is.
        """
        pk = rows.partition(owner, conversation_id)
        with contextlib.suppress(ConversationNotFoundError):
            self._read(pk)
            return
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk > :conversation",
            ExpressionAttributeValues={
                ":pk": {"S": pk},
                ":conversation": {"S": rows.CONVERSATION_SK},
            },
            ConsistentRead=True,
        )
        for page in pages:
            for left in itertools.batched(page["Items"], 25, strict=False):
                self._purge(left)

    def _purge(self, left: Sequence[Row]) -> None:
        """Remove up to 25 rows (`BatchWriteItem`'s limit), their objects first."""
        self._bucket.discard([rows.read_payload(row) for row in left if "codec" in row])
        requests: list[WriteRequestUnionTypeDef] = [
            {"DeleteRequest": {"Key": {"pk": row["pk"], "sk": row["sk"]}}} for row in left
        ]
        while requests:
            answer = self._dynamodb.batch_write_item(RequestItems={self._table: requests})
            requests = [*answer["UnprocessedItems"].get(self._table, [])]

    def _pack(self, pk: str, items: Sequence[Item]) -> list[tuple[Draft, Payload]]:
        drafts = [Draft.of(item) for item in items]
        encoded = [
            payloads.encode(draft.text, param=f"items[{place}]")
            for place, draft in enumerate(drafts)
        ]
        return list(zip(drafts, self._bucket.spill(encoded, pk), strict=True))

    def _commit(self, write: Append, packed: Sequence[tuple[Draft, Payload]]) -> list[StoredItem]:
        try:
            return write.commit()
        except ApiError:
            if not write.may_be_written:
                self._bucket.discard([payload for _, payload in packed])
            raise

    def _unpack(self, page: Sequence[Row]) -> list[StoredItem]:
        fetched = self._bucket.fetch([rows.read_payload(row) for row in page])
        return [
            rows.read_item(row, payloads.decode(payload))
            for row, payload in zip(page, fetched, strict=True)
        ]

    def _start_of_page(self, pk: str, after: str | None) -> str | None:
        """The entry key behind which a page begins; sees to it that the conversation is there."""
        if after is None:
            self._read(pk)
            return None
        found = self._read(pk, *rows.sks_of(after))
        if rows.find_item(found, after):
            return ids.key_in(after)
        if key := rows.find_pointer(found, after):
            return key
        raise _item_not_found(after, param="after")

    def _read(self, pk: str, *sks: str) -> dict[str, Row]:
        """The conversation's own row and the rows at *sks*, by sort key; missing ones left out.

        Raises:
            ConversationNotFoundError: it is missing, deleted or another owner's.
        """
        keys = [rows.primary_key(pk, sk) for sk in (rows.CONVERSATION_SK, *sks)]
        found: dict[str, Row] = {}
        while keys:
            answer = self._dynamodb.batch_get_item(
                RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}}
            )
            found |= {row["sk"]["S"]: row for row in answer["Responses"][self._table]}
            keys = answer["UnprocessedKeys"].get(self._table, {"Keys": []})["Keys"]
        if "deleted_at" in found.get(rows.CONVERSATION_SK, {"deleted_at": {}}):
            raise conversation_not_found(pk)
        return found

    def _query(self, pk: str, after: str | None, count: int, order: Order) -> list[Row]:
        """The next *count* rows of items behind an entry key, in as many reads as that takes."""
        request: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :items)",
            "ExpressionAttributeValues": {
                ":pk": {"S": pk},
                ":items": {"S": rows.ITEM_PREFIX},
            },
            "ConsistentRead": True,
            "ScanIndexForward": order == "asc",
        }
        start = rows.primary_key(pk, rows.item_sk(after)) if after else None
        found: list[Row] = []
        while True:
            request["Limit"] = count - len(found)
            if start:
                request["ExclusiveStartKey"] = start
            answer = self._dynamodb.query(**request)
            found += answer["Items"]
            start = answer.get("LastEvaluatedKey")
            if start is None or len(found) >= count:
                return found


def _cut(page: list[Row]) -> list[Row]:
    """As many rows as one answer can carry; one always fits."""
    sizes = itertools.accumulate(rows.read_payload(row).size for row in page)
    return [row for row, total in zip(page, sizes, strict=True) if total <= MAX_PAGE_BYTES]


def _item_not_found(item_id: str, *, param: str) -> ItemNotFoundError:
    return ItemNotFoundError(f"Item '{item_id}' was not found in the conversation.", param=param)
