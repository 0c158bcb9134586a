"""Clients of one conversation, and what must be true of it however they meet."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError, HTTPClientError
from conversations.appends import Delivery
from conversations.payloads import Payload
from conversations.purging import purge_conversation
from dynamodb_model import Database, Flight, Model
from interleavings import State, World
from searches import Search, Watch, walk
from sessions import MOMENT, Actor, Record, Session
from wire import HELLO

from conversations import ids, rows
from conversations.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conversations.listing import Order
    from conversations.rows import Row

    from conversations.contract.items import Item

    type Memory = tuple[Record, ...]

OWNER = ids.owner_of("acme", "")
CONVERSATION = "conv_1"
PK = rows.partition(OWNER, CONVERSATION)
HEAD = (PK, rows.CONVERSATION_SK)
SECOND = ids.generated_id("message", ids.entry_keys((MOMENT - 9) * 1000 << 64, 2)[1])
"""The id of the first batch's second item; that of its first is `first`."""
LEFT = {"first": ["2:1"], SECOND: ["2:0"]}
"""What stays of the first batch, size and place, when an item is deleted."""
EXPLORED: dict[str, int] = {"interleavings": 0, "states": 0, "random schedules": 0}


def outcome(act: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "done", act()
    except (ApiError, ClientError, HTTPClientError) as error:
        return type(error).__name__, None


def appender(name: str, *given_ids: str | None, key: str | None = None, times: int = 1) -> Actor:
    def act(session: Session, memory: Memory) -> tuple[str, Any]:
        batch = [
            {**HELLO, "content": f"{name} {len(memory)} {len(given_ids)}:{place}"}
            | ({"id": f"{given}{len(memory)}"} if given else {})
            for place, given in enumerate(given_ids)
        ]
        delivery = Delivery(f"{name} {len(memory)}", key)
        items = cast("list[Item]", batch)
        return outcome(
            lambda: tuple(
                (item.cursor, item.json)
                for item in session.store.append_items(OWNER, CONVERSATION, items, delivery)
            )
        )

    return Actor(name, act, lambda memory: len(memory) == times)


def lister(order: Order, limit: int) -> Actor:
    def act(session: Session, memory: Memory) -> tuple[str, Any]:
        def page() -> tuple[tuple[tuple[str, str], ...], bool]:
            after = memory[-1].value[0][-1][0] if memory else None
            found = session.store.list_items(
                OWNER, CONVERSATION, after=after, limit=limit, order=order
            )
            return tuple((item.cursor, item.json) for item in found.entries), found.has_more

        return outcome(page)

    def is_done(memory: Memory) -> bool:
        return bool(memory) and not (memory[-1].kind == "done" and memory[-1].value[1])

    return Actor(f"lister {order} {limit}", act, is_done, is_reader=True)


def deleter(item_id: str) -> Actor:
    def act(session: Session, _: Memory) -> tuple[str, Any]:
        return outcome(
            lambda: (
                session.store.delete_items(OWNER, CONVERSATION, [item_id], param="item_id")
                and item_id
            )
        )

    return Actor(f"deleter {item_id}", act)


def ender() -> Actor:
    def act(session: Session, _: Memory) -> tuple[str, Any]:
        return outcome(lambda: session.store.delete_conversation(OWNER, CONVERSATION))

    return Actor("ender", act)


def purger() -> Actor:
    def act(session: Session, _: Memory) -> tuple[str, Any]:
        return outcome(lambda: purge_conversation(session.table, session.bucket, PK, lambda: True))

    return Actor("purger", act, may_begin=lambda head: "deleted_at" in head)


class Story:
    """Some actors on a conversation that has a batch of two, and what must be true of it."""

    def __init__(
        self,
        *actors: Actor,
        readers: Sequence[Actor] = (),
        faults: int = 0,
        remembers_tokens: bool = True,
        may_stay: Sequence[str] = (),
    ) -> None:
        self.model = Model(remembers_tokens=remembers_tokens)
        self.world = World(self.model, [*actors], HEAD)
        self.actors = actors
        self.readers = readers
        self._may_stay = {rows.CONVERSATION_SK, *may_stay}
        self.start = self.world.start(self._first_batch(), faults)

    def _first_batch(self) -> Database:
        """A conversation with two items, the first of which has a client's id."""
        conversation = rows.Conversation(CONVERSATION, OWNER, MOMENT * 1000, {})
        keys = ids.entry_keys((MOMENT - 9) * 1000 << 64, 2)
        drafts = [
            rows.Draft.of(cast("Item", {**HELLO, "content": f"first 0 2:{place}"} | given))
            for place, given in enumerate(({"id": "first"}, {}))
        ]
        written: list[Row] = [
            rows.conversation_row(conversation, keys[-1], 2),
            rows.pointer_row(PK, "first", keys[0]),
        ]
        for key, draft in zip(keys, drafts, strict=True):
            payload = Payload("json", len(draft.text), draft.text.encode())
            written.append(rows.item_row(PK, key, draft, payload))
        numbers = tuple(
            ((row["pk"]["S"], row["sk"]["S"]), self.model.rows.number(row)) for row in written
        )
        return self.model.settled(Database(flights=(Flight(numbers, "", 0, None),)))

    def explore(self) -> tuple[int, int]:
        """Go through all interleavings: how many there are, of how many states.

        With *readers*, each of them reads all that can be seen while the actors do theirs.
        """
        search = Search(self.world, self.check)
        count, states = search.run(self.start)
        for reader in self.readers:
            world = World(self.model, [reader._replace(waits=True)], HEAD)
            watch = Watch(world, search, functools.partial(self._check_reading, world))
            readings, seen = watch.run()
            count, states = count + readings, states + seen
        EXPLORED["interleavings"] += count
        EXPLORED["states"] += states
        return count, states

    def walk(self, seed: int) -> None:
        walk(self.world, self.start, self.check, seed)
        EXPLORED["random schedules"] += 1

    def check(self, state: State) -> None:
        """What must be true when all is over."""
        base = self.model.settled(state.base)
        table = self._rows(base)
        memories = [self.world.memory(state, number) for number in range(len(self.actors))]
        for actor, memory in zip(self.actors, memories, strict=True):
            if actor.name == "purger" and memory and memory[-1].kind == "done":
                self._check_purged(table)
                return
        final = self._items(table)
        self._check_table(table, final, self._doomed())
        for actor, memory in zip(self.actors, memories, strict=True):
            for place, record in enumerate(memory):
                if not actor.is_reader:
                    self._check_change(actor.name, place, record, final)
            if actor.is_reader and "deleted_at" not in table[rows.CONVERSATION_SK]:
                self._check_pages("asc" in actor.name, memory, final)

    def _check_reading(self, world: World, state: State) -> None:
        """What must be true of what a reader saw when all is over."""
        table = self._rows(self.model.settled(state.base))
        if "deleted_at" not in table[rows.CONVERSATION_SK]:
            [reader] = world.actors
            self._check_pages("asc" in reader.name, world.memory(state, 0), self._items(table))

    def _rows(self, base: Database) -> dict[str, Row]:
        numbers = self.model.tables.values[base.table]
        return {sk: self.model.rows.values[number] for (_, sk), number in numbers.items()}

    def _items(self, table: dict[str, Row]) -> list[tuple[str, str]]:
        """The cursors and the JSON of all items that are there, in order."""
        there = [table[sk] for sk in sorted(table) if sk.startswith(rows.ITEM_PREFIX)]
        items = [rows.read_item(row, bytes(row["data"]["B"]).decode()) for row in there]
        return [(item.cursor, item.json) for item in items]

    def _doomed(self) -> set[str]:
        return {actor.name[8:] for actor in self.actors if actor.name.startswith("deleter ")}

    def _check_purged(self, table: dict[str, Row]) -> None:
        """What comes after the purge is swept up when the conversation's row goes."""
        assert {sk[:2] for sk in table} <= self._may_stay, "left by the purge"

    def _check_table(
        self, table: dict[str, Row], final: list[tuple[str, str]], doomed: set[str]
    ) -> None:
        """Batches are whole, contiguous, in their order, there once; the head is right."""
        names = [_content(json) for cursor, json in final if cursor not in doomed]
        groups = [
            (batch, [name.rpartition(" ")[2] for name in group])
            for batch, group in itertools.groupby(names, key=lambda name: name.rpartition(" ")[0])
        ]
        assert len({batch for batch, _ in groups}) == len(groups), "there twice, or torn"
        for batch, places in groups:
            size = int(places[0].partition(":")[0])
            whole = [f"{size}:{place}" for place in range(size)]
            [left] = [kept for item, kept in LEFT.items() if item in doomed] or [whole]
            assert places == (left if batch == "first 0" else whole), "there twice, or torn"
        head = table[rows.CONVERSATION_SK]
        assert int(head["item_count"]["N"]) == len(final)
        if SECOND not in doomed:
            last = max(sk for sk in table if sk.startswith(rows.ITEM_PREFIX))
            assert head["last_key"]["S"] == rows.entry_key(table[last])
        for sk, row in table.items():
            if sk.startswith(rows.ITEM_PREFIX):
                assert rows.entry_key(row) <= head["last_key"]["S"]

    def _check_change(
        self, name: str, place: int, record: Record, final: list[tuple[str, str]]
    ) -> None:
        """What was acknowledged is there as it was answered; errors are those of the faults."""
        if name.startswith("deleter") and record.kind == "done":
            assert record.value not in [cursor for cursor, _ in final]
        if name.startswith("appender") and record.kind == "done":
            assert record.value[0] in final, "acknowledged, and not there"
            at = final.index(record.value[0])
            assert tuple(final[at : at + len(record.value)]) == record.value
        expected = {"done", "ConversationBusyError", "OverloadedError", "ConversationNotFoundError"}
        assert record.kind in expected | {"ConnectionClosedError", "ClientError"}, (name, place)

    def _check_pages(  # noqa: C901 - one promise after another
        self,
        ascending: bool,  # noqa: FBT001 - one of two orders
        memory: Memory,
        final: list[tuple[str, str]],
    ) -> None:
        """The pages joined have no gap, no half batch, and all that was there before."""
        pages = [record for record in memory if record.kind == "done"]
        seen = [item for record in pages for item in record.value[0]]
        if not pages:
            return
        order = final if ascending else final[::-1]
        kept = [item for item in seen if item in final]
        assert len(set(seen)) == len(seen)
        start = 0 if ascending or not kept else order.index(kept[0])
        end = order.index(kept[-1]) + 1 if kept else start
        assert kept == order[start:end], "an item was passed over"
        for record in pages:
            for name, value in record.begun:
                if name.startswith("deleter"):
                    shown = [cursor for cursor, _ in record.value[0]]
                    assert value not in shown, "deleted, and shown"
        if pages[-1].value[1]:
            return
        if not ascending:
            assert end == len(order), "the oldest were not shown"
        batches = {_content(json).rpartition(" ")[0] for _, json in seen}
        for item in final:
            if _content(item[1]).rpartition(" ")[0] in batches:
                assert item in seen, "half a batch"
        record = pages[-1] if ascending else pages[0]
        for name, value in record.begun:
            if name.startswith("appender"):
                for item in value:
                    assert item in seen, "acknowledged before, and not shown"


def _content(json: str) -> str:
    return json.rpartition('"content":"')[2].rstrip('"}')
