"""Store with one conversation, for fault injection."""

from __future__ import annotations

import json
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from conversations import aws_clients
from conversations.errors import ApiError
from conversations.model import IdempotencyInfo
from conversations.storage import rows
from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import purge_conversation
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from tests.support.fault_injection import FaultPlan
from tests.support.http_helpers import HELLO, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from conversations.contract.items import Item
    from conversations.model import ReturnedItem
    from local.resources import Resources
    from tests.support.http_helpers import Json

SPILL_BYTES = 2000
LARGE = "".join(f"{number:x}" for number in range(3_000))
FAILURES = (ApiError, BotoCoreError, ClientError)
"""Errors for which the handler returns an error of the contract, a 500 or a 503."""


class Inline(Executor):
    """Executor that runs work at once, so that the calls of an operation have a fixed order."""

    def submit[**P, T](
        self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except FAILURES as error:
            future.set_exception(error)
        return future


class World:
    """Store with one conversation."""

    def __init__(self, resources: Resources) -> None:
        self.dynamodb, self.s3 = aws_clients.dynamodb(), aws_clients.s3()
        name = resources.template.name
        self.table = Table(self.dynamodb, name("ConversationsTable"))
        self.bucket_name = name("PayloadBucket")
        self.bucket = PayloadStore(self.bucket_name, lambda: self.s3, Inline(), SPILL_BYTES)
        self.store = Store(self.table, self.bucket)
        self.plan = FaultPlan(self.dynamodb, self.s3)
        self.begin()

    def begin(self) -> None:
        """Replace all data by a new conversation of two items, one of them spilled."""
        keys = [{"pk": row["pk"], "sk": row["sk"]} for row in self.rows()]
        if deletions := [{"DeleteRequest": {"Key": key}} for key in keys]:
            self.dynamodb.batch_write_item(RequestItems={self.table.name: cast("Any", deletions)})
        self.bucket.delete([*self.objects()])
        made = self.store.create_conversation(
            OWNER,
            "acme",
            items(("first", "first"), ("large", LARGE)),
            {"a": "1"},
            IdempotencyInfo("begin"),
        )
        self.conversation_id = made.conversation_id
        self.pk = rows.partition(OWNER, made.conversation_id)

    def close(self) -> None:
        self.dynamodb.close()
        self.s3.close()

    def rows(self) -> list[dict[str, Any]]:
        scanned: Any = self.dynamodb.scan(TableName=self.table.name)["Items"]
        return cast("list[dict[str, Any]]", scanned)

    def objects(self) -> set[str]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket_name)
        return {entry["Key"] for entry in listed.get("Contents", [])}

    def names(self, limit: int = 3) -> list[str]:
        """Read all items page by page, with their payloads, and return their ids."""
        found: list[str] = []
        after = None
        while True:
            page = self.store.list_items(
                OWNER, self.conversation_id, after=after, limit=limit, order="asc"
            )
            found += [json.loads(item.json)["id"] for item in page.entries]
            after = page.cursor or after
            if not page.has_more:
                return found

    def append(self, idempotency: IdempotencyInfo, *names: str) -> None:
        batch = items(*((name, LARGE if name.startswith("large") else name) for name in names))
        self.store.append_items(OWNER, self.conversation_id, batch, idempotency)

    def add(self, idempotency: IdempotencyInfo, *batch: Json) -> list[ReturnedItem]:
        return self.store.append_items(
            OWNER, self.conversation_id, cast("list[Item]", list(batch)), idempotency
        )

    def delete(self, *names: str) -> None:
        self.store.delete_items(OWNER, self.conversation_id, names, param="item_ids[{}]")

    def purge(self) -> None:
        purge_conversation(self.table, self.bucket, self.pk, lambda: True)

    def check(self) -> None:
        """Check the invariants of a live conversation, which hold after any fault."""
        present, objects = self.rows(), self.objects()
        for head in present:
            if head["sk"]["S"] == "C" and "deleted_at" not in head:
                kept = [row for row in present if row["pk"] == head["pk"]]
                assert {row["object"]["S"] for row in kept if "object" in row} <= objects
                batches = {row["sk"]["S"] for row in kept if "codec" in row}
                tombstones = {row["sk"]["S"] for row in kept if row["sk"]["S"][:2] == "t#"}
                assert not batches & {f"b#{sk[2:]}" for sk in tombstones}
                last = {rows.batch_sk(key) for key in rows.recent_last_keys(head)}
                assert last <= batches | {f"b#{sk[2:]}" for sk in tombstones}


def items(*named: tuple[str, str]) -> list[Item]:
    batch = [{**HELLO, "id": name, "content": content} for name, content in named]
    return cast("list[Item]", batch)
