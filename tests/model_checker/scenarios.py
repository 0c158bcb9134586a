"""Scenarios of clients of one conversation, with the invariants of every interleaving."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.exceptions import ClientError, HTTPClientError

from conversations import ids
from conversations.contract.items import generated_id
from conversations.errors import ApiError
from conversations.model import Conversation, IdempotencyInfo
from conversations.storage import payloads, restore, rows
from conversations.storage.archive import (
    ArchivedBatch,
    ArchivedConversation,
    ConversationChangedError,
    read_archived,
    read_parts,
)
from conversations.storage.items import decode_item, encode_item
from conversations.storage.purge import purge_conversation
from conversations_cli.archive_file import record_lines
from tests.model_checker.actors import MOMENT, Actor, Record, Session
from tests.model_checker.dynamodb_model import Database, InFlightTransaction, Model
from tests.model_checker.interleavings import State, World
from tests.model_checker.state_space import ReaderSearch, Search, walk
from tests.support.http_helpers import HELLO, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conversations.contract.items import Item
    from conversations.model import Order
    from conversations.storage.rows import Row

    type Records = tuple[Record, ...]
    type Table = dict[str, Row]
    """Rows of the conversation, or objects of its prefix, by key."""
    type Shown = tuple[str, str]
    """Cursor and JSON of an item."""

CONVERSATION = "conv_1"
PK = rows.partition(OWNER, CONVERSATION)
CONVERSATION_KEY = (PK, rows.CONVERSATION_SK)
FIRST = "first"
"""Client-given id of the first batch's first item."""
BATCH_SIZE = 2
"""Number of items in each initial batch."""
NOTHING_WRITTEN = {
    "ConversationBusyError",
    "ConversationNotFoundError",
    "ItemAlreadyInConversationError",
    "ItemNotFoundError",
}
"""Errors after which a request has changed nothing, and never will."""
RESENDS = 2
"""Number of times that a client sends a request without a response."""
EXPLORED: dict[str, int] = {"interleavings": 0, "states": 0, "random schedules": 0}


def _keys(batch: int) -> list[str]:
    """Return the sequence keys of an initial batch."""
    return ids.sequence_keys((MOMENT - 99 + batch) * 1000 << 64, BATCH_SIZE)


SECOND = generated_id("message", _keys(0)[1])
"""Generated id of the first batch's second item."""
FOURTH = generated_id("message", _keys(1)[1])
"""Generated id of the second batch's second item; the first item of that batch is deleted."""
DELETED = generated_id("message", _keys(1)[0])
"""Generated id of that deleted item."""
SIXTH = generated_id("message", _keys(2)[1])
"""Generated id of the third batch's second item."""


def outcome(act: Callable[[], Any]) -> tuple[str, Any]:
    try:
        return "done", act()
    except (ApiError, ClientError, HTTPClientError) as error:
        return type(error).__name__, None


def appender(name: str, *given_ids: str | None, key: str | None = None, times: int = 1) -> Actor:
    def act(session: Session, records: Records) -> tuple[str, Any]:
        return _append(
            session,
            f"{name} {len(records)}",
            [given and f"{given}{len(records)}" for given in given_ids],
            key,
        )

    return Actor(name, act, lambda records: len(records) == times)


def adder(name: str, item_id: str) -> Actor:
    """Return an actor that adds a deleted item again, under its id."""

    def act(session: Session, _: Records) -> tuple[str, Any]:
        return _append(session, f"{name} 0", [item_id], None)

    return Actor(name, act, adds=item_id)


def merger(name: str, item_id: str) -> Actor:
    """Return an actor that merges a batch before the others, whose second item has a client's id.

    Its record has the items, which are there after a successful merge.
    """

    def act(session: Session, _: Records) -> tuple[str, Any]:
        items = [{**HELLO, "content": f"{name} 0 {BATCH_SIZE}:{place}"} for place in (0, 1)]
        items[1]["id"] = item_id
        lines = [encode_item(cast("Item", item)) for item in items]
        keys = _keys(-1)
        conversation = Conversation.new(CONVERSATION, OWNER, "acme", MOMENT * 1000, {})
        archived = ArchivedConversation(conversation, None, keys[-1:])
        parts = [ArchivedBatch(keys[0], BATCH_SIZE, [0, 1], lines)]
        shown = (decode_item(line, key) for line, key in zip(lines, keys, strict=True))

        def merge() -> tuple[Shown, ...]:
            [*_] = restore.merge(session.table, session.payloads, archived, parts)
            return tuple((item.cursor, item.json) for item in shown)

        return outcome(merge)

    return Actor(name, act)


def resender(name: str) -> Actor:
    """Return an actor that retries its request once, as a marked retry, if it failed."""

    def act(session: Session, records: Records) -> tuple[str, Any]:
        return _append(session, f"{name} 0", [None, None], None, is_marked_retry=bool(records))

    def is_done(records: Records) -> bool:
        return bool(records) and (records[-1].kind == "done" or len(records) == RESENDS)

    return Actor(name, act, is_done, resends=True)


def updater(name: str, **changes: str | None) -> Actor:
    """Return an actor that changes the metadata once."""

    def act(session: Session, _: Records) -> tuple[str, Any]:
        return outcome(
            lambda: tuple(
                sorted(session.store.update_metadata(OWNER, CONVERSATION, changes).metadata.items())
            )
        )

    return Actor(name, act, pairs=tuple(changes.items()))


def _append(
    session: Session,
    name: str,
    item_ids: Sequence[str | None],
    key: str | None,
    *,
    is_marked_retry: bool = False,
) -> tuple[str, Any]:
    batch = [
        {**HELLO, "content": f"{name} {len(item_ids)}:{place}"}
        | ({"id": item_id} if item_id else {})
        for place, item_id in enumerate(item_ids)
    ]
    items = cast("list[Item]", batch)
    return outcome(
        lambda: tuple(
            (item.cursor, item.json)
            for item in session.store.append_items(
                OWNER, CONVERSATION, items, IdempotencyInfo(name, key, is_marked_retry)
            )
        )
    )


def lister(order: Order, limit: int) -> Actor:
    def act(session: Session, records: Records) -> tuple[str, Any]:
        def page() -> tuple[tuple[Shown, ...], bool]:
            after = records[-1].value[0][-1][0] if records else None
            found = session.store.list_items(
                OWNER, CONVERSATION, after=after, limit=limit, order=order
            )
            return tuple((item.cursor, item.json) for item in found.entries), found.has_more

        return outcome(page)

    def is_done(records: Records) -> bool:
        if not records or records[-1].kind != "done":
            return bool(records)
        shown, has_more = records[-1].value
        seen = {item for record in records[:-1] for item in record.value[0]}
        return not (shown and has_more) or not seen.isdisjoint(shown)

    return Actor(f"lister {order} {limit}", act, is_done, is_reader=True)


def getter(item_id: str) -> Actor:
    def act(session: Session, _: Records) -> tuple[str, Any]:
        def read() -> Shown:
            item = session.store.get_item(OWNER, CONVERSATION, item_id)
            return item.cursor, item.json

        return outcome(read)

    return Actor(f"getter {item_id}", act, is_reader=True)


def exporter() -> Actor:
    def act(session: Session, _: Records) -> tuple[str, Any]:
        def export() -> tuple[tuple[str, ...], ...]:
            archived, row = read_archived(session.table, PK)
            parts = read_parts(session.table, session.payloads, row)
            _, *lines, _ = map(json.loads, record_lines(archived, parts))
            items = (item["id"] for line in lines for item in line.get("items", ()))
            pointers = (line["id"] for line in lines if line["type"] == "pointer")
            keys = (line["key"] for line in lines if line["type"] != "pointer")
            return tuple(items), tuple(pointers), tuple(keys)

        try:
            return outcome(export)
        except ConversationChangedError:
            return "ConversationChangedError", None

    return Actor("exporter", act, is_reader=True)


def deleter(*item_ids: str, name: str = "deleter", times: int = 1) -> Actor:
    """Return an actor that deletes items in one request, and sends it up to *times* times."""

    def act(session: Session, _: Records) -> tuple[str, Any]:
        return outcome(
            lambda: (
                session.store.delete_items(OWNER, CONVERSATION, item_ids, param="item_id")
                and item_ids
            )
        )

    def is_done(records: Records) -> bool:
        return bool(records) and (records[-1].kind == "done" or len(records) == times)

    return Actor(name, act, is_done, deletes=item_ids)


def ender() -> Actor:
    def act(session: Session, _: Records) -> tuple[str, Any]:
        return outcome(lambda: session.store.delete_conversation(OWNER, CONVERSATION))

    return Actor("ender", act)


def purger() -> Actor:
    def act(session: Session, _: Records) -> tuple[str, Any]:
        return outcome(
            lambda: purge_conversation(session.table, session.payloads, PK, lambda: True)
        )

    return Actor("purger", act, may_begin=lambda row: "deleted_at" in row)


class Outcomes(NamedTuple):
    """Numbers of requests about one id: done, and with unknown outcome."""

    done: int
    unknown: int

    @classmethod
    def of(cls, records: Sequence[Record], *, is_atomic: bool = True) -> Outcomes:
        """Count outcomes; if not *is_atomic*, a conflict may leave a partial effect."""
        kinds = [record.kind for record in records]
        done = kinds.count("done")
        nothing = NOTHING_WRITTEN - (set() if is_atomic else {"ConversationBusyError"})
        return cls(done, len(kinds) - done - sum(kind in nothing for kind in kinds))


class Scenario:
    """Actors on a conversation with batches of two items, and its invariants."""

    def __init__(  # noqa: PLR0913 - what a scenario may begin with
        self,
        *actors: Actor,
        readers: Sequence[Actor] = (),
        faults: int = 0,
        remembers_tokens: bool = True,
        may_stay: Sequence[str] = (),
        batches: int = 1,
        is_late: bool = False,
        spills: bool = False,
        is_atomic: bool = True,
    ) -> None:
        """Set up the actors and *batches*; with *is_late*, the first batch is still in flight.

        *is_atomic* is false if a deletion may take several transactions.
        """
        spill_bytes = 0 if spills else payloads.SPILL_BYTES
        self.actors = [actor._replace(spill_bytes=spill_bytes) for actor in actors]
        self.readers = [actor._replace(spill_bytes=spill_bytes) for actor in readers]
        self.model = Model(remembers_tokens=remembers_tokens)
        self.world = World(self.model, self.actors, CONVERSATION_KEY)
        self._faults = faults
        self._may_stay = {rows.CONVERSATION_SK, *may_stay}
        self._to_delete = {item_id for actor in actors for item_id in actor.deletes}
        self._moving = {actor.adds for actor in actors if actor.adds}
        self._is_atomic = is_atomic
        self._ends = any(actor.name == "ender" for actor in actors)
        self._recent = {_keys(batch)[0] for batch in range(batches)[-len(rows.RECENT_BATCHES) :]}
        base = self._first_batches(batches, spills=spills)
        self._initial = {*self._items(self._rows(base, PK), self._rows(base, "payloads"))}
        self.start = self.world.start(base if is_late else self.model.settled(base), faults)

    def _first_batches(self, count: int, *, spills: bool) -> Database:
        """Return a conversation of *count* batches, the first of which is in flight."""
        conversation = Conversation.new(CONVERSATION, OWNER, "acme", MOMENT * 1000, {})
        recent = [_keys(batch)[-1] for batch in reversed(range(count))]
        row = rows.conversation_row(conversation, recent)
        first = [rows.pointer_row(PK, FIRST, _keys(0)[0]), *self._batch(0, spills=spills)]
        others = [each for batch in range(1, count) for each in self._batch(batch, spills=spills)]
        base = self.model.settled(
            Database(flights=(InFlightTransaction(self._numbers([row, *others]), "", 0, None),))
        )
        return base._replace(
            flights=(InFlightTransaction(self._numbers(first), "", 0, None, count - 1),)
        )

    def _batch(self, batch: int, *, spills: bool) -> list[Row]:
        """Return the row of a batch, with its object if it *spills*."""
        name = "first 0" if batch == 0 else f"batch {batch}"
        lines = [
            encode_item(
                cast(
                    "Item",
                    {**HELLO, "content": f"{name} {BATCH_SIZE}:{place}"}
                    | ({"id": FIRST} if batch == place == 0 else {}),
                )
            )
            for place in range(BATCH_SIZE)
        ]
        payload = payloads.encode(lines[1:] if batch == 1 else lines)
        made: list[Row] = []
        if spills:
            key = f"{PK}/{batch}"
            made.append({"pk": {"S": "payloads"}, "sk": {"S": key}, "body": {"B": payload.data}})
            payload = payload._replace(data=b"", object_key=key)
        row = rows.batch_row(PK, _keys(batch)[0], BATCH_SIZE, payload)
        return [*made, rows.rewritten(row, payload, [1]) if batch == 1 else row]

    def _numbers(self, written: Sequence[Row]) -> tuple[tuple[tuple[str, str], int], ...]:
        return tuple(
            ((row["pk"]["S"], row["sk"]["S"]), self.model.rows.number(row)) for row in written
        )

    def explore(self) -> tuple[int, int]:
        """Explore all interleavings; return their number, and the number of states.

        Each of the *readers* is combined with everything that the actors make visible.
        """
        search = Search(self.world, self.check)
        count, states = search.run(self.start)
        for reader in self.readers:
            world = World(self.model, [reader._replace(waits=True)], CONVERSATION_KEY)
            reader_search = ReaderSearch(
                world, search, functools.partial(self._check_reading, world)
            )
            readings, seen = reader_search.run()
            count, states = count + readings, states + seen
        EXPLORED["interleavings"] += count
        EXPLORED["states"] += states
        return count, states

    def walk(self, seed: int) -> None:
        walk(self.world, self.start, self.check, seed)
        EXPLORED["random schedules"] += 1

    def check(self, state: State) -> None:
        """Check the invariants at the end of an interleaving."""
        base = self.model.settled(state.base)
        table, objects = self._rows(base, PK), self._rows(base, "payloads")
        all_records = [self.world.records(state, number) for number in range(len(self.actors))]
        for actor, records in zip(self.actors, all_records, strict=True):
            for place, record in enumerate(records):
                self._check_kind(actor, record, is_repeated=place > 0)
            if actor.name == "purger" and self._is_purged(records, table, objects):
                return
        final = self._items(table, objects)
        self._check_table(table, objects)
        self._check_deletions(all_records, final)
        ends = [
            records[-1].kind
            for actor, records in zip(self.actors, all_records, strict=True)
            if actor.deletes and records
        ]
        if {*ends} == {"done"}:
            mark = table[rows.CONVERSATION_SK].get("deleting", {"S": ""})
            assert mark == {"S": ""}, "a mark is left"
        self._check_metadata(all_records, table[rows.CONVERSATION_SK])
        for actor, records in zip(self.actors, all_records, strict=True):
            if actor.is_reader:
                self._check_reader(actor, records, table, final)
            elif not (actor.deletes or actor.pairs):
                to_check = records
                if (len(records) > 1 and actor.resends) or self.actors.count(actor) > 1:
                    # A rejected retry says nothing about the first request.
                    to_check = records[-1:] if records[-1].kind == "done" else ()
                for place, record in enumerate(to_check):
                    self._check_append(f"{actor.name} {place}", record, final)

    def _check_reading(self, world: World, state: State) -> None:
        """Check the invariants of a reader's results at the end."""
        base = self.model.settled(state.base)
        table = self._rows(base, PK)
        [reader] = world.actors
        for record in world.records(state, 0):
            self._check_kind(reader, record)
        final = self._items(table, self._rows(base, "payloads"))
        self._check_reader(reader, world.records(state, 0), table, final)

    def _check_reader(
        self, reader: Actor, records: Records, table: Table, final: list[Shown]
    ) -> None:
        if reader.name.startswith("getter"):
            self._check_item(reader.name.split()[1], records)
        elif reader.name == "exporter":
            self._check_export(records)
        elif "deleted_at" not in table[rows.CONVERSATION_SK]:
            _, order, limit = reader.name.split()
            self._check_pages(records, final, limit=int(limit), is_ascending=order == "asc")

    def _check_export(self, records: Records) -> None:
        """Check that an export has each batch, whole deletions, and each id or its place once.

        The place of a deleted item whose id is added again meanwhile may be missing.
        """
        for items, pointers, keys in (record.value for record in records if record.kind == "done"):
            for deleted in (actor.deletes for actor in self.actors):
                kept = {*deleted}.intersection(items)
                assert kept in (set(), {*deleted}), "an export of half a deletion"
            assert _are_unique([*items, *pointers]), "an id is there twice"
            assert _are_unique(keys), "a batch is there twice"
            assert self._recent <= {*keys}, "neither a batch nor its tombstone is exported"
            assert FIRST in {*items, *pointers, *self._moving}, "a deleted item has no place"

    def _rows(self, base: Database, partition: str) -> Table:
        numbers = self.model.tables.values[self.model.settled(base).table]
        return {
            sk: self.model.rows.values[number]
            for (pk, sk), number in numbers.items()
            if pk == partition
        }

    def _items(self, table: Table, objects: Table) -> list[Shown]:
        """Return all stored items, in order."""
        return [
            (cursor, json)
            for sk in sorted(table)
            if sk.startswith(rows.BATCH_PREFIX)
            for cursor, json in self._items_of(table[sk], objects)
        ]

    def _items_of(self, row: Row, objects: Table) -> list[Shown]:
        """Return the items of a batch row; its payload has a line for each live slot."""
        payload = rows.read_payload(row)
        data = payload.data
        if payload.object_key is not None:
            data = objects[payload.object_key]["body"]["B"]
        slots = rows.live_slots(row)
        lines = payloads.Part(payload, 0, len(slots)).decode(data)
        keys = [*ids.keys_at(rows.batch_key(row), slots)]
        items = [decode_item(line, key) for key, line in zip(keys, lines, strict=True)]
        return [(item.cursor, item.json) for item in items]

    def _is_purged(self, records: Records, table: Table, objects: Table) -> bool:
        """Return whether a purge has removed content, and check that a complete one leaves none.

        Only rows stay that the expiry of the conversation row removes. A purge that failed between
        objects and rows leaves rows, which its next attempt removes.
        """
        if records and records[-1].kind == "done":
            assert {sk[:2] for sk in table} <= self._may_stay, "left by the purge"
            assert not objects, "left by the purge"
            return True
        named = {row["object"]["S"] for row in table.values() if "object" in row}
        return "deleted_at" in table[rows.CONVERSATION_SK] and not named <= objects.keys()

    def _check_table(self, table: Table, objects: Table) -> None:
        """Check that batches are whole but for deleted items, and ids and objects unique."""
        there = {sk[2:] for sk in table if sk.startswith(rows.BATCH_PREFIX)}
        emptied = {sk[2:] for sk in table if sk.startswith("t#")}
        recent = rows.recent_last_keys(table[rows.CONVERSATION_SK])
        assert recent == sorted(recent, reverse=True), "batches out of order"
        assert not there & emptied, "a tombstone of a batch that is there"
        assert {ids.first_key(key) for key in recent} <= there | emptied, "a batch is not there"
        if len(recent) < len(rows.RECENT_BATCHES):
            assert len(recent) == len(there | emptied), "there twice"
        named = [table[f"b#{key}"]["object"]["S"] for key in there if "object" in table[f"b#{key}"]]
        assert self._faults or sorted(named) == sorted(objects), "an object is left"
        found = {key: self._items_of(table[f"b#{key}"], objects) for key in sorted(there)}
        cursors = [cursor for items in found.values() for cursor, _ in items]
        assert _are_unique(cursors), "an id is there twice"
        names: set[str] = set()
        for key, items in found.items():
            row = table[f"b#{key}"]
            names.add(self._check_batch(row, [_content(json) for _, json in items]))
            for (cursor, _), slot in zip(items, rows.live_slots(row), strict=True):
                pointer = table.get(rows.pointer_sk(cursor))
                [own] = ids.keys_at(key, [slot])
                assert own == (pointer["key"]["S"] if pointer else ids.key_in(cursor)), (
                    "an id leads elsewhere"
                )
        assert len(names) == len(found), "a batch is there twice"

    def _check_batch(self, row: Row, contents: list[str]) -> str:
        """Check that each item is in its slot, and that others were deleted; return the name."""
        size, slots = int(row["n"]["N"]), [*rows.live_slots(row)]
        [name] = {content.rpartition(" ")[0] for content in contents}
        assert contents == [f"{name} {size}:{slot}" for slot in slots], "torn, or slots moved"
        deleted_slots = {*range(size)} - {*slots}
        ids_at = {
            "first 0": [FIRST, SECOND],
            "batch 1": ["", FOURTH],
            "batch 2": ["kept", SIXTH],
        }.get(name, [])
        assert all(
            slot < len(ids_at) and ids_at[slot] in {"", *self._to_delete} for slot in deleted_slots
        ), "an item is gone that nobody deleted"
        return name

    def _check_kind(self, actor: Actor, record: Record, *, is_repeated: bool = False) -> None:
        """Check that an error is one that the scenario explains."""
        expected = {"done", "OverloadedError"}
        if not actor.is_reader:
            expected.add("ConversationBusyError")
        if self._ends:
            expected |= {"ConversationNotFoundError", "ItemNotFoundError"}
        if self._faults:
            expected |= {"ConnectionClosedError", "ClientError"}
        if actor.name.startswith("getter"):
            expected.add("ItemNotFoundError")
        if actor.name == "exporter":
            expected.add("ConversationChangedError")
        if actor.adds:
            expected.add("ItemAlreadyInConversationError")
        if {*actor.deletes} & self._deleted_by_others(actor) or (actor.deletes and is_repeated):
            expected.add("ItemNotFoundError")
        assert record.kind in expected, f"not there for {actor.name}: {record.kind}"

    def _check_append(self, name: str, record: Record, final: list[Shown]) -> None:
        """Check that acknowledged items are stored as returned, and rejected ones are not."""
        if record.kind in NOTHING_WRITTEN - {"ConversationNotFoundError"}:  # nobody can see it then
            assert name not in {_content(json).rpartition(" ")[0] for _, json in final}, (
                "rejected, but stored: a retry would store it twice"
            )
        if record.kind == "done" and not (record.value and record.value[0][0] in self._to_delete):
            self._check_whole(record.value or (), final)

    def _check_whole(self, items: tuple[Shown, ...], final: list[Shown]) -> None:
        if items:
            assert items[0] in final, "acknowledged, and not there"
            at = final.index(items[0])
            assert tuple(final[at : at + len(items)]) == items, "not as it was acknowledged"

    def _check_metadata(self, all_records: Sequence[Records], row: Row) -> None:
        """Check that the last acknowledged metadata is stored, and no rejected metadata."""
        final = rows.read_conversation(row).metadata if "metadata" in row else {}
        outcomes = [
            (actor, record)
            for actor, records in zip(self.actors, all_records, strict=True)
            for record in records
            if actor.pairs and "metadata" in row
        ]
        for actor, record in outcomes:
            begun = {name for name, _ in record.begun}
            rivals = [
                other
                for other, its in outcomes
                if other is not actor
                and other.name not in begun
                and its.kind not in NOTHING_WRITTEN
            ]
            for name, value in actor.pairs:
                is_last = all(name not in dict(other.pairs) for other in rivals)
                if is_last and record.kind == "done":
                    assert final.get(name) == value, "acknowledged last, and not there"
                if record.kind in NOTHING_WRITTEN:
                    assert value is None or final.get(name) != value, "rejected, but stored"

    def _check_deletions(self, all_records: Sequence[Records], final: list[Shown]) -> None:
        """Check for each id that it is stored as often as it was added and not deleted."""
        live = [cursor for cursor, _ in final]
        outcomes = [*zip(self.actors, all_records, strict=True)]
        for item_id in self._to_delete:
            added = Outcomes.of(
                [r for actor, records in outcomes if actor.adds == item_id for r in records]
            )
            deleted = Outcomes.of(
                [r for actor, records in outcomes if item_id in actor.deletes for r in records],
                is_atomic=self._is_atomic,
            )
            least = 1 + added.done - deleted.done - deleted.unknown
            assert live.count(item_id) >= least, "acknowledged, and not there"
            if not (self._faults or added.unknown or deleted.unknown):
                assert live.count(item_id) == least, "deleted, and there"
            if deleted.done and item_id not in self._moving:
                assert item_id not in live, "deleted, and there"
        for actor, records in outcomes:
            if records and not self._moving:
                rivals = {*actor.deletes} & self._deleted_by_others(actor)
                own = {*actor.deletes} - rivals
                self._check_deletion(own, own & {*live}, records, rivals)

    def _check_deletion(
        self, own: set[str], left: set[str], records: Records, rivals: set[str]
    ) -> None:
        """Check that a request deleted all of its items or none; *left* are those still stored."""
        kind = records[-1].kind
        is_deleted = kind == "ItemNotFoundError" and len(records) > 1 and not rivals
        if kind == "done" or is_deleted:
            assert not left, "a part of a deletion is there"
        elif kind in NOTHING_WRITTEN and len(records) == 1 and not self._ends:
            assert left == own, "rejected, but deleted"
        elif len(records) == 1:
            assert left in (set(), own), "a part of a deletion is there"

    def _deleted_by_others(self, actor: Actor) -> set[str]:
        others = (other for other in self.actors if other is not actor)
        return {item_id for other in others for item_id in other.deletes}

    def _check_item(self, item_id: str, records: Records) -> None:
        """Check that an item was found unless it was deleted, and that it was the right one."""
        for record in records:
            acknowledged = [name for name, value in record.begun if item_id in str(value)]
            is_deleted = any(name.startswith("deleter") for name in acknowledged)
            is_added_again = any(name.startswith("adder") for name in acknowledged)
            is_known = acknowledged or item_id in {cursor for cursor, _ in self._initial}
            if record.kind == "ItemNotFoundError" and item_id not in self._to_delete:
                assert not is_known, "acknowledged, and not there"
            if record.kind == "done":
                assert record.value[0] == item_id, "another item"
                is_first = _content(record.value[1]).startswith("first 0")
                assert not (is_first and (is_deleted or is_added_again)), "deleted, and shown"

    def _check_pages(
        self, records: Records, final: list[Shown], *, limit: int, is_ascending: bool
    ) -> None:
        """Check all pages together, or between cursors whose items were added again elsewhere."""
        pages = [record for record in records if record.kind == "done"]
        for record in pages:
            self._check_page(record, limit)
        if not self._to_delete:
            assert all(record.value[0] for record in pages), "has_more, and there is no more"
        order = final if is_ascending else final[::-1]
        start = 0
        for place, record in enumerate(pages, 1):
            shown, has_more = record.value
            if place == len(pages) or (shown and shown[-1][0] in self._moving):
                stretch = pages[start:place]
                self._check_stretch(stretch, order, from_start=is_ascending and start == 0)
                if start == 0 and not has_more:
                    self._check_all(stretch, order, is_ascending=is_ascending)
                start = place

    def _check_page(self, record: Record, limit: int) -> None:
        shown, has_more = record.value
        assert len(shown) == limit or (len(shown) < limit and not has_more), "no full page"
        for name, value in record.begun:
            if name.startswith("deleter"):
                for cursor, json in shown:
                    is_added_again = not _content(json).startswith("first 0")
                    assert cursor not in value or is_added_again, "deleted, and shown"

    def _check_stretch(
        self, pages: Sequence[Record], order: list[Shown], *, from_start: bool
    ) -> None:
        """Check that pages joined have no gap."""
        seen = [item for record in pages for item in record.value[0]]
        assert _are_unique(seen), "there twice"
        if kept := [item for item in seen if item in order]:
            start = 0 if from_start else order.index(kept[0])
            end = order.index(kept[-1]) + 1
            assert kept == order[start:end], "an item was passed over"

    def _check_all(
        self, pages: Sequence[Record], order: list[Shown], *, is_ascending: bool
    ) -> None:
        """Check that pages to the end contain whole batches, and everything from before."""
        seen = {item for record in pages for item in record.value[0]}
        batches = {_content(json).rpartition(" ")[0] for _, json in seen}
        begun = (pages[-1] if is_ascending else pages[0]).begun
        acked = {
            item for name, value in begun if not name.startswith("deleter") for item in value or ()
        }
        for item in order:
            if _content(item[1]).rpartition(" ")[0] in batches:
                assert item in seen, "half a batch"
            if item in self._initial | acked:
                assert item in seen, "acknowledged before, and not shown"


def _content(json: str) -> str:
    return json.rpartition('"content":"')[2].rstrip('"}')


def _are_unique(names: Sequence[str]) -> bool:
    return len({*names}) == len(names)
