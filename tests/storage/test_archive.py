"""Archived conversations that are put back while others write, and while AWS fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from conversations import ids
from conversations.errors import OverloadedError
from conversations.storage import archive, backoff, restore, rows
from tests.support.fault_injection import Faults, lost_response
from tests.support.http_helpers import NOISE
from tests.support.stored import World, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.stack import DevStack

OWNER = ids.owner_of("acme", "")


@pytest.fixture
def world(stack: DevStack) -> Iterator[World]:
    with ThreadPoolExecutor(1) as executor, stack.engine.lock:
        yield World(stack.resources, executor)


def taken(world: World, name: str) -> tuple[archive.ArchivedConversation, list[archive.Part]]:
    archived, row = archive.read_archived(world.table, rows.partition(OWNER, name))
    return archived, [*archive.read_parts(world.table, world.payloads, row)]


def replaced(world: World, old: Any) -> None:
    """Have a conversation as it was."""
    world.resources.recreate()
    assert restore.restore(world.table, world.payloads, *old)


def merged(world: World, new: Any) -> int:
    return restore.merge(world.table, world.payloads, *new)


def before(world: World, operation: str, act: Callable[[], object]) -> None:
    """Act once before the next but one call of an operation."""
    acts = iter([lambda: None, act])

    def once(**_: object) -> None:
        next(acts, lambda: None)()

    world.resources.dynamodb.meta.events.register(f"before-call.dynamodb.{operation}", once)


def test_an_append_while_a_batch_is_added_keeps_its_place(world: World) -> None:
    name = world.create([said("one")])
    old = taken(world, name)
    world.append(name, said("two", id="two"))
    new = taken(world, name)
    replaced(world, old)
    before(world, "TransactWriteItems", lambda: world.append(name, said("mine", id="mine")))

    assert merged(world, new) == 1

    assert [cursor for cursor, _ in world.listed(name)][1:] == ["two", "mine"]
    world.append(name, said("last", id="last"))
    assert [cursor for cursor, _ in world.listed(name)][-1] == "last"


def test_a_batch_may_bring_back_the_id_of_a_deleted_item(world: World) -> None:
    name = world.create([said("one")])
    old = taken(world, name)
    world.append(name, said("two", id="two"))
    new = taken(world, name)
    replaced(world, old)
    world.append(name, said("other", id="two"))
    world.delete(name, "two")

    assert merged(world, new) == 1
    assert "two" in [cursor for cursor, _ in world.listed(name)]


def test_a_batch_whose_response_is_lost_counts_as_added(world: World) -> None:
    name = world.create([said("one")])
    old = taken(world, name)
    world.append(name, said(NOISE))
    new = taken(world, name)
    replaced(world, old)
    Faults(world.resources.dynamodb, "TransactWriteItems").after(None, lost_response())

    assert merged(world, new) == 1
    named = [row["object"]["S"] for row in world.rows() if "object" in row]
    assert world.objects() == named


def test_rows_that_dynamodb_does_not_take_are_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)
    name = world.create([said("one")])
    old = taken(world, name)
    world.resources.recreate()

    def refuse(parsed: Any, **_: object) -> None:
        parsed["UnprocessedItems"] = {world.table.name: [{"PutRequest": {"Item": {}}}]}

    events = world.resources.dynamodb.meta.events
    events.register("after-call.dynamodb.BatchWriteItem", refuse)
    with pytest.raises(OverloadedError, match="1 rows could not be written"):
        restore.restore(world.table, world.payloads, *old)
    events.unregister("after-call.dynamodb.BatchWriteItem", refuse)
    assert "c" not in [row["sk"]["S"] for row in world.rows()]
