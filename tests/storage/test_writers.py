"""Concurrent writers and readers of one conversation, on a thread-safe engine.

`make test` runs fewer batches a writer; WRITER_BATCHES=25 in the environment is the full size.
"""

from __future__ import annotations

import itertools
import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, cast

import boto3
import pytest
from botocore.config import Config

from conversations.errors import ConversationBusyError
from conversations.model import IdempotencyInfo
from conversations.storage.payloads import PayloadStore
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from tests.support.http_helpers import HELLO, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from conversations.contract.items import Item
    from conversations.model import Order, ReturnedItem
    from local.resources import Resources

WRITERS = 16
BATCHES = int(os.environ.get("WRITER_BATCHES", "3"))
LIMITS = (1, 7, 20, 100)
CLIENT_TRIES = 20

type Listed = list[str]


@pytest.fixture(scope="module")
def store(ministack: Resources) -> Iterator[Store]:
    dynamodb = boto3.client("dynamodb", config=Config(max_pool_connections=32))
    name = ministack.template.name
    with closing(dynamodb), ThreadPoolExecutor(4) as executor:
        bucket = PayloadStore(
            name("PayloadBucket"), lambda: ministack.s3, executor, spill_bytes=2000
        )
        yield Store(Table(dynamodb, name("ConversationsTable")), bucket)


@pytest.fixture
def conversation_id(store: Store) -> str:
    return store.create_conversation(
        OWNER, "acme", [], {}, IdempotencyInfo("create")
    ).conversation_id


class Request(NamedTuple):
    """An append that its client repeats until it knows the outcome."""

    name: str
    size: int
    idempotency_key: str | None = None

    def items(self) -> list[Item]:
        texts = [f"{self.name}.{index}" for index in range(self.size)]
        return cast("list[Item]", [{**HELLO, "content": text} for text in texts])

    def send(self, store: Store, conversation_id: str) -> tuple[Listed, int]:
        """Send the request; return the cursors of the items, and the number of retries."""
        idempotency = IdempotencyInfo(self.name, self.idempotency_key)
        for retries in range(CLIENT_TRIES):
            try:
                items = store.append_items(OWNER, conversation_id, self.items(), idempotency)
            except ConversationBusyError:
                continue
            return [item.cursor for item in items], retries
        raise AssertionError(self)


def requests_of(writer: int) -> list[Request]:
    """Return a writer's batches of 1 to 20 items; every second writer sends idempotency keys."""
    dice = random.Random(writer)  # noqa: S311 - the same each time
    names = [f"{writer}.{number}" for number in range(BATCHES)]
    return [Request(name, dice.randint(1, 20), name if writer % 2 else None) for name in names]


def pages(
    store: Store, conversation_id: str, order: Order, after: str | None = None
) -> Iterator[list[ReturnedItem]]:
    """Yield pages with each limit in turn, up to the last page."""
    for limit in itertools.cycle(LIMITS):
        page = store.list_items(OWNER, conversation_id, after=after, limit=limit, order=order)
        yield page.entries
        assert page.cursor != after, "a page that ends at its own cursor"
        after = page.cursor or after
        if not page.has_more:
            return


def whole(store: Store, conversation_id: str) -> Listed:
    """Return the cursors of all items, in the order of appends."""
    return [item.cursor for page in pages(store, conversation_id, "asc") for item in page]


def follow(store: Store, conversation_id: str, writing: list[Future[object]]) -> Listed:
    """Read page after page after the last cursor while others write."""
    seen: Listed = []
    is_last = False
    while not is_last:
        is_last = all(writer.done() for writer in writing)
        after = seen[-1] if seen else None
        for page in pages(store, conversation_id, "asc", after):
            seen += [item.cursor for item in page]
    return seen


def look_back(store: Store, conversation_id: str, writing: list[Future[object]]) -> list[Listed]:
    """Read the newest pages repeatedly while others write."""
    looks: list[Listed] = []
    while not all(writer.done() for writer in writing):
        read = itertools.islice(pages(store, conversation_id, "desc"), 3)
        looks.append([item.cursor for page in read for item in page])
    return looks


def test_what_sixteen_writers_append_is_whole_in_order_and_never_behind_a_reader(
    store: Store, conversation_id: str, record_property: Callable[[str, object], None]
) -> None:
    def write(writer: int) -> list[tuple[Listed, int]]:
        return [request.send(store, conversation_id) for request in requests_of(writer)]

    with ThreadPoolExecutor(WRITERS + 3) as threads:
        writing = [threads.submit(write, writer) for writer in range(WRITERS)]
        ends_with = cast("list[Future[object]]", writing)
        following = [threads.submit(follow, store, conversation_id, ends_with) for _ in range(2)]
        looking = threads.submit(look_back, store, conversation_id, ends_with)

    acknowledged = [response for writer in writing for response in writer.result()]
    batches = [batch for batch, _ in acknowledged]
    final = whole(store, conversation_id)
    record_property("batches", len(batches))
    record_property("retries", sum(retries for _, retries in acknowledged))
    assert len(batches) == WRITERS * BATCHES
    assert sorted(final) == sorted(cursor for batch in batches for cursor in batch)
    assert all(is_part(batch, final) for batch in batches)
    assert all(
        are_in_order([response[0] for response in writer.result()], final) for writer in writing
    )
    assert [seen.result() for seen in following] == [final, final]
    ends = {batch[-1] for batch in batches}
    newest_first = final[::-1]
    looks = [look for look in looking.result() if look]
    record_property("looks at the newest pages", len(looks))
    assert all(look[0] in ends and is_part(look, newest_first) for look in looks)


def test_one_request_sent_by_many_at_once_is_appended_once(
    store: Store, conversation_id: str, record_property: Callable[[str, object], None]
) -> None:
    requests = [Request(f"same.{number}", 1 + 5 * number, f"key.{number}") for number in range(4)]

    with ThreadPoolExecutor(WRITERS) as threads:
        sent = [
            threads.submit(request.send, store, conversation_id)
            for _ in range(WRITERS // len(requests))
            for request in requests
        ]

    responses = [response.result()[0] for response in sent]
    final = whole(store, conversation_id)
    record_property("repetitions", len(responses) - len(requests))
    assert len({*map(tuple, responses)}) == len(requests)
    assert sorted(final) == sorted(
        cursor for batch in responses[: len(requests)] for cursor in batch
    )
    assert all(is_part(batch, final) for batch in responses)


def is_part(batch: Listed, all_of_it: Listed) -> bool:
    """Return whether the batch is stored whole."""
    start = all_of_it.index(batch[0])
    return all_of_it[start : start + len(batch)] == batch


def are_in_order(batches: list[Listed], all_of_it: Listed) -> bool:
    """Return whether one writer's acknowledged batches are stored in their order."""
    starts = [all_of_it.index(batch[0]) for batch in batches]
    return starts == sorted(starts)
