"""The store on moto, with failures of AWS, wrong clocks and concurrent writers."""

from __future__ import annotations

import functools
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from conversations import ids
from conversations.contract.items import MAX_BATCH_ITEMS
from conversations.errors import (
    ApiError,
    ConversationBusyError,
    ConversationNotFoundError,
    ItemAlreadyInConversationError,
    ItemNotFoundError,
    OverloadedError,
)
from conversations.model import IdempotencyInfo
from conversations.storage import backoff, delete, payloads, rows
from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import purge_conversation
from conversations.storage.store import Store
from conversations.storage.transactions import MAX_ACTIONS, Table
from local.intrinsics import mapping, read_document, section
from local.template import TEMPLATE
from tests.support.fault_injection import CANCELED, Faults, error_response, lost_response
from tests.support.http_helpers import HELLO, LARGE, OWNER, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conversations.contract.items import Item
    from conversations.model import Order, ReturnedItem
    from conversations.storage.rows import Row
    from local.stack import DevStack

type Meanwhile = Callable[..., None]

BODIES = itertools.count()
CONVERSATION_ROW_BYTES = 40 * 1024
"""Upper limit: 16 pairs of metadata have up to 64 and 512 characters of up to 4 bytes."""
ONCE = IdempotencyInfo(body_hash="once")


@pytest.fixture
def store(stack: DevStack) -> Iterator[Store]:
    with ThreadPoolExecutor(1) as executor, stack.engine.lock:
        bucket = PayloadStore(
            stack.template.name("PayloadBucket"), lambda: stack.resources.s3, executor
        )
        table = Table(stack.resources.dynamodb, stack.template.name("ConversationsTable"))
        yield Store(table, bucket)


@pytest.fixture
def conversation_id(store: Store) -> str:
    return store.create_conversation(OWNER, "acme", [], {}, ONCE).conversation_id


@pytest.fixture
def writes(stack: DevStack) -> Faults:
    """Return the recorder of transactions, which can also inject faults."""
    return Faults(stack.resources.dynamodb, "TransactWriteItems")


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow no time for a second attempt."""
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)


def batch(*items: Json) -> list[Item]:
    return cast("list[Item]", list(items))


def append(
    store: Store, conversation_id: str, *items: Json, idempotency: IdempotencyInfo | None = None
) -> list[ReturnedItem]:
    """Append items, by default in a new request."""
    idempotency = idempotency or IdempotencyInfo(body_hash=str(next(BODIES)))
    return store.append_items(OWNER, conversation_id, batch(*items), idempotency)


def fill(store: Store, conversation_id: str, *, batches: int, size: int) -> list[str]:
    """Append batches, and return the ids of all items."""
    appended = [append(store, conversation_id, *[HELLO] * size) for _ in range(batches)]
    return [item.cursor for items in appended for item in items]


def remove(store: Store, conversation_id: str, item_id: str) -> None:
    store.delete_items(OWNER, conversation_id, [item_id], param="item_id")


def names(store: Store, conversation_id: str) -> list[str]:
    return [json.loads(text)["id"] for text in texts(store, conversation_id)]


def end(store: Store, stack: DevStack, conversation_id: str) -> None:
    """Delete a conversation and purge it."""
    name = stack.template.name
    table = Table(stack.resources.dynamodb, name("ConversationsTable"))
    store.delete_conversation(OWNER, conversation_id)
    with ThreadPoolExecutor(1) as executor:
        bucket = PayloadStore(name("PayloadBucket"), lambda: stack.resources.s3, executor)
        pk = rows.partition(OWNER, conversation_id)
        assert purge_conversation(table, bucket, pk, lambda: True)


def size_of(row: Row) -> int:
    """Return the bytes of a row as DynamoDB counts them, at most."""
    return sum(
        len(name) + (len(value["B"]) if "B" in value else len(str(value)))
        for name, value in row.items()
    )


def texts(store: Store, conversation_id: str) -> list[str]:
    page = store.list_items(OWNER, conversation_id, after=None, limit=100, order="asc")
    return [item.json for item in page.entries]


def objects(stack: DevStack) -> list[Any]:
    bucket = stack.template.name("PayloadBucket")
    return stack.resources.s3.list_objects_v2(Bucket=bucket).get("Contents", [])


@pytest.mark.parametrize("skew_seconds", [-3600, 3600])
def test_a_clock_that_is_an_hour_off_reorders_nothing(
    skew_seconds: int, store: Store, conversation_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = append(store, conversation_id, HELLO)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + skew_seconds * 10**9)
    second = append(store, conversation_id, HELLO, HELLO)
    monkeypatch.undo()
    third = append(store, conversation_id, HELLO)

    batches = [*first, *second, *third]
    assert texts(store, conversation_id) == [item.json for item in batches]


def test_an_append_is_one_call(store: Store, conversation_id: str, writes: Faults) -> None:
    append(store, conversation_id, {**HELLO, "id": "mine"}, HELLO)

    [call] = writes.calls
    kinds = [next(iter(action)) for action in call["TransactItems"]]
    assert kinds == ["Update", "Put", "Put"]


@pytest.mark.parametrize(
    "fault",
    [
        error_response(CANCELED, "TransactionConflict", "None"),
        error_response(CANCELED, "None", "ThrottlingError"),
        error_response(CANCELED, "ProvisionedThroughputExceeded", "None"),
        error_response("ThrottlingException"),
        error_response("TransactionInProgressException"),
        error_response("InternalServerError"),
        lost_response(),
    ],
    ids=str,
)
def test_a_passing_fault_is_sent_again_with_the_same_keys_and_token(
    fault: Any, store: Store, conversation_id: str, writes: Faults
) -> None:
    writes.before(fault)

    items = append(store, conversation_id, HELLO)

    failed, done = writes.calls
    assert failed == done
    assert texts(store, conversation_id) == [item.json for item in items]


def test_an_append_whose_response_is_lost_is_not_written_twice(
    store: Store, conversation_id: str, writes: Faults
) -> None:
    writes.after(lost_response())

    items = append(store, conversation_id, {**HELLO, "id": "mine"})

    assert len(writes.calls) == 2
    assert texts(store, conversation_id) == [item.json for item in items]


def test_one_token_always_comes_with_the_same_actions(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB rejects a repeated token with other actions."""
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0.5)
    items: list[Json] = [{**HELLO, "id": name} for name in ("gone", "live")]
    append(store, conversation_id, *items)
    store.delete_items(OWNER, conversation_id, ["gone"], param="item_ids[{}]")
    writes.calls.clear()
    writes.before(lost_response())

    with pytest.raises(OverloadedError):
        append(store, conversation_id, *items)

    assert len(writes.calls) > 1
    assert len({call["ClientRequestToken"] for call in writes.calls}) == 1
    assert all(call["TransactItems"] == writes.calls[0]["TransactItems"] for call in writes.calls)


def test_a_lost_response_is_distinguished_from_another_writers_append(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer commits between our two attempts, so that `last_key` is no longer ours."""
    writes.after(lost_response())
    others = iter([True])

    def another_writer(_: float) -> None:
        if next(others, False):
            append(store, conversation_id, {**HELLO, "content": "other"})

    monkeypatch.setattr(time, "sleep", another_writer)
    items = append(store, conversation_id, {**HELLO, "id": "mine"})

    kept = texts(store, conversation_id)
    assert len(kept) == 2
    assert items[0].json == kept[0]


def test_a_lost_create_is_not_made_twice(store: Store, stack: DevStack, writes: Faults) -> None:
    writes.after(lost_response())

    made = store.create_conversation(OWNER, "acme", batch(HELLO), {}, ONCE)

    table = stack.template.name("ConversationsTable")
    assert len(texts(store, made.conversation_id)) == 1
    assert stack.resources.dynamodb.scan(TableName=table)["Count"] == 2


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (error_response(CANCELED, "TransactionConflict", "None"), ConversationBusyError),
        (error_response(CANCELED, "None", "ThrottlingError"), OverloadedError),
        (lost_response(), OverloadedError),
    ],
    ids=["conflict", "throttled", "lost"],
)
def test_a_spent_budget_is_an_error_for_the_client(
    fault: Any, error: type[ApiError], store: Store, conversation_id: str, writes: Faults
) -> None:
    writes.before(fault)

    with pytest.raises(error):
        append(store, conversation_id, HELLO)

    assert texts(store, conversation_id) == []


def test_objects_of_a_rejected_batch_are_removed(
    store: Store, stack: DevStack, conversation_id: str
) -> None:
    append(store, conversation_id, {**LARGE, "id": "taken"})

    with pytest.raises(ItemAlreadyInConversationError):
        append(store, conversation_id, LARGE, {**HELLO, "id": "taken"})
    with pytest.raises(ConversationNotFoundError):
        append(store, "conv_none", LARGE)

    assert len(objects(stack)) == 1


@pytest.mark.usefixtures("_hurried")
def test_a_response_that_is_lost_at_the_end_is_looked_up(
    store: Store, conversation_id: str, writes: Faults
) -> None:
    writes.after(lost_response())

    items = append(store, conversation_id, {**HELLO, "id": "mine"}, HELLO)

    assert texts(store, conversation_id) == [item.json for item in items]


def test_no_error_denies_a_write_whose_response_was_lost(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt's response is lost; the second and last attempt fails with a conflict."""
    at_moments(monkeypatch, 0.0, 0.0)
    writes.before(lost_response(), error_response(CANCELED, "TransactionConflict", "None"))

    with pytest.raises(OverloadedError):
        append(store, conversation_id, HELLO)


def test_an_attempt_that_takes_all_the_time_is_the_last(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_moments(monkeypatch, 0.0)
    writes.before(lost_response())

    with pytest.raises(OverloadedError):
        append(store, conversation_id, HELLO)

    assert len(writes.calls) == 1


def at_moments(monkeypatch: pytest.MonkeyPatch, *moments: float) -> None:
    """Set the next readings of the clock; the time of all attempts is over after them."""
    readings = itertools.chain(moments, itertools.repeat(backoff.RETRY_SECONDS))
    clock = SimpleNamespace(monotonic=lambda: next(readings), sleep=lambda _: None)
    monkeypatch.setattr(backoff, "time", clock)


def test_an_append_whose_response_was_lost_is_found_behind_many_others(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = iter(range(len(rows.RECENT_BATCHES) + 1))
    monkeypatch.setattr(
        time, "sleep", lambda _: [append(store, conversation_id, HELLO) for _ in others]
    )
    writes.after(lost_response())

    [item] = append(store, conversation_id, {**HELLO, "content": "lost"})

    page = store.list_items(OWNER, conversation_id, after=None, limit=100, order="asc")
    assert [entry.cursor for entry in page.entries if "lost" in entry.json] == [item.cursor]
    assert len(page.entries) == len(rows.RECENT_BATCHES) + 2


@pytest.mark.usefixtures("_hurried")
def test_objects_of_a_batch_that_may_be_written_stay(
    store: Store, stack: DevStack, conversation_id: str, writes: Faults
) -> None:
    writes.after(lost_response())
    Faults(stack.resources.dynamodb, "TransactGetItems").before(lost_response())

    with pytest.raises(OverloadedError):
        append(store, conversation_id, LARGE)

    assert len(objects(stack)) == 1
    assert len(texts(store, conversation_id)) == 1


@pytest.fixture
def meanwhile(stack: DevStack) -> Meanwhile:
    """Call a function once, between the reads of rows and objects."""

    def happens(work: Callable[[], object], before: str = "GetObject") -> None:
        client = stack.resources.s3 if before == "GetObject" else stack.resources.dynamodb
        works = iter([work])
        service = client.meta.service_model.service_id.hyphenize()
        events = client.meta.events

        def do(**_: object) -> None:
            for each in works:
                each()

        events.register_first(f"before-call.{service}.{before}", do)

    return happens


def test_an_item_that_is_deleted_while_it_is_read_is_left_out(
    store: Store, conversation_id: str, meanwhile: Meanwhile
) -> None:
    append(store, conversation_id, {**LARGE, "id": "a"}, {**HELLO, "id": "b"})
    meanwhile(lambda: store.delete_items(OWNER, conversation_id, ["a"], param="item_id"))

    page = store.list_items(OWNER, conversation_id, after=None, limit=2, order="asc")

    assert ([item.cursor for item in page.entries], page.has_more) == (["b"], False)


def test_an_item_that_is_deleted_while_it_is_got_is_not_found(
    store: Store, conversation_id: str, meanwhile: Meanwhile
) -> None:
    append(store, conversation_id, {**LARGE, "id": "a"})
    meanwhile(lambda: store.delete_items(OWNER, conversation_id, ["a"], param="item_id"))

    with pytest.raises(ItemNotFoundError):
        store.get_item(OWNER, conversation_id, "a")


@pytest.mark.parametrize("before", ["GetObject", "Query"])
def test_a_conversation_that_is_purged_while_it_is_read_is_not_found(
    before: str, store: Store, stack: DevStack, conversation_id: str, meanwhile: Meanwhile
) -> None:
    append(store, conversation_id, {**HELLO, "id": "first"}, LARGE)

    meanwhile(lambda: end(store, stack, conversation_id), before)
    with pytest.raises(ConversationNotFoundError):
        store.list_items(OWNER, conversation_id, after="first", limit=2, order="asc")


@pytest.mark.parametrize("batches", [7, 20])
def test_a_conversation_that_is_purged_between_two_queries_is_not_found(
    batches: int, store: Store, stack: DevStack, conversation_id: str, meanwhile: Meanwhile
) -> None:
    fill(store, conversation_id, batches=batches, size=1)

    def purge_before_the_next() -> None:
        meanwhile(lambda: end(store, stack, conversation_id), "Query")

    meanwhile(purge_before_the_next, "Query")
    with pytest.raises(ConversationNotFoundError):
        texts(store, conversation_id)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_conversation_that_is_purged_behind_a_generated_id_is_not_found(
    order: Order, store: Store, stack: DevStack, conversation_id: str, meanwhile: Meanwhile
) -> None:
    sent = fill(store, conversation_id, batches=3, size=3)

    meanwhile(lambda: end(store, stack, conversation_id), "Query")
    with pytest.raises(ConversationNotFoundError):
        store.list_items(OWNER, conversation_id, after=sent[4], limit=9, order=order)


def test_a_page_is_read_again_for_as_long_as_its_objects_are_replaced(
    store: Store, conversation_id: str, meanwhile: Meanwhile
) -> None:
    names = [f"i{number}" for number in range(6)]
    append(store, conversation_id, *[{**LARGE, "id": name} for name in names])

    def delete_one() -> None:
        store.delete_items(OWNER, conversation_id, [names.pop()], param="item_id")
        if len(names) > 1:
            meanwhile(delete_one)

    meanwhile(delete_one)
    assert [json.loads(text)["id"] for text in texts(store, conversation_id)] == ["i0"]


def test_a_page_whose_objects_are_replaced_for_too_long_is_busy(
    store: Store, conversation_id: str, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(store, conversation_id, *[{**LARGE, "id": name} for name in "ab"])
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)
    meanwhile(lambda: store.delete_items(OWNER, conversation_id, ["a"], param="item_id"))

    with pytest.raises(ConversationBusyError):
        texts(store, conversation_id)


def test_an_object_that_is_lost_is_no_deletion(
    store: Store, stack: DevStack, conversation_id: str
) -> None:
    append(store, conversation_id, LARGE)
    [kept] = objects(stack)
    stack.resources.s3.delete_object(Bucket=stack.template.name("PayloadBucket"), Key=kept["Key"])

    with pytest.raises(ClientError, match="NoSuchKey"):
        store.list_items(OWNER, conversation_id, after=None, limit=2, order="asc")


def test_a_conversation_that_never_was_is_not_found_after_a_lost_try_either(
    store: Store, writes: Faults
) -> None:
    writes.before(lost_response())

    with pytest.raises(ConversationNotFoundError):
        store.delete_conversation(OWNER, "conv_never")


def test_a_conversation_whose_deletion_got_no_response_is_deleted(
    store: Store, conversation_id: str, writes: Faults
) -> None:
    writes.after(lost_response())

    store.delete_conversation(OWNER, conversation_id)

    with pytest.raises(ConversationNotFoundError):
        store.get_conversation(OWNER, conversation_id)


def test_an_id_that_is_named_often_is_one(store: Store, conversation_id: str) -> None:
    append(store, conversation_id, {**HELLO, "id": "a"}, {**HELLO, "id": "b"})
    store.delete_items(OWNER, conversation_id, ["a"], param="item_id")

    with pytest.raises(ItemNotFoundError):
        store.delete_items(OWNER, conversation_id, ["a"] * 49 + ["b"], param="item_ids[{}]")

    assert len(texts(store, conversation_id)) == 1


@pytest.mark.parametrize("size", [1, 20])
def test_what_fits_100_actions_is_deleted_by_one_transaction(
    size: int, store: Store, conversation_id: str, writes: Faults
) -> None:
    """A batch that keeps some of its items takes one action; one that keeps none takes two."""
    cursors = fill(store, conversation_id, batches=49 if size == 1 else 6, size=size)
    doomed = cursors if size == 1 else [name for name in cursors if name not in cursors[::6]]
    sent = len(writes.calls)

    store.delete_items(OWNER, conversation_id, doomed[:100], param="item_ids[{}]")

    assert len(writes.calls) == sent + 1
    assert len(texts(store, conversation_id)) == len(cursors) - len(doomed[:100])


def test_a_large_deletion_that_stopped_half_way_can_be_finished(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delete, "MAX_ACTIONS", 20)  # instead of 100: nine batches, not 49
    doomed = fill(store, conversation_id, batches=12, size=1)
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)

    writes.before(None, error_response("ThrottlingException"))
    with pytest.raises(OverloadedError):
        store.delete_items(OWNER, conversation_id, doomed, param="item_ids[{}]")
    left = len(texts(store, conversation_id))
    with pytest.raises(ItemNotFoundError):  # another request
        store.delete_items(OWNER, conversation_id, doomed[::-1], param="item_ids[{}]")
    between = len(texts(store, conversation_id))
    store.delete_items(OWNER, conversation_id, doomed, param="item_ids[{}]")

    assert (left, between) == (3, 3)
    assert texts(store, conversation_id) == []
    with pytest.raises(ItemNotFoundError):
        store.delete_items(OWNER, conversation_id, doomed, param="item_ids[{}]")


def test_two_deleters_of_one_batch_both_delete(
    store: Store, conversation_id: str, meanwhile: Meanwhile
) -> None:
    append(store, conversation_id, *({**HELLO, "id": name} for name in "abcd"))
    meanwhile(lambda: remove(store, conversation_id, "b"), "TransactWriteItems")

    remove(store, conversation_id, "c")

    assert names(store, conversation_id) == ["a", "d"]


def test_two_deleters_of_the_last_items_of_a_batch_leave_a_tombstone(
    store: Store, conversation_id: str, meanwhile: Meanwhile
) -> None:
    first, second = fill(store, conversation_id, batches=1, size=2)
    append(store, conversation_id, {**HELLO, "id": "behind"})
    meanwhile(lambda: remove(store, conversation_id, first), "TransactWriteItems")

    remove(store, conversation_id, second)

    page = store.list_items(OWNER, conversation_id, after=first, limit=9, order="asc")
    assert [item.cursor for item in page.entries] == ["behind"]


@pytest.mark.usefixtures("_hurried")
def test_a_deleter_that_loses_its_last_race_is_told_so(
    store: Store, conversation_id: str, writes: Faults
) -> None:
    append(store, conversation_id, {**HELLO, "id": "a"}, HELLO)
    sent = len(writes.calls)
    writes.before(error_response(CANCELED, "None", "ConditionalCheckFailed"))

    with pytest.raises(ConversationBusyError):
        remove(store, conversation_id, "a")

    assert len(writes.calls) == sent + 1


def test_only_one_of_two_deleters_of_one_item_succeeds(
    store: Store, conversation_id: str, meanwhile: Meanwhile
) -> None:
    append(store, conversation_id, {**HELLO, "id": "a"}, {**HELLO, "id": "b"})
    meanwhile(lambda: remove(store, conversation_id, "a"), "TransactWriteItems")

    with pytest.raises(ItemNotFoundError):
        remove(store, conversation_id, "a")

    assert names(store, conversation_id) == ["b"]


def test_an_append_beside_a_deletion_stands(
    store: Store, conversation_id: str, meanwhile: Meanwhile
) -> None:
    append(store, conversation_id, {**HELLO, "id": "a"}, {**HELLO, "id": "b"})
    other = {**HELLO, "id": "other"}
    meanwhile(lambda: append(store, conversation_id, other), "TransactWriteItems")

    remove(store, conversation_id, "a")

    assert names(store, conversation_id) == ["b", "other"]


def test_ids_of_deleted_items_come_back_after_one_look(
    store: Store, stack: DevStack, conversation_id: str
) -> None:
    """A call for each could take longer than the function may."""
    again = [{**HELLO, "id": f"own{place}"} for place in range(20)]
    for item in again:
        append(store, conversation_id, item)
    store.delete_items(OWNER, conversation_id, [item["id"] for item in again], param="item_ids[{}]")
    reads = Faults(stack.resources.dynamodb, "TransactGetItems")

    append(store, conversation_id, *again)

    assert len(reads.calls) == 1
    assert names(store, conversation_id) == [item["id"] for item in again]


def test_two_writers_that_bring_an_id_back_do_not_both_have_it(
    store: Store, conversation_id: str, meanwhile: Meanwhile
) -> None:
    [generated] = append(store, conversation_id, HELLO)
    append(store, conversation_id, {**HELLO, "id": "mine"})
    for item_id in (generated.cursor, "mine"):
        remove(store, conversation_id, item_id)
        again = {**HELLO, "id": item_id}
        meanwhile(functools.partial(append, store, conversation_id, again), "TransactWriteItems")

        with pytest.raises(ItemAlreadyInConversationError):
            append(store, conversation_id, again)

    assert names(store, conversation_id) == [generated.cursor, "mine"]


@pytest.mark.parametrize("before", ["BatchGetItem", "TransactWriteItems"])
def test_a_deletion_beside_the_purge_leaves_nothing(
    before: str, store: Store, stack: DevStack, conversation_id: str, meanwhile: Meanwhile
) -> None:
    append(store, conversation_id, {**LARGE, "id": "a"}, {**LARGE, "id": "b"})
    meanwhile(lambda: end(store, stack, conversation_id), before)

    with pytest.raises(ConversationNotFoundError):
        remove(store, conversation_id, "a")

    assert objects(stack) == []


@pytest.mark.parametrize(("seconds", "is_replay"), [(39, True), (41, False)])
def test_a_marked_retry_is_a_replay_only_while_a_lost_response_may_be_in_play(
    seconds: int,
    store: Store,
    conversation_id: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_replay: bool,
) -> None:
    """Otherwise a new turn with the same text could be lost."""
    marked = IdempotencyInfo("yes", is_marked_retry=True)
    [first] = append(store, conversation_id, HELLO, idempotency=IdempotencyInfo("yes"))
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + seconds * 10**9)

    [second] = append(store, conversation_id, HELLO, idempotency=marked)

    assert (second == first) == is_replay
    assert len(texts(store, conversation_id)) == (1 if is_replay else 2)


def test_a_deletion_that_never_came_is_not_taken_for_done(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first attempt never arrives, and another request deletes one of its items meanwhile."""
    append(store, conversation_id, {**HELLO, "id": "a"}, {**HELLO, "id": "b"})
    writes.before(lost_response())
    others = iter([True])

    def another_deletion(_: float) -> None:
        if next(others, False):
            store.delete_items(OWNER, conversation_id, ["b"], param="item_id")

    monkeypatch.setattr(time, "sleep", another_deletion)
    with pytest.raises(ItemNotFoundError) as raised:
        store.delete_items(OWNER, conversation_id, ["a", "b"], param="item_ids[{}]")

    assert raised.value.param == "item_ids[1]"
    assert [json.loads(text)["id"] for text in texts(store, conversation_id)] == ["a"]


def test_a_deletion_whose_response_is_lost_is_done(
    store: Store, conversation_id: str, writes: Faults
) -> None:
    """moto ignores tokens, so the second attempt finds nothing to delete."""
    append(store, conversation_id, {**HELLO, "id": "a"}, {**HELLO, "id": "b"})
    writes.after(lost_response())

    store.delete_items(OWNER, conversation_id, ["a", "b"], param="item_ids[{}]")

    assert texts(store, conversation_id) == []


def test_the_objects_of_a_deletion_that_stopped_half_way_go_with_its_rows(
    store: Store,
    stack: DevStack,
    conversation_id: str,
    writes: Faults,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delete, "MAX_ACTIONS", 20)  # instead of 100
    append(store, conversation_id, {**LARGE, "id": "large"})
    doomed = ["large", *fill(store, conversation_id, batches=12, size=1)]

    writes.before(None, error_response("ValidationException"))
    with pytest.raises(ClientError):
        store.delete_items(OWNER, conversation_id, doomed, param="item_ids[{}]")

    assert objects(stack) == []


def test_the_largest_batches_in_rows_fit_one_transaction_and_one_row() -> None:
    """DynamoDB's limits are 4 MB a transaction and 400 KB a row; a deletion rewrites 99 batches."""
    parameters = section(read_document(TEMPLATE), "Parameters")
    largest = int(str(mapping(parameters["SpillBytes"])["MaxValue"]))
    key = ids.sequence_keys(ids.new_batch_number(2**47), 1)[0]
    payload = payloads.Payload("zlib", payloads.MAX_RESPONSE_PAYLOAD_BYTES, bytes(largest))
    pk = rows.partition(OWNER, ids.new_conversation_id())
    row = rows.batch_row(pk, key, MAX_BATCH_ITEMS, payload) | rows.expiry(2**47 // 1000 + 86_400)
    rewritten = rows.rewritten(row, payload, range(MAX_BATCH_ITEMS))

    assert size_of(rewritten) < 400 * 1024
    assert (MAX_ACTIONS - 1) * size_of(rewritten) + CONVERSATION_ROW_BYTES < 4 * 1024 * 1024
