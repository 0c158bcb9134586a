"""The store and a plain list, side by side."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest
from hypothesis.stateful import RuleBasedStateMachine
from plain_list import Entry, Known, Plan, listed

from conversations import ids
from conversations.appends import Delivery
from conversations.contract.items import PLACEHOLDER_ID, parse_batch
from conversations.errors import (
    ConversationNotFoundError,
    IdempotencyKeyReusedError,
    ItemAlreadyInConversationError,
    ItemNotFoundError,
)
from conversations.payloads import PayloadBucket
from conversations.store import Store
from conversations.transactions import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from wire import Json

    from conversations.listing import Order
    from conversations.rows import StoredItem
    from local.resources import Resources

OWNER = ids.owner_of("acme", "")
SPILL_BYTES = 200


class Inline(Executor):
    """Runs at once: one thing happens after another."""

    def submit[T](self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is raised again by whoever asks
            done.set_exception(error)
        return done


class StoreAndList(RuleBasedStateMachine):
    """Conversations of one owner, in the store and beside it."""

    resources: ClassVar[Resources]
    dynamodb: ClassVar[DynamoDBClient]
    steps = 0
    outcomes: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        patch = self.exits.enter_context(pytest.MonkeyPatch.context())
        self.started = time.time_ns() // 1_000_000
        self.skew = 0
        self.ticks = itertools.count(1)
        self.tick()
        patch.setattr(time, "time_ns", lambda: self.now * 1_000_000)
        patch.setattr(time, "sleep", lambda _: None)
        name = self.resources.template.name
        self.s3, self.bucket_name = self.resources.s3, name("PayloadBucket")
        self.table = Table(self.dynamodb, name("ConversationsTable"))
        self.exits.callback(self.resources.recreate)
        executor = Inline()
        self.bucket = PayloadBucket(self.bucket_name, lambda: self.s3, executor, SPILL_BYTES)
        self.store = Store(self.table, self.bucket, executor)
        self.known: list[Known] = []
        self.creations: dict[str, tuple[str, Known]] = {}

    def tick(self) -> None:
        """No two steps at one time, whatever the skew."""
        self.now = self.started + next(self.ticks) + self.skew
        type(self).steps += 1

    def pick(self, place: int) -> Known:
        there = [known for known in self.known if known.is_live]
        return there[place % len(there)]

    def is_any_there(self) -> bool:
        return any(known.is_live for known in self.known)

    def note(self, outcome: str) -> None:
        self.outcomes[outcome] += 1

    def planned(self, known: Known | None, plan: Plan) -> list[Json]:
        """A batch of the plan: no id twice, as the contract sees to."""
        items: dict[object, Json] = {}
        for kind, place, content in plan:
            message = {"type": "message", "role": "user", "content": content}
            entries = known.entries if known else []
            match kind:
                case "own":
                    message["id"] = f"own_{place % 40}"
                case "call":
                    message = {"type": "function_call", "call_id": "c", "name": content or "f"}
                    message["arguments"] = content
                case "reference":
                    entry_id = entries[place % len(entries)].cursor if entries else "unknown"
                    message = {"type": "item_reference", "id": entry_id}
                case "placeholder":
                    message["id"] = PLACEHOLDER_ID
                case "again" if entries and place % 5 == 0:
                    message = json.loads(entries[place % len(entries)].json)
            is_claimed = kind in {"own", "again"} and message["type"] != "item_reference"
            items[message.get("id") if is_claimed else len(items)] = message
        return list(items.values())

    def send(self, known: Known, body: str, key: str | None, *, is_retry: bool) -> None:
        """Append a body, and compare with what the list says should come of it."""
        self.tick()
        items = parse_batch(body)["items"]
        delivery = Delivery.of(body.encode(), key, is_retry=is_retry)

        def append() -> list[StoredItem]:
            return self.store.append_items(OWNER, known.conversation_id, items, delivery)

        memory = known.memories.get(key or "")
        claimed = {
            str(item["id"])
            for item in cast("list[Json]", items)
            if item["type"] != "item_reference" and item.get("id") not in {None, PLACEHOLDER_ID}
        }
        if memory:
            if memory[0] == body:
                assert append() == memory[1]
                self.note("repeated by its key")
            else:
                with pytest.raises(IdempotencyKeyReusedError):
                    append()
                self.note("key refused")
        elif is_retry and key is None and known.last_body == body:
            assert append() == known.last_answer
            self.note("repeated by its body")
        elif taken := claimed & known.taken:
            with pytest.raises(ItemAlreadyInConversationError) as refused:
                append()
            assert all(f"'{item_id}'" in refused.value.message for item_id in taken)
            self.note("id refused")
        else:
            known.last_answer = append()
            self.note("appended")
            known.last_body = body
            known.updated_at = self.now
            known.take(cast("list[Json]", items), known.last_answer)
            if key is not None:
                known.memories[key] = (body, known.last_answer)

    def walk(self, known: Known, limit: int, order: Order) -> Iterator[StoredItem]:
        after, has_more = None, True
        while has_more:
            page = self.store.list_items(
                OWNER, known.conversation_id, after=after, limit=limit, order=order
            )
            yield from page.entries
            after, has_more = page.cursor, page.has_more

    def remove(self, known: Known, doomed: Sequence[Entry]) -> None:
        self.tick()
        cursors = [entry.cursor for entry in doomed]

        def delete() -> object:
            return self.store.delete_items(OWNER, known.conversation_id, cursors, param="ids[{}]")

        gone = next((place for place, entry in enumerate(doomed) if not entry.is_live), None)
        if gone is not None:
            with pytest.raises(ItemNotFoundError) as refused:
                delete()
            assert refused.value.param == f"ids[{gone}]"
            self.note("deletion refused")
        else:
            delete()
            self.note("deleted")
            known.updated_at = self.now
            for entry in doomed:
                entry.is_live = False

    def check_gone(self, known: Known) -> None:
        name = known.conversation_id
        item_id = known.entries[0].cursor if known.entries else "unknown"
        items = parse_batch(json.dumps({"items": [{"role": "user", "content": ""}]}))["items"]
        delivery = Delivery(known.last_body, is_retry=True)
        for refused in (
            lambda: self.store.get_conversation(OWNER, name),
            lambda: self.store.update_metadata(OWNER, name, {}),
            lambda: self.store.delete_conversation(OWNER, name),
            lambda: self.store.append_items(OWNER, name, items, delivery),
            lambda: self.store.list_items(OWNER, name, after=None, limit=1, order="asc"),
            lambda: self.store.list_items(OWNER, name, after=item_id, limit=1, order="desc"),
            lambda: self.store.get_item(OWNER, name, item_id),
            lambda: self.store.delete_items(OWNER, name, [item_id], param="item_id"),
        ):
            with pytest.raises(ConversationNotFoundError):
                refused()

    def rows(self) -> list[dict[str, Any]]:
        """All rows of the table, of each what is compared."""
        pages = self.table.dynamodb.get_paginator("scan").paginate(
            TableName=self.table.name,
            ProjectionExpression="pk, sk, #object, item_count",
            ExpressionAttributeNames={"#object": "object"},
        )
        return [row for page in pages for row in page["Items"]]

    def objects(self) -> list[str]:
        answer = self.s3.list_objects_v2(Bucket=self.bucket_name)
        return [entry["Key"] for entry in answer.get("Contents", [])]

    def teardown(self) -> None:
        with self.exits:
            for known in self.known:
                if known.is_live:
                    found = self.store.get_conversation(OWNER, known.conversation_id)
                    assert found.metadata == known.metadata
                    assert listed(self.walk(known, 100, "asc")) == listed(known.live())
            rows = self.rows()
            assert set(self.objects()) == {row["object"]["S"] for row in rows if "object" in row}
            counts = {row["pk"]["S"].partition("/")[2]: row for row in rows if "item_count" in row}
            for known in self.known:
                if known.is_live:
                    count = counts[known.conversation_id]["item_count"]["N"]
                    assert int(count) == len(known.live())
