"""Searches of the state space: exhaustive, exhaustive for one reader, or a random walk.

Orders that lead to the same state, responses included, have the same future, which is explored
once; each order still counts as an interleaving.
"""

from __future__ import annotations

import gc
import itertools
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.model_checker.dynamodb_model import Database, InFlightTransaction
from tests.model_checker.interleavings import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.model_checker.dynamodb_model import Key
    from tests.model_checker.interleavings import World

    type Views = dict[State, dict[State, None]]
    """Views (visible rows and acknowledged results), each with the views that may follow."""


class Search:
    """Exhaustive search that visits every reachable state, and checks the final ones."""

    def __init__(self, world: World, check: Callable[[State], None]) -> None:
        self._world = world
        self._check = check
        self._counts: dict[State, int] = {}
        self._path: list[tuple[Any, ...]] = []
        self.views: Views = {}
        self.last_views: set[State] = set()
        """Views of the final states."""

    def run(self, state: State) -> tuple[int, int]:
        """Explore from a state; return the number of interleavings and of states."""
        gc.disable()  # a search creates millions of tuples, but no cycles
        try:
            return self._count(state, self._look(state)), len(self._counts)
        finally:
            gc.enable()

    def _count(self, state: State, view: State) -> int:
        known = self._counts.get(state)
        if known is not None:
            return known
        count = 0
        if self._world.is_over(state):
            self._checked(state)
            self.last_views.add(view)
            count = 1
        if not count or state.base.late:
            for label, after in self._world.steps(state):
                ahead = view
                if after.base is not state.base or after.acked is not state.acked:
                    ahead = self._look(after)
                    if ahead != view:
                        self.views[view][ahead] = None
                self._path.append(label)
                count += self._count(after, ahead)
                self._path.pop()
        self._counts[state] = count
        return count

    def _look(self, state: State) -> State:
        view = view_of(state)
        self.views.setdefault(view, {})
        return view

    def _checked(self, state: State) -> None:
        try:
            self._check(state)
        except AssertionError as error:
            error.add_note("\n".join(map(str, self._path)))
            raise


def view_of(state: State) -> State:
    """Return the view of a state: its visible and in-flight rows, and acknowledged results."""
    under_way = tuple(sorted(write for flight in state.base.flights for write in flight.rest))
    flights = (InFlightTransaction(under_way, "", 0, None),) if under_way else ()
    return State(Database(state.base.table, flights), (), acked=state.acked)


class Reader(NamedTuple):
    """Progress of a reader of a view."""

    seen: frozenset[Key] = frozenset()
    """In-flight rows that the reader has seen already."""
    positions: tuple[int, ...] = (0,)
    progress: tuple[Any, ...] = ()


class ReaderSearch:
    """Exhaustive search of what one reader may see while other actors change the table.

    A reader does not influence the others, so they are searched once, without it; and there are far
    fewer views than states. Identical views are merged, with the futures of all of them, so that
    the reader may see more than is possible, and never less.
    """

    def __init__(self, world: World, others: Search, check: Callable[[State], None]) -> None:
        self._world = world
        self._all = [*others.views]
        numbers = {view: number for number, view in enumerate(self._all)}
        self._next = [[numbers[ahead] for ahead in others.views[view]] for view in self._all]
        self._locked = [frozenset(view.base.locked()) for view in self._all]
        self._tables = {
            numbers[view]: world.model.settled(view.base).table for view in others.last_views
        }
        self._check = check
        self._counts: dict[tuple[int, Reader], int] = {}
        self._ends: set[tuple[int, tuple[int, ...]]] = set()
        self._ahead: dict[int, tuple[frozenset[Key], frozenset[int]]] = {}

    def run(self) -> tuple[int, int]:
        """Explore from the first view; return the number of readings and of states."""
        gc.disable()
        try:
            return self._count(0, Reader()), len(self._counts)
        finally:
            gc.enable()

    def _count(self, view: int, reader: Reader) -> int:
        """Explore from a *view* and a *reader*, which may have seen some of its in-flight rows."""
        count = self._counts.get((view, reader))
        if count is None:
            count = self._counts[view, reader] = self._sum(view, reader)
        return count

    def _sum(self, view: int, reader: Reader) -> int:
        changing, ends = self._future(view)
        state = self._state(view, reader)
        if self._world.is_over(state):
            for table in ends:
                self._end(table, reader.positions)
            return 1
        early = [*self._world.calls_apart(state, changing)]
        count = sum(
            self._count(view, self._reader(view, after))
            for _, after in early or self._world.calls(state)
        )
        if not early:
            for ahead in self._next[view]:
                seen = reader.seen and reader.seen & self._locked[ahead]
                count += self._count(ahead, Reader(seen, reader.positions, reader.progress))
        return count

    def _state(self, view: int, reader: Reader) -> State:
        base = self._all[view].base
        for key in reader.seen:
            base, _ = self._world.model.show(base, key)
        return State(base, reader.positions, reader.progress, acked=self._all[view].acked)

    def _reader(self, view: int, state: State) -> Reader:
        return Reader(self._locked[view] - state.base.locked(), state.positions, state.progress)

    def _end(self, table: int, positions: tuple[int, ...]) -> None:
        if (table, positions) not in self._ends:
            self._ends.add((table, positions))
            self._check(State(Database(table), positions))

    def _future(self, view: int) -> tuple[frozenset[Key], frozenset[int]]:
        """Return the rows that may change after a view, and the tables that may result."""
        if view not in self._ahead:
            keys: set[Key] = set()
            ends = {self._tables[view]} if view in self._tables else set()
            for ahead in self._next[view]:
                later, last = self._future(ahead)
                keys |= later | {key for key, _ in self._writes(ahead) - self._writes(view)}
                keys |= self._written_alone(view, ahead)
                ends |= last
            self._ahead[view] = frozenset(keys), frozenset(ends)
        return self._ahead[view]

    def _written_alone(self, view: int, ahead: int) -> set[Key]:
        """Return the rows and objects that are changed without a transaction before a view."""
        before, after = (self._table(number) for number in (view, ahead))
        changed = {key for key, _ in before.items() ^ after.items()}
        return changed - {key for key, _ in self._writes(view)}

    def _table(self, view: int) -> dict[Key, int]:
        return self._world.model.tables.values[self._all[view].base.table]

    def _writes(self, view: int) -> set[tuple[Key, int]]:
        return {write for flight in self._all[view].base.flights for write in flight.rest}


def walk(world: World, state: State, check: Callable[[State], None], seed: int) -> int:
    """Walk one random interleaving, check its end, and return the number of steps."""
    random_source = random.Random(seed)  # noqa: S311 - decides nothing secret
    for taken in itertools.count():
        if world.is_over(state):
            check(state)
            return taken
        _, state = random_source.choice([*world.steps(state)])
    raise AssertionError
