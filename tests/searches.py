"""Ways to go through what a world can come to: all of it, all that a reader sees of it, or a walk.

Two orders that lead to the same state, answers included, have the same future, which is gone
through once; their number is still counted.
"""

from __future__ import annotations

import gc
import itertools
import random
from typing import TYPE_CHECKING, Any

from dynamodb_model import Database, Flight
from interleavings import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamodb_model import Key
    from interleavings import World

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
        if state in self._counts:
            return self._counts[state]
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
    flights = (Flight(under_way, "", 0, None),) if under_way else ()
    return State(Database(state.base.table, flights), (), acked=state.acked)


class Watch:
    """Goes through all that one actor which changes nothing may see of what the others do.

    Nobody else notices it, so what they do is searched without it, once; and what it may see of
    that are far fewer views than there are states. Views that look alike are taken for one, with
    the futures of all, which may show it more than can be, and never less.
    """

    def __init__(self, world: World, others: Search, check: Callable[[State], None]) -> None:
        self._world = world
        self._views = others.views
        self._last_views = others.last_views
        self._check = check
        self._counts: dict[tuple[State, State], int] = {}
        self._ends: set[State] = set()
        self._ahead: dict[State, tuple[frozenset[Key], frozenset[State]]] = {}

    def run(self, view: State) -> tuple[int, int]:
        """How many ways there are to read from a view on, and of how many states."""
        gc.disable()
        try:
            return self._count(view, self._world.start(view.base, 0)), len(self._counts)
        finally:
            gc.enable()

    def _count(self, view: State, state: State) -> int:
        """Go on from a *state* of the reader, who may see more of a *view* than it must."""
        if (view, state) in self._counts:
            return self._counts[view, state]
        changing, ends = self._future(view)
        if self._world.is_over(state):
            for end in ends:
                self._end(state._replace(base=end.base, acked=frozenset()))
            return 1
        early = [*self._world.calls_apart(state, changing)]
        count = sum(self._count(view, after) for _, after in early or self._world.calls(state))
        if not early:
            seen = view.base.locked() - state.base.locked()
            for ahead in self._views[view]:
                base = ahead.base
                for key in seen & base.locked():
                    base, _ = self._world.model.show(base, key)
                count += self._count(ahead, state._replace(base=base, acked=ahead.acked))
        self._counts[view, state] = count
        return count

    def _end(self, state: State) -> None:
        if state not in self._ends:
            self._ends.add(state)
            self._check(state)

    def _future(self, view: State) -> tuple[frozenset[Key], frozenset[State]]:
        """The rows that will be changed from a view on, and the views that it may end with."""
        if view not in self._ahead:
            keys: set[Key] = set()
            ends = {view} & self._last_views
            for ahead in self._views[view]:
                later, last = self._future(ahead)
                keys |= later | {key for key, _ in _writes(ahead) - _writes(view)}
                ends |= last
            self._ahead[view] = frozenset(keys), frozenset(ends)
        return self._ahead[view]


def _writes(view: State) -> set[tuple[Key, int]]:
    return {write for flight in view.base.flights for write in flight.rest}


def walk(world: World, state: State, check: Callable[[State], None], seed: int) -> int:
    """One interleaving by chance, checked at its end; how many steps it took."""
    chance = random.Random(seed)  # noqa: S311 - decides nothing secret
    for taken in itertools.count():
        if world.is_over(state):
            check(state)
            return taken
        _, state = chance.choice([*world.steps(state)])
    raise AssertionError
