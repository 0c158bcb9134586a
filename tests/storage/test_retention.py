"""Expired data is gone for its owner, even before DynamoDB removes it."""

from __future__ import annotations

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from conversations import ids
from conversations.errors import ApiError, ConversationNotFoundError
from conversations.model import IdempotencyInfo
from conversations.storage import pages, payloads
from conversations.storage.append import Append
from conversations.storage.payloads import PayloadStore
from conversations.storage.rows import batch_row, partition
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from functions.purge import app as purge
from local.patterns import matches
from tests.support.fault_injection import Faults
from tests.support.http_helpers import HELLO, LARGE, OWNER, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from conversations.contract.items import Item
    from conversations.model import ReturnedItem
    from local.stack import DevStack

DAY = 24 * 3600
LONG_CASES = [(1_000, limit, size) for limit in (1, 20, 100) for size in (1, 20)]
"""Expired rows, limits of pages, and items of a batch."""
MOST_QUERIES = 13
"""Limit for two pages after 1,000 expired rows, with the reads of the conversation row.

Each query reads four times as many rows as the one before.
"""
OUT_OF_TIME = cast("LambdaContext", SimpleNamespace(get_remaining_time_in_millis=lambda: 0))
CONTEXT = cast(
    "LambdaContext",
    SimpleNamespace(function_name="test", get_remaining_time_in_millis=lambda: 300_000),
)


@pytest.fixture
def store(stack: DevStack) -> Iterator[Store]:
    """Return a store with a retention of one day."""
    with ThreadPoolExecutor(1) as executor, stack.engine.lock:
        name = stack.template.name("PayloadBucket")
        bucket = PayloadStore(name, lambda: stack.resources.s3, executor)
        table = Table(stack.resources.dynamodb, stack.template.name("ConversationsTable"))
        yield Store(table, bucket, retention_days=1)


@pytest.fixture
def forever(store: Store) -> Store:
    """Return a store without retention."""
    return Store(store._table, store._payloads)  # noqa: SLF001 - the same but for its retention


@pytest.fixture
def for_a_week(store: Store) -> Store:
    return Store(store._table, store._payloads, retention_days=7)  # noqa: SLF001 - likewise


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the clock to *seconds* after the start of the test."""
    start = time.time()

    def turn(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: start + seconds)
        monkeypatch.setattr(time, "time_ns", lambda: int((start + seconds) * 10**9))

    turn(0)
    return turn


def append(store: Store, conversation_id: str, *items: Json, key: str | None = None) -> list[str]:
    idempotency = IdempotencyInfo(str(items), key)
    batch = cast("list[Item]", list(items))
    appended = store.append_items(OWNER, conversation_id, batch, idempotency)
    return [item.cursor for item in appended]


def create(store: Store, *items: Json) -> str:
    batch = cast("list[Item]", list(items))
    return store.create_conversation(
        OWNER, "acme", batch, {}, IdempotencyInfo("made")
    ).conversation_id


def listed(store: Store, conversation_id: str, **query: Any) -> list[ReturnedItem]:
    query = {"after": None, "limit": 100, "order": "asc", **query}
    return store.list_items(OWNER, conversation_id, **query).entries


def rows(stack: DevStack) -> list[Any]:
    table = stack.template.name("ConversationsTable")
    return stack.resources.dynamodb.scan(TableName=table)["Items"]


def test_every_row_says_when_it_expires(
    store: Store, stack: DevStack, later: Callable[[float], None]
) -> None:
    later(0)
    now = int(time.time())
    made = create(store, HELLO)
    append(store, made, {**HELLO, "id": "mine"}, key="k1")

    expiries = {row["sk"]["S"][:2]: int(row["expires_at"]["N"]) - now for row in rows(stack)}

    assert expiries == {"C": DAY, "b#": DAY, "p#": DAY, "k#": DAY}


def test_the_tables_time_to_live_goes_by_that_attribute(stack: DevStack) -> None:
    table = stack.template.name("ConversationsTable")

    with stack.engine.lock:
        response = stack.resources.dynamodb.describe_time_to_live(TableName=table)

    assert response["TimeToLiveDescription"] == {
        "AttributeName": "expires_at",
        "TimeToLiveStatus": "ENABLED",
    }


def test_without_retention_nothing_expires_but_what_remembers_a_key(
    stack: DevStack, forever: Store
) -> None:
    made = create(forever, {**HELLO, "id": "mine"})
    append(forever, made, HELLO, key="k1")

    assert {row["sk"]["S"][:2] for row in rows(stack) if "expires_at" in row} == {"k#"}


def test_retention_that_is_switched_off_ends_with_the_next_append(
    store: Store, forever: Store, later: Callable[[float], None]
) -> None:
    made = create(store, HELLO)
    later(DAY / 2)
    kept = append(forever, made, HELLO)

    later(1000 * DAY)

    assert [item.cursor for item in listed(forever, made)] == kept


def test_retention_that_is_switched_off_changes_nothing_before_an_append(
    store: Store, forever: Store, later: Callable[[float], None]
) -> None:
    made = create(store, HELLO)
    forever.update_metadata(OWNER, made, {"topic": "weather"})

    later(DAY + 10)

    with pytest.raises(ConversationNotFoundError):
        forever.get_conversation(OWNER, made)


def test_retention_that_is_changed_holds_from_the_next_append(
    store: Store, for_a_week: Store, later: Callable[[float], None]
) -> None:
    made = create(store, HELLO)
    later(DAY / 2)
    kept = append(for_a_week, made, HELLO)
    later(2 * DAY)
    longer = [item.cursor for item in listed(for_a_week, made)]
    append(store, made, HELLO)

    later(3 * DAY + 10)

    assert longer == kept
    with pytest.raises(ConversationNotFoundError):
        listed(store, made)


def test_with_retention_switched_on_an_expiry_leaves_nothing_of_what_was_there_before(
    store: Store, forever: Store, stack: DevStack, later: Callable[[float], None]
) -> None:
    """Rows that were written before have no expiry of their own."""
    made = create(forever, LARGE, {**HELLO, "id": "mine"})
    append(forever, made, HELLO, key="k1")
    append(store, made, HELLO)
    assert {row["sk"]["S"][:2] for row in rows(stack) if "expires_at" not in row} == {"b#", "p#"}
    later(DAY + 10)
    [conversation] = [row for row in rows(stack) if row["sk"]["S"] == "C"]
    delete_row(stack, conversation)
    record = removal(conversation, **BY_TIME)
    assert is_delivered(stack, record)

    responses = [purge.lambda_handler({"Records": [record]}, CONTEXT) for _ in range(2)]

    assert responses == [{"batchItemFailures": []}] * 2
    assert rows(stack) == []
    assert objects(stack) == []


def test_a_sweep_that_runs_out_of_time_is_handed_over_to_a_purge(
    store: Store, stack: DevStack
) -> None:
    create(store, LARGE, HELLO)
    [conversation] = [row for row in rows(stack) if row["sk"]["S"] == "C"]
    delete_row(stack, conversation)

    purge.lambda_handler({"Records": [removal(conversation, **BY_TIME)]}, OUT_OF_TIME)

    [mark] = [row for row in rows(stack) if row["sk"]["S"] == "C"]
    record = marking("INSERT", mark)
    assert len(objects(stack)) == 1
    assert is_delivered(stack, record)
    purge.lambda_handler({"Records": [record]}, CONTEXT)
    assert rows(stack) == [mark]
    assert objects(stack) == []
    assert int(mark["expires_at"]["N"]) > time.time()


def test_an_expired_pointer_rejects_no_id(store: Store, later: Callable[[float], None]) -> None:
    """DynamoDB may remove the row days later."""
    made = create(store, {**HELLO, "id": "mine"})
    [generated] = append(store, made, HELLO)
    later(DAY / 2)
    append(store, made, HELLO)
    later(DAY + 10)

    batch = [{**HELLO, "id": item_id, "content": "again"} for item_id in ("mine", generated)]
    append(store, made, *batch)

    assert [item.cursor for item in listed(store, made)][1:] == ["mine", generated]
    assert json.loads(store.get_item(OWNER, made, generated).json)["content"] == "again"


@pytest.mark.parametrize(
    "case",
    [(250, 1, 1), *(pytest.param(case, marks=pytest.mark.prove) for case in LONG_CASES)],
)
def test_a_page_over_many_expired_rows_takes_few_queries(
    case: tuple[int, int, int],
    store: Store,
    stack: DevStack,
    record_property: Callable[[str, object], None],
) -> None:
    expired, limit, size = case
    made = create(store, HELLO)
    put_expired_batches(stack, made, expired)
    young: list[str] = []
    while len(young) < 21:
        young += append(store, made, *[{**HELLO, "content": str(len(young))}] * size)
    queries = Faults(stack.resources.dynamodb, "Query")

    page = listed(store, made, limit=limit)

    first = listed(store, made)[0].cursor
    assert [item.cursor for item in page] == [first, *young][:limit]
    record_property("queries", len(queries.calls))
    assert len(queries.calls) <= MOST_QUERIES


def test_the_limit_of_a_query_is_one_that_dynamodb_accepts(
    store: Store, stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit grows with each query that returns expired rows only, and is a 32-bit integer."""
    monkeypatch.setattr(pages, "MAX_ROWS", 50)
    made = create(store, HELLO)
    put_expired_batches(stack, made, 500)
    [young] = append(store, made, HELLO)
    queries = Faults(stack.resources.dynamodb, "Query")

    page = listed(store, made, limit=2)

    assert page[-1].cursor == young
    assert [call["Limit"] for call in queries.calls][-3:] == [50, 50, 50]


def test_an_item_is_shown_until_its_time_is_up(
    store: Store, stack: DevStack, later: Callable[[float], None]
) -> None:
    made = create(store)
    append(store, made, HELLO, {**HELLO, "id": "old"})
    later(DAY / 2)
    young = append(store, made, {**HELLO, "id": "young"})

    later(DAY - 10)
    before = [item.cursor for item in listed(store, made)]
    later(DAY + 10)
    after = [item.cursor for item in listed(store, made)]

    assert (before[1:], after) == (["old", "young"], young)
    assert [item.cursor for item in listed(store, made, order="desc", limit=1)] == young
    assert sum(row["sk"]["S"].startswith("b#") for row in rows(stack)) == 2


def test_an_expired_item_is_neither_read_nor_deleted(
    store: Store, later: Callable[[float], None]
) -> None:
    made = create(store)
    generated, own = append(store, made, HELLO, {**HELLO, "id": "old"})
    later(DAY / 2)
    append(store, made, HELLO)
    later(DAY + 10)

    for item_id in (generated, own):
        with pytest.raises(ApiError, match="was not found"):
            store.get_item(OWNER, made, item_id)
        with pytest.raises(ApiError, match="was not found"):
            store.delete_items(OWNER, made, [item_id], param="item_id")


@pytest.mark.parametrize("limit", [1, 2, 5])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_are_full_and_exact_among_expired_items(
    order: str, limit: int, store: Store, later: Callable[[float], None]
) -> None:
    made = create(store)
    append(store, made, *[HELLO] * 6)
    later(DAY / 2)
    young = append(store, made, *[HELLO] * 5)
    later(DAY + 10)

    seen: list[str] = []
    after, has_more = None, True
    while has_more:
        page = store.list_items(OWNER, made, after=after, limit=limit, order=cast("Any", order))
        seen += [item.cursor for item in page.entries]
        after, has_more = page.cursor, page.has_more
        assert has_more == (len(seen) < 5)

    assert seen == (young if order == "asc" else young[::-1])


def test_an_expired_conversation_is_gone_on_every_path(
    store: Store, stack: DevStack, later: Callable[[float], None]
) -> None:
    made = create(store, {**HELLO, "id": "old"})
    later(DAY + 10)

    for call in (
        lambda: store.get_conversation(OWNER, made),
        lambda: store.update_metadata(OWNER, made, {"k": "v"}),
        lambda: append(store, made, HELLO),
        lambda: listed(store, made),
        lambda: store.get_item(OWNER, made, "old"),
        lambda: store.delete_items(OWNER, made, ["old"], param="item_id"),
        lambda: store.delete_conversation(OWNER, made),
    ):
        with pytest.raises(ConversationNotFoundError):
            call()
    assert len(rows(stack)) == 3


def test_an_expired_conversation_is_left_out_of_the_list(
    store: Store, later: Callable[[float], None]
) -> None:
    create(store)
    later(DAY / 2)
    young = create(store)
    later(DAY + 10)

    page = store.list_conversations(OWNER, after=None, limit=1, order="asc", metadata={})

    assert [entry.conversation_id for entry in page.entries] == [young]
    assert page.has_more is False


@pytest.mark.parametrize("limit", [1, 20])
def test_a_list_passes_over_hundreds_of_expired_conversations(
    limit: int, store: Store, later: Callable[[float], None]
) -> None:
    for _ in range(210):
        create(store)
    later(DAY + 10)
    young = create(store)

    page = store.list_conversations(OWNER, after=None, limit=limit, order="asc", metadata={})

    assert [entry.conversation_id for entry in page.entries] == [young]
    assert page.has_more is False


def test_a_list_reads_few_entries_behind_an_expired_one(
    store: Store, stack: DevStack, later: Callable[[float], None]
) -> None:
    create(store)
    later(DAY + 10)
    for _ in range(30):
        create(store)
    queries = Faults(stack.resources.dynamodb, "Query")

    store.list_conversations(OWNER, after=None, limit=1, order="asc", metadata={})

    assert [call["Limit"] for call in queries.calls] == [2, 8]


def test_an_append_prolongs_its_conversation(store: Store, later: Callable[[float], None]) -> None:
    made = create(store)
    for days in (0.9, 1.8, 2.7):
        later(days * DAY)
        append(store, made, HELLO)

    assert len(listed(store, made)) == 2


def test_a_tombstone_expires_with_its_item(
    store: Store, stack: DevStack, later: Callable[[float], None]
) -> None:
    later(0)
    made = create(store, HELLO)
    [item] = listed(store, made)
    store.delete_items(OWNER, made, [item.cursor], param="item_id")

    [tombstone] = [row for row in rows(stack) if row["sk"]["S"].startswith("t#")]
    assert int(tombstone["expires_at"]["N"]) == int(time.time()) + DAY


def objects(stack: DevStack) -> list[str]:
    bucket = stack.template.name("PayloadBucket")
    listed = stack.resources.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [entry["Key"] for entry in listed]


def delete_row(stack: DevStack, row: Any) -> None:
    stack.resources.dynamodb.delete_item(
        TableName=stack.template.name("ConversationsTable"),
        Key={"pk": row["pk"], "sk": row["sk"]},
    )


def put_expired_batches(stack: DevStack, conversation_id: str, count: int) -> None:
    """Put batches of one item behind the first batch, as if appended and expired since."""
    pk = partition(OWNER, conversation_id)
    [first] = [row["sk"]["S"] for row in rows(stack) if row["sk"]["S"].startswith("b#")]
    after = ids.batch_number_after(first.removeprefix("b#"))
    expired: Any = {"expires_at": {"N": "1"}}
    puts: list[Any] = []
    for index in range(count):
        [key] = ids.sequence_keys(after + index, 1)
        row = batch_row(pk, key, 1, payloads.encode(['{"type":"message"}'])) | expired
        puts.append({"PutRequest": {"Item": row}})
    table = stack.template.name("ConversationsTable")
    for part in itertools.batched(puts, 25, strict=False):
        stack.resources.dynamodb.batch_write_item(RequestItems={table: list(part)})


def marking(name: str, row: Any) -> Json:
    """Return the stream's record of a conversation row that was marked as deleted."""
    change = {"Keys": {"pk": row["pk"], "sk": row["sk"]}, "NewImage": row, "SequenceNumber": "1"}
    return {"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change}


def removal(row: Any, **who: Json) -> Json:
    """Return the stream's record of a row that DynamoDB removed."""
    change = {"Keys": {"pk": row["pk"], "sk": row["sk"]}, "OldImage": row, "SequenceNumber": "1"}
    return {"eventName": "REMOVE", "eventSource": "aws:dynamodb", "dynamodb": change, **who}


BY_TIME = {"userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}


def is_delivered(stack: DevStack, record: Json) -> bool:
    """Return whether a record passes the template's filters for the purge."""
    [subscription] = stack.template.functions["PurgeFunction"].subscriptions
    return any(matches(json.loads(pattern), record) for pattern in subscription.filters)


def test_the_object_of_a_batch_that_expired_is_removed(store: Store, stack: DevStack) -> None:
    made = create(store, LARGE, HELLO)
    append(store, made, {**LARGE, "id": "other"})
    first, _ = [row for row in rows(stack) if "object" in row]
    record = removal(first, **BY_TIME)
    assert is_delivered(stack, record)

    responses = [purge.lambda_handler({"Records": [record]}, CONTEXT) for _ in range(2)]

    assert responses == [{"batchItemFailures": []}] * 2
    [left] = objects(stack)
    assert left != first["object"]["S"]
    assert made in left


def test_only_conversations_and_batches_with_an_object_that_expired_are_brought_to_the_purge(
    store: Store, stack: DevStack
) -> None:
    made = create(store, LARGE, {**HELLO, "id": "mine"})
    append(store, made, HELLO, key="k1")
    by_us = [is_delivered(stack, removal(row)) for row in rows(stack)]
    by_time = [row for row in rows(stack) if is_delivered(stack, removal(row, **BY_TIME))]

    assert by_us == [False] * 5
    assert {(row["sk"]["S"][0], "object" in row) for row in by_time} == {("C", False), ("b", True)}


def test_what_came_after_the_purge_goes_with_the_deleted_conversations_row(
    store: Store, stack: DevStack
) -> None:
    made, kept = create(store, HELLO), create(store, HELLO)
    store.delete_conversation(OWNER, made)
    [head] = [row for row in rows(stack) if "deleted_at" in row]
    late = {"pk": head["pk"], "sk": {"S": "p#late"}, "key": {"S": "0"}}
    table = stack.template.name("ConversationsTable")
    stack.resources.dynamodb.put_item(TableName=table, Item=late)
    stack.resources.dynamodb.delete_item(TableName=table, Key={"pk": head["pk"], "sk": head["sk"]})
    record = removal(head, **BY_TIME)
    assert is_delivered(stack, record)

    purge.lambda_handler({"Records": [record]}, CONTEXT)

    assert {row["pk"]["S"] for row in rows(stack)} == {f"{OWNER}/{kept}"}


def test_an_expired_conversation_of_a_newer_release_is_not_purged(
    store: Store, stack: DevStack
) -> None:
    create(store, LARGE, {**HELLO, "id": "mine"})
    [head] = [row for row in rows(stack) if row["sk"]["S"] == "C"]
    record = removal({**head, "v": {"N": "2"}}, **BY_TIME)
    before = rows(stack)

    response = purge.lambda_handler({"Records": [record]}, CONTEXT)

    assert response == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert rows(stack) == before
    assert len(objects(stack)) == 1


@pytest.mark.parametrize("sk", ["C", "i"])
def test_a_conversation_that_is_imported_again_outlives_its_expired_row(
    sk: str, store: Store, stack: DevStack
) -> None:
    """The record of the expired row arrives while an import writes the conversation, or later."""
    create(store, LARGE, {**HELLO, "id": "mine"})
    [head] = [row for row in rows(stack) if row["sk"]["S"] == "C"]
    table = stack.template.name("ConversationsTable")
    stack.resources.dynamodb.delete_item(TableName=table, Key={"pk": head["pk"], "sk": head["sk"]})
    stack.resources.dynamodb.put_item(TableName=table, Item={**head, "sk": {"S": sk}})
    before = rows(stack)

    purge.lambda_handler({"Records": [removal(head, **BY_TIME)]}, CONTEXT)

    assert rows(stack) == before
    assert len(objects(stack)) == 1


def test_a_proof_finds_an_append_that_keeps_the_expiry(
    store: Store,
    forever: Store,
    later: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Random steps of the state machine miss this flaw in one of four runs."""
    set_attributes = Append._set_attributes  # noqa: SLF001

    def keep_expiry(change: Append, more: str, condition: str, values: Any) -> Any:
        more = more.removesuffix(" REMOVE expires_at")
        return set_attributes(change, more, condition, values)

    monkeypatch.setattr(Append, "_set_attributes", keep_expiry)

    with pytest.raises(ConversationNotFoundError):
        test_retention_that_is_switched_off_ends_with_the_next_append(store, forever, later)
