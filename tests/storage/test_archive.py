"""Merges of archived conversations while others write, and while AWS fails."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from conversations import ids
from conversations.aws_clients import MAY_HAVE_TAKEN_EFFECT
from conversations.errors import ConversationNotFoundError, OverloadedError
from conversations.model import IdempotencyInfo
from conversations.storage import archive, backoff, purge, restore, restore_claim, rows
from conversations.storage.purge import purge_conversation, sweep
from conversations.storage.reads import get_conversation_row
from tests.support.fault_injection import Faults, error_response, lost_response
from tests.support.http_helpers import NOISE
from tests.support.stored import World, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table
    from local.resources import Resources

OWNER = ids.owner_of("acme", "")


@pytest.fixture
def world(ministack: Resources) -> Iterator[World]:
    ministack.recreate()
    with ThreadPoolExecutor(1) as executor:
        yield World(ministack, executor)


def taken(world: World, name: str) -> tuple[archive.ArchivedConversation, list[archive.Part]]:
    archived, row = archive.read_archived(world.table, rows.partition(OWNER, name))
    return archived, [*archive.read_parts(world.table, world.payloads, row)]


def replaced(world: World, old: Any) -> None:
    """Delete all data, and restore an archived conversation."""
    world.resources.recreate()
    assert restore.restore(world.table, world.payloads, *old)


def merged(world: World, new: Any) -> int:
    """Merge, and return the number of batches that were added."""
    return len([*restore.merge(world.table, world.payloads, *new)])


def behind(
    monkeypatch: pytest.MonkeyPatch, holder: Any, name: str, act: Callable[[], None]
) -> None:
    """Call a function after each call of a method; for a generator, after its last value."""
    method = getattr(holder, name)

    def call(*given: Any) -> Any:
        found = method(*given)
        found = found and [*found]
        act()
        return found

    monkeypatch.setattr(holder, name, call)


def before(world: World, operation: str, act: Callable[[], object]) -> None:
    """Call a function once, before the second of the next two calls of an operation."""
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


def test_a_marked_retry_does_not_take_a_later_batch_that_was_added_for_its_own(
    world: World,
) -> None:
    def send(*, is_retry: bool) -> list[str]:
        item = cast("Any", {"type": "message", **said("mine")})
        idempotency = IdempotencyInfo("body", is_marked_retry=is_retry)
        return [each.cursor for each in world.store.append_items(OWNER, name, [item], idempotency)]

    name = world.create([said("one")])
    first = send(is_retry=False)
    archived, [one, _] = taken(world, name)
    [key, _] = ids.sequence_keys(ids.batch_number_after(archived.recent_keys[0]), 2)
    later = archive.ArchivedBatch(key, 2, range(2), 2 * cast("Any", one).lines)
    assert merged(world, (archived, [later])) == 1

    added = [json.loads(item)["id"] for item in later.items()]
    again = send(is_retry=True)

    assert [cursor for cursor, _ in world.listed(name)][1:] == [*first, *added, *again]


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
    Faults(world.resources.dynamodb, "TransactWriteItems").before(
        None, error_response("ThrottlingException")
    )

    with pytest.raises(OverloadedError, match="over capacity"):
        restore.restore(world.table, world.payloads, *old)
    assert rows.CONVERSATION_SK not in [row["sk"]["S"] for row in world.rows()]


@pytest.mark.parametrize("call", range(4))
def test_a_restore_whose_responses_are_lost_is_whole(world: World, call: int) -> None:
    name = world.create([said("one", id="one")], [said(NOISE)])
    old = taken(world, name)
    items = world.listed(name)
    world.resources.recreate()
    restore_claim.RestoreClaim(world.table, old[0].pk).put(
        [rows.pointer_row(old[0].pk, "x", "0" * 26)]
    )
    Faults(world.resources.dynamodb, "TransactWriteItems").after(*[None] * call, lost_response())

    assert restore.restore(world.table, world.payloads, *old)

    assert world.listed(name) == items
    assert {row["sk"]["S"] for row in world.rows()}.isdisjoint({"i", "p#x"})


@pytest.mark.parametrize("point", ["claim", "list", "query", "put", "commit"])
def test_two_restores_at_once_take_nothing_from_what_clients_see(
    point: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.create([said("one", id="one")], [said(NOISE)])
    archived, parts = taken(world, name)
    items = world.listed(name)
    world.resources.recreate()
    world.resources.s3.put_object(Bucket=world.bucket, Key=f"{archived.pk}/left", Body=b"")
    added: list[str] = []

    def restore_beside() -> None:
        if not added:
            added.append("")
            assert restore.restore(world.table, world.payloads, archived, parts)
            added[:] = world.append(name, said(NOISE, id="new"))

    def parts_beside() -> Iterator[archive.Part]:
        yield parts[0]
        run("put")
        yield from parts[1:]
        run("commit")

    def run(here: str) -> None:
        if here == point:
            restore_beside()

    behind(monkeypatch, restore_claim.RestoreClaim, "__init__", lambda: run("claim"))
    behind(monkeypatch, world.payloads, "list_folder", lambda: run("list"))
    behind(monkeypatch, restore_claim.RestoreClaim, "check", lambda: run("query"))
    with pytest.raises(restore_claim.ClaimLostError):
        restore.restore(world.table, world.payloads, archived, parts_beside())

    assert [cursor for cursor, _ in world.listed(name)] == [*(c for c, _ in items), *added]
    assert world.listed(name)[:-1] == items
    named = {row["object"]["S"] for row in world.rows() if "object" in row}
    assert named <= {*world.objects()}
    assert not restore.restore(world.table, world.payloads, archived, parts)
    with pytest.raises(restore_claim.ClaimLostError):
        restore_claim.RestoreClaim(world.table, archived.pk)


def test_a_merge_of_a_conversation_that_is_deleted_meanwhile_leaves_no_object(
    world: World,
) -> None:
    name = world.create([said(NOISE)])
    archived, parts = taken(world, name)
    world.store.delete_conversation(OWNER, name)
    purge_conversation(world.table, world.payloads, archived.pk, lambda: True)

    with pytest.raises(ConversationNotFoundError):
        merged(world, (archived, parts))

    assert world.objects() == []


def test_a_restore_that_loses_its_claim_leaves_no_object(world: World) -> None:
    archived, parts = taken(world, world.create([said(NOISE)], [said(NOISE)]))
    world.resources.recreate()

    def parts_beside() -> Iterator[archive.Part]:
        yield parts[0]
        assert restore.restore(world.table, world.payloads, archived, parts)
        yield parts[1]

    with pytest.raises(restore_claim.ClaimLostError):
        restore.restore(world.table, world.payloads, archived, parts_beside())

    named = [row["object"]["S"] for row in world.rows() if "object" in row]
    assert sorted(named) == sorted(world.objects())


@pytest.mark.parametrize(
    "interruption",
    [KeyboardInterrupt(), ResponseParserError("a page of a proxy"), NoCredentialsError()],
    ids=lambda error: type(error).__name__,
)
def test_a_merge_that_is_interrupted_after_a_commit_keeps_the_object(
    world: World, interruption: Exception
) -> None:
    name = world.create([said("one")])
    old = taken(world, name)
    world.append(name, said(NOISE))
    new = taken(world, name)
    replaced(world, old)
    Faults(world.resources.dynamodb, "TransactWriteItems").after(None, interruption)

    with pytest.raises(type(interruption)):
        merged(world, new)

    named = [row["object"]["S"] for row in world.rows() if "object" in row]
    assert len(named) == 1
    assert world.objects() == named


def test_a_restore_whose_deletion_of_the_old_row_is_repeated_succeeds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response to the first try is lost after it took effect; botocore sends it again."""
    monkeypatch.setattr(restore, "PURGE_SECONDS", -1)
    name = world.create([said("one")])
    archived, parts = taken(world, name)
    world.store.delete_conversation(OWNER, name)
    purge_conversation(world.table, world.payloads, archived.pk, lambda: True)
    delete = world.table.dynamodb.delete_item

    def delete_twice(**request: Any) -> Any:
        delete(**request)
        return delete(**request)

    monkeypatch.setattr(world.table.dynamodb, "delete_item", delete_twice)

    assert restore.restore(world.table, world.payloads, archived, parts)


def test_a_restore_whose_first_try_committed_behind_a_failed_condition_succeeds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response to the first try is lost; the second sees the row that the first wrote."""
    archived, parts = taken(world, world.create([said("one")]))
    world.resources.recreate()
    transact = world.table.dynamodb.transact_write_items

    def transact_twice(**request: Any) -> Any:
        transact(**request)
        try:
            return transact(**request | {"ClientRequestToken": str(uuid.uuid4())})
        except ClientError as error:
            metadata = cast("Any", error.response["ResponseMetadata"])
            metadata[MAY_HAVE_TAKEN_EFFECT] = True
            raise

    def commit(claim: restore_claim.RestoreClaim, row: Any) -> None:
        monkeypatch.setattr(world.table.dynamodb, "transact_write_items", transact_twice)
        commit_once(claim, row)

    commit_once = restore_claim.RestoreClaim.commit
    monkeypatch.setattr(restore_claim.RestoreClaim, "commit", commit)

    assert restore.restore(world.table, world.payloads, archived, parts)


@pytest.mark.parametrize("is_deleted", [False, True], ids=["expired", "deleted"])
def test_a_purge_stops_when_an_import_begins(world: World, *, is_deleted: bool) -> None:
    name = world.create([said("one")], [said(NOISE)])
    old = taken(world, name)
    [archived, _] = old
    row = get_conversation_row(world.table, archived.pk)
    assert row
    key = rows.primary_key(archived.pk, rows.CONVERSATION_SK)
    world.resources.dynamodb.delete_item(TableName=world.table.name, Key=key)
    if is_deleted:
        deleted = {**row, "deleted_at": rows.number(1), "expires_at": rows.number(10**11)}
        world.resources.dynamodb.put_item(TableName=world.table.name, Item=deleted)
    begins = iter([True])

    def has_time() -> bool:
        if next(begins, False):
            assert restore.restore(world.table, world.payloads, *old)
        return True

    work = purge_conversation if is_deleted else sweep
    assert work(world.table, world.payloads, archived.pk, has_time)

    assert len(world.listed(name)) == 2


def test_a_purge_sees_an_import_that_ends_while_it_looks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is there, then the conversation row in its place."""
    name = world.create([said("one")])
    [archived, _] = taken(world, name)
    key = rows.primary_key(archived.pk, rows.CONVERSATION_SK)
    world.resources.dynamodb.delete_item(TableName=world.table.name, Key=key)
    claim = restore_claim.RestoreClaim(world.table, archived.pk)

    def finish_import(table: Table, pk: str) -> Row | None:
        claim.commit(rows.conversation_row(archived.conversation, archived.recent_keys))
        return get_conversation_row(table, pk)

    monkeypatch.setattr(purge, "get_conversation_row", finish_import)

    assert sweep(world.table, world.payloads, archived.pk, lambda: True)

    assert len(world.listed(name)) == 1


def test_a_purge_without_time_leaves_an_import_alone(world: World) -> None:
    name = world.create([said("one")])
    [archived, _] = taken(world, name)
    key = rows.primary_key(archived.pk, rows.CONVERSATION_SK)
    world.resources.dynamodb.delete_item(TableName=world.table.name, Key=key)
    restore_claim.RestoreClaim(world.table, archived.pk)
    before = world.rows()

    assert sweep(world.table, world.payloads, archived.pk, lambda: False)

    assert world.rows() == before
