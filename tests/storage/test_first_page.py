"""The first page from the oldest item reads each row once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from conversations.model import IdempotencyInfo
from conversations.storage import rows
from conversations.storage.payloads import PayloadStore
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from tests.support.http_helpers import HELLO, OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from local.stack import DevStack

READS = ("Query", "BatchGetItem", "TransactGetItems")


class Conversation:
    """A conversation, and the calls that read it."""

    def __init__(self, stack: DevStack, store: Store) -> None:
        self._store = store
        self._dynamodb = stack.resources.dynamodb
        self._table_name = stack.template.name("ConversationsTable")
        made = store.create_conversation(OWNER, "acme", [], {}, IdempotencyInfo("made"))
        self._id = made.conversation_id
        self._pk = rows.partition(OWNER, self._id)
        self.calls: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.rows_read: list[str] = []

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note the calls during the block."""
        events = self._dynamodb.meta.events
        for operation in READS:
            events.register(f"provide-client-params.dynamodb.{operation}", self._note_request)
            events.register(f"after-call.dynamodb.{operation}", self._note_response)
        yield
        for operation in READS:
            events.unregister(f"provide-client-params.dynamodb.{operation}", self._note_request)
            events.unregister(f"after-call.dynamodb.{operation}", self._note_response)

    def fill(self, *sizes: int) -> None:
        for number, size in enumerate(sizes):
            self._store.append_items(
                OWNER, self._id, cast("Any", [HELLO] * size), IdempotencyInfo(str(number))
            )

    def expire(self, count: int) -> None:
        """Let the first batches expire, without their removal."""
        for sk in self._batches()[:count]:
            self._dynamodb.update_item(
                TableName=self._table_name,
                Key=cast("Any", rows.primary_key(self._pk, sk)),
                UpdateExpression="SET expires_at = :past",
                ExpressionAttributeValues={":past": {"N": "1"}},
            )

    def read(self, limit: int) -> int:
        """Read the first page; return the number of its items."""
        with self.noting():
            page = self._store.list_items(OWNER, self._id, after=None, limit=limit, order="asc")
        return len(page.entries)

    def _batches(self) -> Sequence[str]:
        found = self._dynamodb.query(
            TableName=self._table_name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :batches)",
            ExpressionAttributeValues={
                ":pk": {"S": self._pk},
                ":batches": {"S": rows.BATCH_PREFIX},
            },
        )["Items"]
        return [row["sk"]["S"] for row in found]

    def _note_request(self, params: dict[str, Any], **_: object) -> None:
        self.requests.append(params)

    def _note_response(self, model: Any, parsed: dict[str, Any], **_: object) -> None:
        self.calls.append(model.name)
        self.rows_read += [row["sk"]["S"] for row in parsed.get("Items", ())]


@pytest.fixture
def conversation(stack: DevStack) -> Iterator[Conversation]:
    with ThreadPoolExecutor(1) as executor, stack.engine.lock:
        name = stack.template.name
        bucket = PayloadStore(name("PayloadBucket"), lambda: stack.resources.s3, executor)
        table = Table(stack.resources.dynamodb, name("ConversationsTable"))
        yield Conversation(stack, Store(table, bucket))


@pytest.mark.parametrize(
    ("sizes", "limit", "calls"),
    [
        ([], 100, 1),
        ([1], 1, 1),
        ([1] * 5, 100, 1),
        ([1] * 7, 100, 2),
        ([20] * 7, 100, 1),
        ([20] * 3, 20, 1),
        ([20] * 3, 19, 1),
        ([1] * 30, 20, 2),
        ([2] * 12, 100, 2),
    ],
)
def test_each_row_is_read_once(
    sizes: Sequence[int], limit: int, calls: int, conversation: Conversation
) -> None:
    conversation.fill(*sizes)

    count = conversation.read(limit)

    assert count == min(limit, sum(sizes))
    assert conversation.calls == ["Query"] * calls
    assert len({*conversation.rows_read}) == len(conversation.rows_read)
    assert all(request["ConsistentRead"] for request in conversation.requests)


@pytest.mark.parametrize("expired", [1, 2, 6, 7])
def test_expired_batches_are_read_once(expired: int, conversation: Conversation) -> None:
    """The second query begins after the last row of the first, even if that row has expired."""
    conversation.fill(*[1] * 20)
    conversation.expire(expired)

    count = conversation.read(100)

    assert count == 20 - expired
    assert {*conversation.calls} == {"Query"} | ({"TransactGetItems"} if expired > 8 else set())
    assert len({*conversation.rows_read}) == len(conversation.rows_read)


@pytest.mark.parametrize(("size", "limit", "most"), [(20, 20, 3), (20, 19, 2), (20, 100, 7)])
def test_no_batch_is_read_in_vain(
    size: int, limit: int, most: int, conversation: Conversation
) -> None:
    """The page and the item after it fit into full batches, and the conversation row is one."""
    conversation.fill(*[size] * 8)

    conversation.read(limit)

    assert len(conversation.rows_read) == most


def test_no_query_follows_the_latest_batch(conversation: Conversation, stack: DevStack) -> None:
    """DynamoDB names the last row as the start of the next query, even if no row follows."""

    def name_last_row(parsed: dict[str, Any], **_: object) -> None:
        last = parsed["Items"][-1]
        parsed["LastEvaluatedKey"] = {"pk": last["pk"], "sk": last["sk"]}

    conversation.fill(*[1] * 6)
    events = stack.resources.dynamodb.meta.events
    events.register("after-call.dynamodb.Query", name_last_row)

    count = conversation.read(100)

    events.unregister("after-call.dynamodb.Query", name_last_row)
    assert count == 6
    assert conversation.calls == ["Query"]
