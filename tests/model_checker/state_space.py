"""Ways to go through what a world can come to: all of it, all that a reader sees of it, or a walk.

Two orders that lead to the same state, answers included, have the same future, which is gone
through once; their number is still counted.
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
    """What can be read and was acknowledged at a time, and what that may change to."""


class Search:
    """Goes through every state that can be reached, and checks those where all is over."""

    def __init__(self, world: World, check: Callable[[State], None]) -> None:
        self._world = world
        self._check = check
        self._counts: dict[State, int] = {}
        self._path: list[tuple[Any, ...]] = []
        self.views: Views = {}
        self.last_views: set[State] = set()
        """What may be there when all is over."""

    def run(self, state: State) -> tuple[int, int]:
        """How many interleavings there are from a state, and of how many states."""
        gc.disable()  # a search makes no cycles, and millions of tuples
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
    """What of a state can be read, and what was acknowledged."""
    under_way = tuple(sorted(write for flight in state.base.flights for write in flight.rest))
    flights = (InFlightTransaction(under_way, "", 0, None),) if under_way else ()
    return State(Database(state.base.table, flights), (), acked=state.acked)


class Reader(NamedTuple):
    """Where the reader of a view is."""

    seen: frozenset[Key] = frozenset()
    """The rows under way that it has seen already."""
    positions: tuple[int, ...] = (0,)
    progress: tuple[Any, ...] = ()


class Watch:
    """Goes through all that one actor which changes nothing may see of what the others do.

    Nobody else notices it, so what they do is searched without it, once; and what it may see of
    that are far fewer views than there are states. Views that look alike are taken for one, with
    the futures of all, which may show it more than can be, and never less.
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
        """How many ways there are to read from the first view on, and of how many states."""
        gc.disable()
        try:
            return self._count(0, Reader()), len(self._counts)
        finally:
            gc.enable()

    def _count(self, view: int, reader: Reader) -> int:
        """Go on from where the *reader* is, who may have seen more of a *view* than it must."""
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
        """The rows that will be changed from a view on, and the tables that it may end with."""
        if view not in self._ahead:
            keys: set[Key] = set()
            ends = {self._tables[view]} if view in self._tables else set()
            for ahead in self._next[view]:
                later, last = self._future(ahead)
                keys |= later | {key for key, _ in self._writes(ahead) - self._writes(view)}
                ends |= last
            self._ahead[view] = frozenset(keys), frozenset(ends)
        return self._ahead[view]

    def _writes(self, view: int) -> set[tuple[Key, int]]:
        return {write for flight in self._all[view].base.flights for write in flight.rest}


def walk(world: World, state: State, check: Callable[[State], None], seed: int) -> int:
    """One interleaving by chance, checked at its end; how many steps it took."""
    chance = random.Random(seed)  # noqa: S311 - decides nothing secret
    for taken in itertools.count():
        if world.is_over(state):
            check(state)
            return taken
        _, state = chance.choice([*world.steps(state)])
    raise AssertionError
