"""The store and a plain list as its reference model."""

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

from conversations.contract.bodies import parse_append
from conversations.contract.items import PLACEHOLDER_ID
from conversations.errors import (
    ConversationNotFoundError,
    IdempotencyKeyReusedError,
    ItemAlreadyInConversationError,
    ItemNotFoundError,
)
from conversations.model import IdempotencyInfo
from conversations.storage import payloads
from conversations.storage.append import IDEMPOTENCY_SECONDS, REPLAY_SECONDS
from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import sweep
from conversations.storage.rows import CONVERSATION_SK, partition
from conversations.storage.store import SECONDS_PER_DAY, Store
from conversations.storage.transactions import Table
from tests.support.http_helpers import OWNER
from tests.support.reference_model import Entry, Known, Plan, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from conversations.model import Conversation, Order, ReturnedItem
    from local.resources import Resources
    from tests.support.http_helpers import Json

SPILL_BYTES = 200
LARGE_BYTES = 1_500
"""Size of a batch whose lines are compressed one by one."""
HOUR_MS = 3_600_000


class Inline(Executor):
    """Executor that runs work at once, so that calls have a fixed order."""

    def submit[T](self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the future raises it again
            done.set_exception(error)
        return done


class StoreBesideModel(RuleBasedStateMachine):
    """Conversations of one owner, in the store and in the reference model."""

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
        patch.setattr(time, "time", lambda: self.now / 1_000)
        patch.setattr(payloads, "LARGE_BYTES", LARGE_BYTES)
        patch.setattr(time, "sleep", lambda _: None)
        name = self.resources.template.name
        self.s3, self.bucket_name = self.resources.s3, name("PayloadBucket")
        self.table = Table(self.dynamodb, name("ConversationsTable"))
        self.exits.callback(self.resources.recreate)
        executor = Inline()
        self.bucket = PayloadStore(self.bucket_name, lambda: self.s3, executor, SPILL_BYTES)
        self.keep_for(0)
        self.known: list[Known] = []
        self.creations: dict[str, tuple[str, Known, int]] = {}

    def keep_for(self, days: int) -> None:
        """Deploy the store with another retention."""
        self.lifetime = days * SECONDS_PER_DAY or None
        self.store = Store(self.table, self.bucket, days)

    def tick(self) -> None:
        """Advance the clock, so that steps have different times."""
        self.now = self.started + next(self.ticks) + self.skew
        type(self).steps += 1

    def pick(self, index: int) -> Known:
        there = [known for known in self.known if known.is_live]
        return there[index % len(there)]

    def is_any_there(self) -> bool:
        return any(known.is_live for known in self.known)

    def note(self, outcome: str) -> None:
        self.outcomes[outcome] += 1

    def planned(self, known: Known | None, plan: Plan) -> list[Json]:
        """Return a batch without repeated ids, as the contract requires."""
        items: dict[object, Json] = {}
        for kind, index, content in plan:
            message = {"type": "message", "role": "user", "content": content}
            entries = known.entries if known else []
            match kind:
                case "own":
                    message["id"] = f"own_{index % 40}"
                case "call":
                    message = {"type": "function_call", "call_id": "c", "name": content or "f"}
                    message["arguments"] = content
                case "reference":
                    entry_id = entries[index % len(entries)].cursor if entries else "unknown"
                    message = {"type": "item_reference", "id": entry_id}
                case "placeholder":
                    message["id"] = PLACEHOLDER_ID
                case "again" if entries and index % 5 == 0:
                    message = json.loads(entries[index % len(entries)].json)
                case "readd" if gone := [entry for entry in entries if entry.is_deleted]:
                    message = json.loads(gone[index % len(gone)].json)
            is_claimed = kind in {"own", "again", "readd"} and message["type"] != "item_reference"
            items[message.get("id") if is_claimed else len(items)] = message
        return list(items.values())

    def send(self, known: Known, body: str, key: str | None, *, is_retry: bool) -> None:
        """Append a body, and compare the result with the reference model's."""
        self.tick()
        items = parse_append(body)["items"]
        idempotency = IdempotencyInfo.of(body.encode(), key, is_retry=is_retry)

        def append() -> list[ReturnedItem]:
            return self.store.append_items(OWNER, known.conversation_id, items, idempotency)

        memory = known.replays.get(key or "")
        claimed = {
            str(item["id"])
            for item in cast("list[Json]", items)
            if item["type"] != "item_reference" and item.get("id") not in {None, PLACEHOLDER_ID}
        }
        if memory and known.is_kept(memory[2]):
            if memory[0] == body:
                assert append() == memory[1]
                self.note("repeated by its key")
            else:
                with pytest.raises(IdempotencyKeyReusedError):
                    append()
                self.note("key rejected")
        elif is_retry and key is None and known.last_body == body and self.is_recent(known):
            assert append() == known.last_response
            self.note("repeated by its body")
        elif taken := {item_id for item_id in claimed if known.find(item_id)}:
            with pytest.raises(ItemAlreadyInConversationError) as raised:
                append()
            assert all(f"'{item_id}'" in raised.value.message for item_id in taken)
            self.note("id rejected")
        else:
            known.last_response = append()
            self.note("appended")
            if is_retry and known.last_body == body:
                self.note("marked too late to be a replay")
            if claimed & {entry.cursor for entry in known.entries}:
                self.note("id of a deleted or expired item added again")
            known.last_body = body
            known.updated_at = self.now
            known.take(cast("list[Json]", items), known.last_response, self.lifetime)
            if key is not None:
                expires_at = self.now // 1000 + IDEMPOTENCY_SECONDS
                known.replays[key] = (body, known.last_response, expires_at)

    def is_recent(self, known: Known) -> bool:
        """Return whether a retry of the last append may still arrive."""
        return known.appended_at >= self.now - REPLAY_SECONDS * 1000

    def walk(self, known: Known, limit: int, order: Order) -> Iterator[ReturnedItem]:
        after, has_more, pages = None, True, 0
        while has_more:
            assert pages <= len(known.entries), "pages without an end"
            page = self.store.list_items(
                OWNER, known.conversation_id, after=after, limit=limit, order=order
            )
            yield from page.entries
            after, has_more, pages = page.cursor, page.has_more, pages + 1

    def remove(self, known: Known, cursors: Sequence[str]) -> None:
        self.tick()

        def delete() -> Conversation:
            return self.store.delete_items(OWNER, known.conversation_id, cursors, param="ids[{}]")

        doomed = [known.find(cursor) for cursor in cursors]
        if None in doomed:
            with pytest.raises(ItemNotFoundError) as raised:
                delete()
            assert raised.value.param == f"ids[{doomed.index(None)}]"
            self.note("deletion rejected")
        else:
            returned = delete()
            assert returned == self.store.get_conversation(OWNER, known.conversation_id)
            self.note("deleted")
            known.updated_at = self.now
            for entry in doomed:
                cast("Entry", entry).is_deleted = True

    def time_to_live(self) -> None:
        """Remove expired rows, as DynamoDB does, and purge by the stream's records.

        It uses the slowest of the clocks, so that no row is removed too early.
        """
        seconds = (self.now - self.skew - HOUR_MS) // 1000
        pages = self.table.dynamodb.get_paginator("scan").paginate(TableName=self.table.name)
        for row in [row for page in pages for row in page["Items"]]:
            if "expires_at" not in row or int(row["expires_at"]["N"]) > seconds:
                continue
            key = {"pk": row["pk"], "sk": row["sk"]}
            self.table.dynamodb.delete_item(TableName=self.table.name, Key=key)
            self.note(f"row expired: {row['sk']['S'][0]}")
            if "object" in row:
                self.bucket.delete([row["object"]["S"]])
            if row["sk"]["S"] == CONVERSATION_SK:
                assert sweep(self.table, self.bucket, row["pk"]["S"], lambda: True)
                for known in self.known:
                    if row["pk"]["S"] == partition(OWNER, known.conversation_id):
                        known.is_removed = True

    def check_gone(self, known: Known) -> None:
        name = known.conversation_id
        item_id = known.entries[0].cursor if known.entries else "unknown"
        items = parse_append(json.dumps({"items": [{"role": "user", "content": ""}]}))["items"]
        idempotency = IdempotencyInfo(known.last_body, is_marked_retry=True)
        for call in (
            lambda: self.store.get_conversation(OWNER, name),
            lambda: self.store.update_metadata(OWNER, name, {}),
            lambda: self.store.delete_conversation(OWNER, name),
            lambda: self.store.append_items(OWNER, name, items, idempotency),
            lambda: self.store.list_items(OWNER, name, after=None, limit=1, order="asc"),
            lambda: self.store.list_items(OWNER, name, after=item_id, limit=1, order="desc"),
            lambda: self.store.get_item(OWNER, name, item_id),
            lambda: self.store.delete_items(OWNER, name, [item_id], param="item_id"),
        ):
            with pytest.raises(ConversationNotFoundError):
                call()

    def rows(self) -> list[dict[str, Any]]:
        """Return the compared attributes of all rows of the table."""
        pages = self.table.dynamodb.get_paginator("scan").paginate(
            TableName=self.table.name,
            ProjectionExpression="pk, sk, #object",
            ExpressionAttributeNames={"#object": "object"},
        )
        return [row for page in pages for row in page["Items"]]

    def objects(self) -> list[str]:
        response = self.s3.list_objects_v2(Bucket=self.bucket_name)
        return [entry["Key"] for entry in response.get("Contents", [])]

    def teardown(self) -> None:
        with self.exits:
            for known in self.known:
                if known.is_live:
                    found = self.store.get_conversation(OWNER, known.conversation_id)
                    assert found.metadata == known.metadata
                    assert listed(self.walk(known, 100, "asc")) == listed(known.live())
            named = [row["object"]["S"] for row in self.rows() if "object" in row]
            assert sorted(self.objects()) == sorted(named)
