"""Scenarios of lists of conversations while one of them changes, with their invariants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conversations.model import Conversation
from conversations.storage import rows
from tests.model_checker.actors import MOMENT, Actor, Record, Session
from tests.model_checker.dynamodb_model import Database, InFlightTransaction, Model
from tests.model_checker.interleavings import State, World
from tests.model_checker.scenarios import CONVERSATION, outcome
from tests.model_checker.state_space import Search
from tests.support.http_helpers import OWNER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conversations.model import Order

    type Pairs = tuple[tuple[str, str], ...]
    type Listed = tuple[str, Pairs]
    """Id and sorted metadata of a conversation."""
    type Listing = tuple[tuple[Listed, ...], bool, str]

RED, BLUE = (("team", "red"),), (("team", "blue"),)
CONVERSATIONS: Mapping[str, Pairs] = {
    "conv_0": RED,
    CONVERSATION: RED,
    "conv_2": BLUE,
    "conv_3": RED,
}
"""Metadata of the conversations, the least recently changed first."""

PAGES = 3
"""Maximum number of pages; an entry's old position may stay visible, and repeat pages forever."""


def changer(name: str, **changes: str) -> Actor:
    """Return an actor that sets pairs of the conversation's metadata."""

    def act(session: Session, _: tuple[Record, ...]) -> tuple[str, Pairs]:
        def change() -> Pairs:
            changed = session.store.update_metadata(OWNER, CONVERSATION, changes)
            return tuple(sorted(changed.metadata.items()))

        return outcome(change)

    return Actor(f"changer {name}", act)


def list_reader(order: Order, limit: int, wanted: Pairs = ()) -> Actor:
    """Return an actor that reads up to three pages of the list."""

    def act(session: Session, records: tuple[Record, ...]) -> tuple[str, Listing]:
        def page() -> Listing:
            after = records[-1].value[2] if records else None
            found = session.store.list_conversations(
                OWNER, after=after, limit=limit, order=order, metadata=dict(wanted)
            )
            listed = tuple(
                (entry.conversation_id, tuple(sorted(entry.metadata.items())))
                for entry in found.entries
            )
            return listed, found.has_more, found.cursor

        return outcome(page)

    def is_done(records: tuple[Record, ...]) -> bool:
        is_last = records and (records[-1].kind != "done" or not records[-1].value[1])
        return bool(is_last) or len(records) == PAGES

    return Actor(f"lister {order} {limit}", act, is_done, is_reader=True)


class ListScenario:
    """Reader of the list, and concurrent actors that change one of its conversations."""

    def __init__(self, *actors: Actor, reader: Actor, wanted: Pairs = ()) -> None:
        """Set up the actors; *wanted* is the metadata that the *reader* filters by."""
        # Different times, because every change moves the conversation in the list.
        moments = range(MOMENT + 1, MOMENT + 1 + len(actors))
        movers = [
            actor._replace(clock=moment, attempts=2)
            for actor, moment in zip(actors, moments, strict=True)
        ]
        self._actors = [*movers, reader]
        self._model = Model()
        key = (rows.partition(OWNER, CONVERSATION), rows.CONVERSATION_SK)
        self._world = World(self._model, self._actors, key)
        self._ends = any(actor.name == "ender" for actor in actors)
        _, order, limit = reader.name.split()
        self._limit = int(limit)
        still = [
            name
            for name, metadata in CONVERSATIONS.items()
            if name != CONVERSATION and {*wanted} <= {*metadata}
        ]
        self._still = still if order == "asc" else still[::-1]

    def explore(self) -> tuple[int, int]:
        """Explore all interleavings; return their number, and the number of states."""
        made = [
            rows.conversation_row(
                Conversation.new(name, OWNER, "acme", MOMENT * 1000 + place, dict(metadata))
            )
            for place, (name, metadata) in enumerate(CONVERSATIONS.items())
        ]
        numbers = [self._model.rows.number(row) for row in made]
        writes = tuple(
            ((row["pk"]["S"], row["sk"]["S"]), number)
            for row, number in zip(made, numbers, strict=True)
        )
        base = self._model.settled(Database(flights=(InFlightTransaction(writes, "", 0, None),)))
        entries = tuple(sorted((self._model.entry(number), True) for number in numbers))
        start = self._world.start(base._replace(entries=entries), faults=0)
        return Search(self._world, self._check).run(start)

    def _check(self, state: State) -> None:
        """Check the invariants at the end of an interleaving."""
        expected = {"done", "OverloadedError"}
        [*movers, reader] = self._actors
        for number, actor in enumerate(movers):
            errors = {"ConversationBusyError"} | (
                {"ConversationNotFoundError"} if self._ends else set()
            )
            for record in self._world.records(state, number):
                assert record.kind in expected | errors, f"not there for {actor.name}"
        after: str | None = None
        for record in self._world.records(state, len(movers)):
            assert record.kind in expected, f"not there for {reader.name}: {record.kind}"
            if record.kind == "done":
                self._check_page(record, after)
                after = record.value[2]

    def _check_page(self, record: Record, after: str | None) -> None:
        listed, has_more, _ = record.value
        names = [name for name, _ in listed]
        assert len({*names}) == len(names), "there twice"
        assert len(names) <= self._limit, "more than the limit"
        assert after not in names, "behind itself"
        if after != CONVERSATION:  # if it moved, the page begins at its new place
            begin = 0 if after is None else self._still.index(after) + 1
            seen = [name for name in names if name != CONVERSATION]
            end = begin + len(seen) if has_more else len(self._still)
            assert seen == self._still[begin:end], "a conversation was passed over"
        for name, acknowledged in record.begun:
            if CONVERSATION in names and name == "ender":
                raise AssertionError("deleted, and shown")
            if CONVERSATION in names and name.startswith("changer"):
                assert {*acknowledged} <= {*dict(listed)[CONVERSATION]}, (
                    "acknowledged, and not shown"
                )
