"""The store on moto, under what AWS, clocks and other writers may do to it."""

from __future__ import annotations

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from faults import CANCELED, Faults, lost_answer, refusal
from wire import HELLO, Json

from conversations import ids
from conversations.errors import (
    ApiError,
    ConversationBusyError,
    ConversationNotFoundError,
    ItemAlreadyInConversationError,
    ItemNotFoundError,
    OverloadedError,
)
from conversations.storage import backoff, rows
from conversations.storage.append import IdempotencyInfo
from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import purge_conversation
from conversations.storage.store import Store
from conversations.storage.transactions import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conversations.contract.items import Item
    from conversations.storage.items import StoredItem
    from local.stack import LocalStack

type Meanwhile = Callable[..., None]

OWNER = ids.owner_of("acme", "")
BODIES = itertools.count()
ONCE = IdempotencyInfo(body="once")
LARGE = {**HELLO, "content": "".join(f"{number:x}" for number in range(30_000))}


@pytest.fixture
def store(stack: LocalStack) -> Iterator[Store]:
    with ThreadPoolExecutor(1) as executor, stack.engine.turn:
        bucket = PayloadStore(
            stack.template.name("PayloadBucket"), lambda: stack.resources.s3, executor
        )
        table = Table(stack.resources.dynamodb, stack.template.name("ConversationsTable"))
        yield Store(table, bucket)


@pytest.fixture
def conversation_id(store: Store) -> str:
    return store.create_conversation(OWNER, "acme", [], {}, ONCE).conversation_id


@pytest.fixture
def writes(stack: LocalStack) -> Faults:
    """The transactions that follow."""
    return Faults(stack.resources.dynamodb, "TransactWriteItems")


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time for a second try."""
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)


def batch(*items: Json) -> list[Item]:
    return cast("list[Item]", list(items))


def append(
    store: Store, conversation_id: str, *items: Json, delivery: IdempotencyInfo | None = None
) -> list[StoredItem]:
    """Append as a request of its own, unless it is told which."""
    delivery = delivery or IdempotencyInfo(body=str(next(BODIES)))
    return store.append_items(OWNER, conversation_id, batch(*items), delivery)


def texts(store: Store, conversation_id: str) -> list[str]:
    page = store.list_items(OWNER, conversation_id, after=None, limit=100, order="asc")
    return [item.json for item in page.entries]


def objects(stack: LocalStack) -> list[Any]:
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
    assert kinds == ["Update", "Put", "Put", "Put"]


@pytest.mark.parametrize(
    "fault",
    [
        refusal(CANCELED, "TransactionConflict", "None"),
        refusal(CANCELED, "None", "ThrottlingError"),
        refusal(CANCELED, "ProvisionedThroughputExceeded", "None"),
        refusal("ThrottlingException"),
        refusal("TransactionInProgressException"),
        refusal("InternalServerError"),
        lost_answer(),
    ],
    ids=str,
)
def test_a_passing_fault_is_sent_again_with_the_same_keys_and_token(
    fault: Any, store: Store, conversation_id: str, writes: Faults
) -> None:
    writes.before(fault)

    items = append(store, conversation_id, HELLO)

    refused, done = writes.calls
    assert refused == done
    assert texts(store, conversation_id) == [item.json for item in items]


def test_an_append_whose_answer_is_lost_is_not_written_twice(
    store: Store, conversation_id: str, writes: Faults
) -> None:
    writes.after(lost_answer())

    items = append(store, conversation_id, {**HELLO, "id": "mine"})

    assert len(writes.calls) == 2
    assert texts(store, conversation_id) == [item.json for item in items]


def test_a_lost_answer_is_told_from_another_writers_append(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one writes between our try and our second, so that `last_key` is no longer ours."""
    writes.after(lost_answer())
    others = iter([True])

    def another_writer(_: float) -> None:
        if next(others, False):
            append(store, conversation_id, {**HELLO, "content": "other"})

    monkeypatch.setattr(time, "sleep", another_writer)
    items = append(store, conversation_id, {**HELLO, "id": "mine"})

    kept = texts(store, conversation_id)
    assert len(kept) == 2
    assert items[0].json == kept[0]


def test_a_lost_create_is_not_made_twice(store: Store, stack: LocalStack, writes: Faults) -> None:
    writes.after(lost_answer())

    made = store.create_conversation(OWNER, "acme", batch(HELLO), {}, ONCE)

    table = stack.template.name("ConversationsTable")
    assert len(texts(store, made.conversation_id)) == 1
    assert stack.resources.dynamodb.scan(TableName=table)["Count"] == 2


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refusal(CANCELED, "TransactionConflict", "None"), ConversationBusyError),
        (refusal(CANCELED, "None", "ThrottlingError"), OverloadedError),
        (lost_answer(), OverloadedError),
    ],
    ids=["conflict", "throttled", "lost"],
)
def test_a_spent_budget_is_told_to_the_client(
    fault: Any, error: type[ApiError], store: Store, conversation_id: str, writes: Faults
) -> None:
    writes.before(fault)

    with pytest.raises(error):
        append(store, conversation_id, HELLO)

    assert texts(store, conversation_id) == []


def test_objects_of_a_refused_batch_are_removed(
    store: Store, stack: LocalStack, conversation_id: str
) -> None:
    append(store, conversation_id, {**LARGE, "id": "taken"})

    with pytest.raises(ItemAlreadyInConversationError):
        append(store, conversation_id, LARGE, {**HELLO, "id": "taken"})
    with pytest.raises(ConversationNotFoundError):
        append(store, "conv_none", LARGE)

    assert len(objects(stack)) == 1


@pytest.mark.usefixtures("_hurried")
def test_an_answer_that_is_lost_at_the_end_is_looked_up(
    store: Store, conversation_id: str, writes: Faults
) -> None:
    writes.after(lost_answer())

    items = append(store, conversation_id, {**HELLO, "id": "mine"}, HELLO)

    assert texts(store, conversation_id) == [item.json for item in items]


def test_nobody_is_told_that_nothing_was_written_after_a_lost_answer(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try's answer is lost, and the second and last meets a conflict."""
    moments = itertools.chain([0.0, 0.0], itertools.repeat(backoff.RETRY_SECONDS))
    monkeypatch.setattr(backoff, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    writes.before(lost_answer(), refusal(CANCELED, "TransactionConflict", "None"))

    with pytest.raises(OverloadedError):
        append(store, conversation_id, HELLO)


@pytest.mark.usefixtures("_hurried")
def test_objects_of_a_batch_that_may_be_written_stay(
    store: Store, stack: LocalStack, conversation_id: str, writes: Faults
) -> None:
    writes.after(lost_answer())
    Faults(stack.resources.dynamodb, "TransactGetItems").before(lost_answer())

    with pytest.raises(OverloadedError):
        append(store, conversation_id, LARGE)

    assert len(objects(stack)) == 1
    assert len(texts(store, conversation_id)) == 1


@pytest.fixture
def meanwhile(stack: LocalStack) -> Meanwhile:
    """Does something, once, between the rows and the objects of what is read."""

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
    before: str, store: Store, stack: LocalStack, conversation_id: str, meanwhile: Meanwhile
) -> None:
    append(store, conversation_id, {**HELLO, "id": "first"}, LARGE)
    name = stack.template.name
    table = Table(stack.resources.dynamodb, name("ConversationsTable"))

    def end() -> None:
        store.delete_conversation(OWNER, conversation_id)
        with ThreadPoolExecutor(1) as executor:
            bucket = PayloadStore(name("PayloadBucket"), lambda: stack.resources.s3, executor)
            pk = rows.partition(OWNER, conversation_id)
            assert purge_conversation(table, bucket, pk, lambda: True)

    meanwhile(end, before)
    with pytest.raises(ConversationNotFoundError):
        store.list_items(OWNER, conversation_id, after="first", limit=2, order="asc")


def test_an_object_that_is_lost_is_no_deletion(
    store: Store, stack: LocalStack, conversation_id: str
) -> None:
    append(store, conversation_id, LARGE)
    [kept] = objects(stack)
    stack.resources.s3.delete_object(Bucket=stack.template.name("PayloadBucket"), Key=kept["Key"])

    with pytest.raises(ClientError, match="NoSuchKey"):
        store.list_items(OWNER, conversation_id, after=None, limit=2, order="asc")


def test_a_conversation_that_never_was_is_not_found_after_a_lost_try_either(
    store: Store, writes: Faults
) -> None:
    writes.before(lost_answer())

    with pytest.raises(ConversationNotFoundError):
        store.delete_conversation(OWNER, "conv_never")


def test_a_conversation_whose_deletion_told_nothing_is_deleted(
    store: Store, conversation_id: str, writes: Faults
) -> None:
    writes.after(lost_answer())

    store.delete_conversation(OWNER, conversation_id)

    with pytest.raises(ConversationNotFoundError):
        store.get_conversation(OWNER, conversation_id)


def test_an_id_that_is_named_often_is_one(store: Store, conversation_id: str) -> None:
    append(store, conversation_id, {**HELLO, "id": "a"}, {**HELLO, "id": "b"})
    store.delete_items(OWNER, conversation_id, ["a"], param="item_id")

    with pytest.raises(ItemNotFoundError):
        store.delete_items(OWNER, conversation_id, ["a"] * 49 + ["b"], param="item_ids[{}]")

    assert len(texts(store, conversation_id)) == 1


def test_a_large_deletion_that_stopped_half_way_can_be_finished(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = [{**HELLO, "id": f"n{place}"} for place in range(60)]
    for part in itertools.batched(named, 20, strict=True):
        append(store, conversation_id, *part)
    doomed = [item["id"] for item in named[:55]]
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)

    writes.before(None, refusal("ThrottlingException"))
    with pytest.raises(OverloadedError):
        store.delete_items(OWNER, conversation_id, doomed, param="item_ids[{}]")
    store.delete_items(OWNER, conversation_id, doomed, param="item_ids[{}]")

    assert len(texts(store, conversation_id)) == 5
    with pytest.raises(ItemNotFoundError):
        store.delete_items(OWNER, conversation_id, doomed, param="item_ids[{}]")


def test_a_deletion_that_never_came_is_not_taken_for_done(
    store: Store, conversation_id: str, writes: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first try is lost on the way, and another one deletes one of its items meanwhile."""
    append(store, conversation_id, {**HELLO, "id": "a"}, {**HELLO, "id": "b"})
    writes.before(lost_answer())
    others = iter([True])

    def another_deletion(_: float) -> None:
        if next(others, False):
            store.delete_items(OWNER, conversation_id, ["b"], param="item_id")

    monkeypatch.setattr(time, "sleep", another_deletion)
    with pytest.raises(ItemNotFoundError) as refused:
        store.delete_items(OWNER, conversation_id, ["a", "b"], param="item_ids[{}]")

    assert refused.value.param == "item_ids[1]"
    assert [json.loads(text)["id"] for text in texts(store, conversation_id)] == ["a"]


def test_a_deletion_whose_answer_is_lost_is_done(
    store: Store, conversation_id: str, writes: Faults
) -> None:
    """moto forgets tokens, so that the second try finds nothing to delete."""
    append(store, conversation_id, {**HELLO, "id": "a"}, {**HELLO, "id": "b"})
    writes.after(lost_answer())

    store.delete_items(OWNER, conversation_id, ["a", "b"], param="item_ids[{}]")

    assert texts(store, conversation_id) == []


def test_the_objects_of_a_deletion_that_stopped_half_way_go_with_its_rows(
    store: Store, stack: LocalStack, conversation_id: str, writes: Faults
) -> None:
    named = [{**HELLO, "id": f"n{place}"} for place in range(60)]
    append(store, conversation_id, {**LARGE, "id": "large"})
    for part in itertools.batched(named, 20, strict=True):
        append(store, conversation_id, *part)
    doomed = ["large", *(item["id"] for item in named)]

    writes.before(None, refusal("ValidationException"))
    with pytest.raises(ClientError):
        store.delete_items(OWNER, conversation_id, doomed, param="item_ids[{}]")

    assert objects(stack) == []
