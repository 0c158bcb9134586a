"""The store beside a plain list, step by step, until they differ.

`STEPS=100000 .venv/bin/pytest tests/test_machine.py` takes more steps, and other ones each time.
"""

from __future__ import annotations

import json
import os
import random
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from plain_list import Known, Plan, listed
from store_and_list import OWNER, StoreAndList

from conversations import clients
from conversations.appends import Delivery
from conversations.contract.models import MAX_METADATA_PAIRS
from conversations.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    ItemNotFoundError,
)
from conversations.purging import purge_conversation
from conversations.rows import partition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conversations.listing import Order
    from local.resources import Resources

STEPS = int(os.environ.get("STEPS", "2640"))
STEPS_EACH = 40
HOUR_MS = 3_600_000
CONTENTS = [
    "",
    "short",
    "x" * 300,
    "zip " * 200,
    "".join(f"{number:x}" for number in range(1_000)),
]
"""Kept in the row, in an object, compressed in the row, compressed in an object."""

small = st.integers(0, 5)
places = st.integers(0, 10**6)
orders = st.sampled_from(["asc", "desc"])
limits = st.one_of(st.integers(1, 6), st.integers(1, 100))
plans = st.lists(
    st.tuples(
        st.sampled_from(["new", "new", "own", "call", "reference", "placeholder", "again"]),
        places,
        st.sampled_from(CONTENTS),
    ),
    min_size=1,
    max_size=20,
).map(lambda plan: plan[: 1 + len(plan) // 2])
names = st.sampled_from(["topic", "team", *(f"name_{number}" for number in range(16))])
changes = st.dictionaries(names, st.none() | st.sampled_from(["a", "b"]), max_size=9)


class StoreMachine(StoreAndList):
    """What may be asked of the store, in any order."""

    @initialize(plan=plans)
    def begin(self, plan: Plan) -> None:
        self.create(plan, {}, None)

    @precondition(lambda self: sum(known.is_live for known in self.known) < 3)
    @rule(
        plan=st.just([]) | plans,
        metadata=st.dictionaries(names, st.sampled_from("ab"), max_size=3),
        key=st.none() | small,
    )
    def create(
        self,
        plan: Plan,
        metadata: Mapping[str, str],
        key: int | None,
    ) -> None:
        self.tick()
        items = self.planned(None, plan)
        body = json.dumps([items, metadata])
        delivery = Delivery.of(body.encode(), None if key is None else f"key_{key}", is_retry=False)
        if (earlier := self.creations.get(f"key_{key}")) and earlier[0] != body:
            with pytest.raises(IdempotencyKeyReusedError):
                self.store.create_conversation(OWNER, cast("Any", items), metadata, delivery)
            return
        made = self.store.create_conversation(OWNER, cast("Any", items), metadata, delivery)
        assert made.metadata == metadata
        if earlier:
            assert made.conversation_id == earlier[1].conversation_id
            return
        known = Known(made.conversation_id, self.now, dict(metadata))
        if key is not None:
            self.creations[f"key_{key}"] = (body, known)
        page = self.store.list_items(
            OWNER, made.conversation_id, after=None, limit=100, order="asc"
        )
        known.take(items, page.entries)
        self.known.append(known)

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, plan=plans)
    def append(self, which: int, plan: Plan) -> None:
        known = self.pick(which)
        self.send(known, json.dumps({"items": self.planned(known, plan)}), None, is_retry=False)

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, plan=plans, key=small.map("key_{}".format), is_retry=st.booleans())
    def append_with_a_key(self, which: int, plan: Plan, key: str, *, is_retry: bool) -> None:
        known = self.pick(which)
        self.send(known, json.dumps({"items": self.planned(known, plan)}), key, is_retry=is_retry)

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, plan=plans)
    def append_what_is_marked_as_a_retry(self, which: int, plan: Plan) -> None:
        known = self.pick(which)
        self.send(known, json.dumps({"items": self.planned(known, plan)}), None, is_retry=True)

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, key=st.none() | st.just(""), is_retry=st.booleans())
    def append_again(self, which: int, key: str | None, *, is_retry: bool) -> None:
        """The last body that was appended, or one that came with a key."""
        known = self.pick(which)
        if key is not None and known.memories:
            key, (body, _) = sorted(known.memories.items())[which % len(known.memories)]
            self.send(known, body, key, is_retry=is_retry)
        elif known.last_body:
            self.send(known, known.last_body, None, is_retry=is_retry)

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, place=st.none() | places, limit=limits, order=orders)
    def page(self, which: int, place: int | None, limit: int, order: Order) -> None:
        self.tick()
        known = self.pick(which)
        behind = None if place is None or not known.entries else place % len(known.entries)
        after = None if behind is None else known.entries[behind].cursor

        page = self.store.list_items(
            OWNER, known.conversation_id, after=after, limit=limit, order=order
        )

        expected = known.behind(behind, order)
        assert listed(page.entries) == listed(expected[:limit])
        assert page.has_more == (len(expected) > limit)
        assert page.cursor == (expected[:limit][-1].cursor if expected else "")

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, limit=st.integers(1, 100), order=orders)
    def page_through(self, which: int, limit: int, order: Order) -> None:
        self.tick()
        known = self.pick(which)
        assert listed(self.walk(known, limit, order)) == listed(known.behind(None, order))

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, place=st.none() | places)
    def get(self, which: int, place: int | None) -> None:
        self.tick()
        known = self.pick(which)
        entry = (
            None
            if place is None or not known.entries
            else known.entries[place % len(known.entries)]
        )
        if entry is not None and entry.is_live:
            found = self.store.get_item(OWNER, known.conversation_id, entry.cursor)
            assert listed([found]) == listed([entry])
        else:
            absent = entry.cursor if entry else "unknown"
            with pytest.raises(ItemNotFoundError):
                self.store.get_item(OWNER, known.conversation_id, absent)

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, order=orders)
    def page_behind_what_never_was(self, which: int, order: Order) -> None:
        self.tick()
        name = self.pick(which).conversation_id
        with pytest.raises(ItemNotFoundError):
            self.store.list_items(OWNER, name, after="unknown", limit=1, order=order)

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, chosen=st.lists(places, min_size=1, max_size=6))
    def delete(self, which: int, chosen: Sequence[int]) -> None:
        """Some items, which may be there or not, or stand in the list twice."""
        known = self.pick(which)
        if known.entries:
            self.remove(known, [known.entries[place % len(known.entries)] for place in chosen])

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, place=places)
    def delete_one(self, which: int, place: int) -> None:
        known = self.pick(which)
        if live := known.live():
            self.remove(known, [live[place % len(live)]])

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, is_certain=st.integers(0, 7))
    def delete_up_to_100(self, which: int, is_certain: int) -> None:
        known = self.pick(which)
        if is_certain == 0 and known.live():
            self.remove(known, known.live()[:100])

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, changed=changes)
    def update(self, which: int, changed: Mapping[str, str | None]) -> None:
        self.tick()
        known = self.pick(which)
        merged = {**known.metadata, **changed}
        metadata = {name: value for name, value in merged.items() if value is not None}
        if len(metadata) > MAX_METADATA_PAIRS:
            with pytest.raises(InvalidRequestError):
                self.store.update_metadata(OWNER, known.conversation_id, changed)
        else:
            updated = self.store.update_metadata(OWNER, known.conversation_id, changed)
            known.metadata, known.updated_at = metadata, self.now
            assert updated.metadata == metadata

    @rule(
        place=st.none() | small,
        limit=st.integers(1, 4),
        order=orders,
        wanted=st.just({}) | st.dictionaries(names, st.sampled_from("ab"), max_size=1),
    )
    def list_conversations(
        self, place: int | None, limit: int, order: Order, wanted: Mapping[str, str]
    ) -> None:
        self.tick()
        ranked = sorted(self.known, key=lambda known: known.updated_at, reverse=order == "desc")
        after = None if place is None else ranked[place % len(ranked)]
        behind = ranked if after is None else ranked[1 + ranked.index(after) :]
        expected = [
            known.conversation_id
            for known in behind
            if known.is_live and wanted.items() <= known.metadata.items()
        ]

        page = self.store.list_conversations(
            OWNER,
            after=after.conversation_id if after else None,
            limit=limit,
            order=order,
            metadata=wanted,
        )

        assert [entry.conversation_id for entry in page.entries] == expected[:limit]
        assert page.has_more == (len(expected) > limit)

    @rule(skew=st.sampled_from([-HOUR_MS, 0, HOUR_MS]))
    def set_the_clock(self, skew: int) -> None:
        self.skew = skew
        self.tick()

    @precondition(StoreAndList.is_any_there)
    @rule(which=small, is_certain=st.integers(0, 5))
    def delete_conversation(self, which: int, is_certain: int) -> None:
        if is_certain:
            return
        self.tick()
        known = self.pick(which)
        self.store.delete_conversation(OWNER, known.conversation_id)
        known.is_live = False
        self.note("conversation deleted")
        self.check_gone(known)
        pk = partition(OWNER, known.conversation_id)
        assert purge_conversation(self.table, self.bucket, pk, lambda: True)
        assert [row["sk"]["S"] for row in self.rows() if row["pk"]["S"] == pk] == ["c"]
        self.check_gone(known)


def test_the_store_and_a_plain_list_never_differ(
    ministack: Resources, record_property: Callable[[str, object], None]
) -> None:
    StoreMachine.resources = ministack
    dice = random.Random(None if "STEPS" in os.environ else 0)  # noqa: S311 - explores
    with closing(clients.dynamodb()) as StoreMachine.dynamodb:
        while (left := STEPS - StoreMachine.steps) > 0:  # hypothesis may end a run early
            before = StoreMachine.steps
            run_state_machine_as_test(
                seed(dice.getrandbits(64))(StoreMachine),
                settings=settings(
                    max_examples=-(-left // STEPS_EACH),
                    stateful_step_count=STEPS_EACH,
                    database=None,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
            assert StoreMachine.steps > before

    record_property("steps", StoreMachine.steps)
    record_property("outcomes", dict(StoreMachine.outcomes))
