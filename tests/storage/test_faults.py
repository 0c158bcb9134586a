"""Promises of the store under one fault at each call of each operation, and under random faults.

Each operation runs once for each of its calls and each fault of that call. Then the client sends
the same request again. `make test` takes every second fault, and gives the store time for more
attempts in every second case; `make prove` takes all faults with and without time for more.
"""

from __future__ import annotations

import json
import random
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from conversations.errors import ConversationNotFoundError, ItemNotFoundError, OverloadedError
from conversations.model import IdempotencyInfo
from conversations.storage import backoff, delete, rows
from conversations.storage.purge import purge_conversation, sweep
from tests.support.fault_environment import FAILURES, LARGE, World, items
from tests.support.fault_injection import (
    Fault,
    connection_errors,
    error_response,
    faults_of,
    lost_response,
)
from tests.support.http_helpers import HELLO, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from botocore.exceptions import BotoCoreError

    from local.resources import Resources

CLIENT_TRIES = 3


@pytest.fixture
def world(ministack: Resources, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    ministack.recreate()
    with closing(World(ministack)) as world:
        yield world


class Scenario:
    """A request, with the conditions that must hold before and after its success."""

    budgets: tuple[float, ...] = (0.0, 3.0)
    """Seconds for more attempts at a transaction."""

    @classmethod
    def budgets_of(cls, call: str, number: int, *, is_whole: bool) -> Sequence[float]:
        """Return the budgets to test a fault with: one of them in turn, or all."""
        if not call.startswith("Transact"):
            return cls.budgets[:1]
        return cls.budgets if is_whole else [cls.budgets[number // 2 % len(cls.budgets)]]

    def prepare(self, world: World) -> None:
        """Write what the request needs."""

    def send(self, world: World) -> None:
        raise NotImplementedError

    def check_failed(self, world: World) -> None:
        """Check that a failed request wrote all or nothing."""
        assert world.names() == ["first", "large"]

    def check_done(self, world: World) -> None:
        assert world.names() == ["first", "large"]


class Append(Scenario):
    """An append of four items, two of them large."""

    idempotency = IdempotencyInfo("append", key="mine")
    batch: tuple[str, ...] = ("a", "large_b", "large_c", "d")

    def send(self, world: World) -> None:
        world.append(self.idempotency, *self.batch)

    def check_failed(self, world: World) -> None:
        assert world.names() in (["first", "large"], ["first", "large", *self.batch])

    def check_done(self, world: World) -> None:
        assert world.names() == ["first", "large", *self.batch]


class MarkedAppend(Append):
    """An append without a key, by a client that marks its retries."""

    idempotency = IdempotencyInfo("append", is_marked_retry=True)


class Create(Scenario):
    def send(self, world: World) -> None:
        batch = items(("a", "a"), ("b", LARGE))
        idempotency = IdempotencyInfo("create", key="mine")
        self.made = world.store.create_conversation(OWNER, "acme", batch, {}, idempotency)

    def check_done(self, world: World) -> None:
        made = [row["pk"]["S"] for row in world.rows() if row["sk"]["S"] == "C"]
        assert sorted(made) == sorted([world.pk, rows.partition(OWNER, self.made.conversation_id)])
        page = world.store.list_items(
            OWNER, self.made.conversation_id, after=None, limit=9, order="asc"
        )
        assert [entry.cursor for entry in page.entries] == ["a", "b"]


class DeleteItems(Scenario):
    def send(self, world: World) -> None:
        try:
            world.delete("large", "first")
        except ItemNotFoundError:
            assert not world.names()  # the failed request had taken effect

    def check_failed(self, world: World) -> None:
        assert world.names() in (["first", "large"], [])

    def check_done(self, world: World) -> None:
        assert world.names() == []


class DeletePartOfBatch(Scenario):
    """A batch in an object is rewritten without one of its items."""

    def send(self, world: World) -> None:
        try:
            world.delete("first")
        except ItemNotFoundError:
            self.check_done(world)  # the failed request had taken effect

    def check_failed(self, world: World) -> None:
        assert world.names() in (["first", "large"], ["large"])

    def check_done(self, world: World) -> None:
        assert world.names() == ["large"]


class DeleteInSeveralTransactions(Scenario):
    """A deletion of several transactions, which a retry finishes after a failure."""

    batches = (("a", "large_b"), ("large_c", "d"), ("e", "f"))
    doomed = ("first", "large", "a", "large_c", "d", "f")

    def prepare(self, world: World) -> None:
        for batch in self.batches:
            world.append(IdempotencyInfo(batch[0]), *batch)

    def send(self, world: World) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(delete, "MAX_ACTIONS", 3)
            try:
                world.delete(*self.doomed)
            except ItemNotFoundError:
                self.check_done(world)  # the failed request had taken effect

    def check_failed(self, world: World) -> None:
        """Check that whole batches were deleted, in the order of the request."""
        left = world.names()
        gone = [name for name in self.doomed if name not in left]
        assert gone in [[], *([*self.doomed[:count]] for count in (2, 3, 5, 6))]
        if gone and left != ["large_b", "e"]:
            with pytest.raises(ItemNotFoundError):
                world.delete(gone[0], left[-1])
            assert world.names() == left

    def check_done(self, world: World) -> None:
        assert world.names() == ["large_b", "e"]
        [conversation] = [row for row in world.rows() if row["sk"]["S"] == "C"]
        assert conversation["deleting"] == {"S": ""}


class AddAgain(Append):
    """An append of items with the ids of deleted ones: clients' ids, and a generated one.

    It takes a second attempt even without a fault.
    """

    budgets = (3.0,)
    idempotency = IdempotencyInfo("again", is_marked_retry=True)

    def prepare(self, world: World) -> None:
        world.append(IdempotencyInfo("before"), "a", "d")
        added = world.add(IdempotencyInfo("generated"), HELLO, HELLO)
        self.generated, kept = (item.cursor for item in added)
        world.delete("a", "d", self.generated, kept)
        self.batch = ("a", self.generated, "d")

    def send(self, world: World) -> None:
        world.add(self.idempotency, *({**HELLO, "id": name} for name in self.batch))


class DeleteConversation(Scenario):
    def send(self, world: World) -> None:
        try:
            world.store.delete_conversation(OWNER, world.conversation_id)
        except ConversationNotFoundError:
            self.check_done(world)

    def check_failed(self, world: World) -> None:
        [head] = [row for row in world.rows() if row["sk"]["S"] == "C"]
        if "deleted_at" not in head:
            super().check_done(world)

    def check_done(self, world: World) -> None:
        with pytest.raises(ConversationNotFoundError):
            world.names()


class UpdateMetadata(Scenario):
    def send(self, world: World) -> None:
        world.store.update_metadata(OWNER, world.conversation_id, {"a": None, "b": "2"})

    def check_failed(self, world: World) -> None:
        kept = world.store.get_conversation(OWNER, world.conversation_id)
        assert kept.metadata in ({"a": "1"}, {"b": "2"})

    def check_done(self, world: World) -> None:
        kept = world.store.get_conversation(OWNER, world.conversation_id)
        assert kept.metadata == {"b": "2"}


class Listing(Scenario):
    def send(self, world: World) -> None:
        assert world.names(limit=1) == ["first", "large"]


class GetItem(Scenario):
    def send(self, world: World) -> None:
        item = world.store.get_item(OWNER, world.conversation_id, "large")
        assert json.loads(item.json)["content"] == LARGE


class GetMissingItem(Scenario):
    def send(self, world: World) -> None:
        with pytest.raises(ItemNotFoundError):
            world.store.get_item(OWNER, world.conversation_id, "missing")


class ListConversations(Scenario):
    def send(self, world: World) -> None:
        page = world.store.list_conversations(
            OWNER, after=world.conversation_id, limit=2, order="asc", metadata={}
        )
        assert page.entries == []


class Purge(Scenario):
    def prepare(self, world: World) -> None:
        world.store.delete_conversation(OWNER, world.conversation_id)

    def send(self, world: World) -> None:
        world.purge()

    def check_failed(self, world: World) -> None:
        """Check that the number of rows only decreases; `World.check` checks the objects."""

    def check_done(self, world: World) -> None:
        assert [row["sk"]["S"] for row in world.rows()] == ["C"]
        assert world.objects() == set()


class PurgeOutOfTime(Purge):
    """A purge that runs out of time, and marks the row; the mark's record continues it."""

    def send(self, world: World) -> None:
        assert not purge_conversation(world.table, world.bucket, world.pk, lambda: False)

    def check_done(self, world: World) -> None:
        [head] = [row for row in world.rows() if row["sk"]["S"] == "C"]
        assert head["purges"]["N"] in {"1", "2"}
        world.purge()
        super().check_done(world)


class Sweep(Purge):
    """The purge after DynamoDB removed the row of an expired conversation."""

    def prepare(self, world: World) -> None:
        key = rows.primary_key(world.pk, rows.CONVERSATION_SK)
        world.dynamodb.delete_item(TableName=world.table.name, Key=key)

    def send(self, world: World) -> None:
        assert sweep(world.table, world.bucket, world.pk, lambda: True)

    def check_done(self, world: World) -> None:
        assert world.rows() == []
        assert world.objects() == set()


class SweepOutOfTime(Sweep):
    """Such a purge that runs out of time; it puts a marked row, whose record continues it."""

    def send(self, world: World) -> None:
        assert not sweep(world.table, world.bucket, world.pk, lambda: False)

    def check_done(self, world: World) -> None:
        PurgeOutOfTime().check_done(world)


VARIATIONS: list[type[Scenario]] = [MarkedAppend, AddAgain]
"""Appends that differ from `Append` in one read; only `make prove` runs them."""
SCENARIOS: list[type[Scenario]] = [
    Append,
    Create,
    DeleteItems,
    DeletePartOfBatch,
    DeleteInSeveralTransactions,
    DeleteConversation,
    UpdateMetadata,
    Listing,
    GetItem,
    GetMissingItem,
    ListConversations,
    Purge,
    PurgeOutOfTime,
    Sweep,
    SweepOutOfTime,
]


LOST = {"two kinds": connection_errors()[:2], "all kinds": connection_errors()}
"""Errors of a lost connection: one of a call that may have arrived, and one of any other kind."""


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(LOST["two kinds"], id="two kinds"),
        pytest.param(LOST["all kinds"], id="all kinds", marks=pytest.mark.prove),
    ],
)
@pytest.mark.parametrize(
    "scenario",
    [*SCENARIOS, *(pytest.param(scenario, marks=pytest.mark.prove) for scenario in VARIATIONS)],
    ids=lambda scenario: scenario.__name__,
)
def test_a_fault_at_any_call_breaks_no_promise(
    scenario: type[Scenario],
    lost: Sequence[BotoCoreError],
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    calls = calls_of(scenario(), world)
    is_whole = lost is LOST["all kinds"]
    faults = [
        (seconds, index, fault)
        for index, call in enumerate(calls)
        for number, fault in enumerate(faults_of(call, lost), start=index)
        if is_whole or number % 2
        for seconds in scenario.budgets_of(call, number, is_whole=is_whole)
    ]
    for seconds, index, fault in faults:
        monkeypatch.setattr(backoff, "RETRY_SECONDS", seconds)
        request = scenario()
        world.begin()
        request.prepare(world)
        world.plan.inject_at({index: fault})
        has_failed = fails(request, world)
        assert world.plan.stop() == 1
        monkeypatch.setattr(backoff, "RETRY_SECONDS", 3.0)

        world.check()
        if has_failed:
            request.check_failed(world)
            request.send(world)
        request.check_done(world)
        world.check()

    record_property("faults", len(faults))
    assert faults


def calls_of(request: Scenario, world: World) -> list[str]:
    request.prepare(world)
    world.plan.inject_at({})
    request.send(world)
    calls = [*world.plan.calls]
    world.plan.stop()
    request.check_done(world)
    return calls


def fails(request: Scenario, world: World) -> bool:
    """Send the request once, with the planned faults; return whether it failed."""
    try:
        request.send(world)
    except FAILURES:
        return True
    return False


def test_a_page_of_the_index_may_hold_an_entry_in_its_old_and_its_new_place(world: World) -> None:
    second = world.store.create_conversation(
        OWNER, "acme", [], {}, IdempotencyInfo("second")
    ).conversation_id
    world.plan.see_both_places()

    page = world.store.list_conversations(OWNER, after=None, limit=9, order="asc", metadata={})

    assert [entry.conversation_id for entry in page.entries] == [world.conversation_id, second]


def test_a_batch_that_does_not_fit_the_bucket_leaves_nothing_there(world: World) -> None:
    before = world.objects()
    world.plan.inject_at({0: Fault(error_response("SlowDown"))})

    with pytest.raises(ClientError):
        world.append(IdempotencyInfo("append"), "large_a", "b")

    assert world.objects() == before


def test_a_deletion_that_does_not_fit_the_bucket_leaves_nothing_there(world: World) -> None:
    world.append(IdempotencyInfo("append"), "a", "large_b")
    before = world.objects()
    calls = ["BatchGetItem", "BatchGetItem", "GetObject", "PutObject", "GetObject", "PutObject"]
    world.plan.inject_at({5: Fault(error_response("SlowDown"))})

    with pytest.raises(ClientError):
        world.delete("first", "a")

    assert world.plan.calls == [*calls, "DeleteObjects"]
    assert world.objects() == before


def test_a_deletion_whose_only_attempt_may_have_committed_keeps_the_new_object(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.append(IdempotencyInfo("append"), "a", "large_b")
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)
    world.plan.inject_at({4: Fault(lost_response(), is_after=True)})

    with pytest.raises(OverloadedError, match="did not respond"):
        world.delete("a")

    assert world.plan.calls[3:] == ["PutObject", "TransactWriteItems"]
    world.plan.stop()
    pages = world.table.dynamodb.get_paginator("scan").paginate(TableName=world.table.name)
    named = {row["object"]["S"] for page in pages for row in page["Items"] if "object" in row}
    assert named <= {*world.objects()}


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.prove) for seed in range(1, 4))]
)
def test_no_sequence_of_faults_breaks_a_promise(
    seed: int, world: World, record_property: Callable[[str, object], None]
) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same each time
    expected = ["first", "large"]
    injected = 0

    for number in range(15):
        kept = [name for name in expected if dice.random() < 0.1][:3]
        batch = [
            f"{dice.choice(('small', 'large'))}{number}.{n}" for n in range(dice.randint(1, 4))
        ]
        idempotency = IdempotencyInfo(f"body {number}", key=f"key {number}")
        wants_deletion = bool(kept) and dice.random() < 0.4
        world.plan.inject_randomly(dice, share=0.3)
        is_acknowledged = False
        for _ in range(CLIENT_TRIES):
            try:
                if wants_deletion:
                    world.delete(*kept)
                else:
                    world.append(idempotency, *batch)
            except ItemNotFoundError:
                assert wants_deletion
                is_acknowledged = True
                break
            except FAILURES:
                continue
            is_acknowledged = True
            break
        injected += world.plan.stop()

        now = world.names(limit=7)
        done = [n for n in expected if n not in kept] if wants_deletion else [*expected, *batch]
        assert now == done or (not is_acknowledged and now == expected)
        expected = now
        world.check()

    record_property("faults", injected)
    assert injected > 10
