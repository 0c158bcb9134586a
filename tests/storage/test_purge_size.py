"""Purge of a conversation in several invocations, each started by the mark of the one before.

`make test` purges a few hundred rows on moto. PURGE_ITEMS=100000 in the environment is the full
size, on MiniStack.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from conversations import aws_clients, ids
from conversations.model import IdempotencyInfo
from conversations.storage import payloads, rows
from conversations.storage.payloads import PayloadStore
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from local.functions import LambdaContext
from local.stack import DevStack
from tests.support.http_helpers import HELLO, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.engines import EngineName

ITEMS = int(os.environ.get("PURGE_ITEMS", "300"))
STEPS = 6
"""Approximate number of invocations of the purge."""
ROWS_AT_ONCE = 25
ONE = payloads.encode(['{"type":"message"}'])


@pytest.fixture
def big_stack(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DevStack]:
    patient = aws_clients.CLIENT_CONFIG.merge(Config(read_timeout=120))
    monkeypatch.setattr(aws_clients, "CLIENT_CONFIG", patient)  # an emulator under load is slow
    data = tmp_path_factory.mktemp("engine")
    engine: EngineName = "moto" if ITEMS <= 1000 else "ministack"
    with DevStack.start(engine=engine, data=data) as stack:
        stack.reset()
        yield stack


@pytest.fixture
def store(big_stack: DevStack) -> Iterator[Store]:
    resources, template = big_stack.resources, big_stack.template
    with ThreadPoolExecutor(1) as executor:
        bucket = PayloadStore(template.name("PayloadBucket"), lambda: resources.s3, executor)
        table = Table(resources.dynamodb, template.name("ConversationsTable"))
        yield Store(table, bucket)


def fill(stack: DevStack, conversation_id: str) -> None:
    """Put items before the first item, in large requests."""
    table = stack.template.name("ConversationsTable")
    pk = rows.partition(OWNER, conversation_id)
    for start in range(0, ITEMS, ROWS_AT_ONCE):
        keys = [ids.sequence_keys((1 << 64) + start + each, 1)[0] for each in range(ROWS_AT_ONCE)]
        puts: list[Any] = [
            {"PutRequest": {"Item": rows.batch_row(pk, key, 1, ONE)}} for key in keys
        ]
        stack.resources.dynamodb.batch_write_item(RequestItems={table: puts})


def rows_left(stack: DevStack) -> list[str]:
    table = stack.template.name("ConversationsTable")
    pages = stack.resources.dynamodb.get_paginator("scan").paginate(TableName=table)
    return [row["sk"]["S"] for page in pages for row in page["Items"]]


def test_a_large_conversation_is_purged_over_several_invocations(
    big_stack: DevStack,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    checks = 0

    def remaining(_: LambdaContext) -> int:
        nonlocal checks
        checks += 1
        is_over = checks % (ITEMS // ROWS_AT_ONCE // STEPS + 1) == 0
        return 0 if is_over else 300_000

    monkeypatch.setattr(LambdaContext, "get_remaining_time_in_millis", remaining)
    with big_stack.engine.lock:
        made = store.create_conversation(OWNER, "acme", [HELLO], {}, IdempotencyInfo("create"))  # type: ignore[list-item]
        fill(big_stack, made.conversation_id)
        store.delete_conversation(OWNER, made.conversation_id)

    started = time.monotonic()
    big_stack.drain_streams()

    with big_stack.engine.lock:
        [marks] = [
            int(row["purges"]["N"])
            for row in big_stack.resources.dynamodb.scan(
                TableName=big_stack.template.name("ConversationsTable")
            )["Items"]
        ]
        assert rows_left(big_stack) == ["C"]
    record_property("items", ITEMS)
    record_property("invocations", marks + 1)
    record_property("seconds", round(time.monotonic() - started, 1))
    assert marks >= 2
