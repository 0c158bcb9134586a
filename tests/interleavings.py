"""Every order in which actors' calls, DynamoDB's own steps and faults can come about.

An actor is real store code. It is not suspended in a thread: what it does next depends on nothing
but the answers it had, so it is run again from the start of its operation with these, up to the
first call without one. Two orders that lead to the same state, answers included, have the same
future, which is gone through once; their number is still counted.
"""

from __future__ import annotations

import gc
import itertools
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from dynamodb_model import CONFLICT, NONE, Answer, Database, Interned, Model
from sessions import Actor, Position, Record, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    type Step = tuple[tuple[Any, ...], State]
    """What happens, for people, and where it leads."""


class State(NamedTuple):
    """Where everything is."""

    base: Database
    positions: tuple[int, ...]
    progress: tuple[tuple[tuple[int, int], tuple[int, ...]], ...] = ()
    """What calls that read several rows have read so far, by actor and thread."""
    faults: int = 0
    acked: frozenset[tuple[int, int]] = frozenset()


class World:
    """Actors on one table: which steps there are from a state, and where each leads."""

    def __init__(self, model: Model, actors: list[Actor], head: tuple[str, str]) -> None:
        self.model = model
        self.actors = actors
        self._head = head
        self._places = [Interned(Position(), key=lambda position: position) for _ in actors]
        self._pending: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._moves: dict[tuple[int, int, int, Answer], tuple[int, int | None]] = {}

    def start(self, base: Database, faults: int) -> State:
        return State(base, (0,) * len(self.actors), faults=faults)

    def memory(self, state: State, number: int) -> tuple[Record, ...]:
        """What an actor remembers."""
        return self._places[number].values[state.positions[number]].memory

    def is_over(self, state: State) -> bool:
        """Whether every actor is done."""
        return all(not self._waiting(state, number) for number in range(len(self.actors)))

    def steps(self, state: State) -> Iterator[Step]:
        """Every step that may come next."""
        base = state.base
        for flight in base.flights:
            for place, (key, _) in enumerate(flight.rest):
                applied, is_last = self.model.apply(base, flight, place)
                moved = state._replace(base=applied)
                if is_last and flight.caller:
                    moved = self._tell(moved, *flight.caller, Answer("rows"))
                yield (flight.token, "shows", key[1]), moved
        for late in dict.fromkeys(base.late):
            rest = [*base.late]
            rest.remove(late)
            arrived, _ = self.model.commit(base._replace(late=tuple(rest)), late, None)
            yield (late, "arrives late"), state._replace(base=arrived)
        flying = {flight.caller for flight in base.flights}
        for number, actor in enumerate(self.actors):
            for thread, request in self._waiting(state, number):
                if (number, thread) not in flying:
                    operation = self.model.requests.values[request].operation
                    for label, after in self._call(state, number, thread, request):
                        yield (actor.name, operation, *label), after

    def _waiting(self, state: State, number: int) -> list[tuple[int, int]]:
        """The calls that an actor has sent or is about to send."""
        place = state.positions[number]
        if place == 0:
            head = self.model.rows.values[self.model.row(state.base.table, self._head)]
            if not self.actors[number].may_begin(head):
                return []
        if (number, place) not in self._pending:
            position = self._places[number].values[place]
            session = Session(self.model, self.actors[number], number, position)
            if not self.actors[number].is_done(position.memory):
                assert session.run() is None
            self._pending[number, place] = session.pending
        return self._pending[number, place]

    def _call(self, state: State, number: int, thread: int, request: int) -> Iterator[Step]:
        places = self._places[number]
        position = places.values[state.positions[number]]
        if position.begun is None:
            begun = places.number(position._replace(begun=state.acked))
            state = state._replace(positions=_with(state.positions, number, begun))
        operation = self.model.requests.values[request].operation
        if operation == "transact_write_items":
            base, answers = self.model.commit(state.base, request, (number, thread))
            if not answers:
                yield ("commits",), state._replace(base=base)
        elif operation == "transact_get_items":
            answers = [self._read_settled(state, request)]
        else:
            yield from self._step(state, number, thread, request)
            return
        for answer in answers:
            yield (answer,), self._tell(state, number, thread, answer)
        if state.faults:
            yield from self._fail(state._replace(faults=state.faults - 1), number, thread, request)

    def _fail(self, state: State, number: int, thread: int, request: int) -> Iterator[Step]:
        """A conflict with nothing to be seen, too many requests, an answer that is lost."""
        others = ((NONE, 0),) * (len(self.model.keys_of(request)) - 1)
        for answer in (
            Answer("cancelled", ((CONFLICT, 0), *others)),
            Answer("error", ("ThrottlingException",)),
        ):
            yield ("fault", answer), self._tell(state, number, thread, answer)
        if self.model.requests.values[request].operation == "transact_write_items":
            late = tuple(sorted((*state.base.late, request)))
            state = state._replace(base=state.base._replace(late=late))
        yield ("fault", "lost"), self._tell(state, number, thread, Answer("lost"))

    def _read_settled(self, state: State, request: int) -> Answer:
        keys = self.model.keys_of(request)
        locked = state.base.locked()
        if not locked.isdisjoint(keys):
            told = tuple((CONFLICT if key in locked else NONE, 0) for key in keys)
            return Answer("cancelled", told)
        return Answer("rows", tuple(self.model.row(state.base.table, key) for key in keys))

    def _step(self, state: State, number: int, thread: int, request: int) -> Iterator[Step]:
        """One row of a call that touches several, each at a moment of its own."""
        operation, arguments = self.model.requests.values[request]
        progress = dict(state.progress)
        so_far = progress.pop((number, thread), ())
        table = state.base.table
        if operation == "query":
            row = self.model.next_row(table, request, so_far[-1] if so_far else 0)
            seen = (*so_far, row) if row else so_far
            is_last = not row or len(seen) == arguments.get("Limit")
            yield self._progress(state, progress, (number, thread), seen, is_last=is_last)
            return
        keys = self.model.keys_of(request)
        if operation in {"get_item", "batch_get_item"}:
            for place, key in enumerate(keys):
                so_far = so_far or (-1,) * len(keys)
                if so_far[place] == -1:
                    seen = _with(so_far, place, self.model.row(table, key))
                    is_last = -1 not in seen
                    yield self._progress(state, progress, (number, thread), seen, is_last=is_last)
            return
        assert operation == "batch_write_item"
        key = keys[len(so_far)]
        if key not in state.base.locked():
            base = state.base._replace(table=self.model.written(table, key, 0))
            moved, seen = state._replace(base=base), (*so_far, 0)
            is_last = len(seen) == len(keys)
            yield self._progress(moved, progress, (number, thread), seen, is_last=is_last)

    def _progress(
        self,
        state: State,
        others: dict[tuple[int, int], tuple[int, ...]],
        who: tuple[int, int],
        seen: tuple[int, ...],
        *,
        is_last: bool,
    ) -> Step:
        if is_last:
            state = state._replace(progress=tuple(sorted(others.items())))
            return (seen,), self._tell(state, *who, Answer("rows", seen))
        return (seen,), state._replace(progress=tuple(sorted({**others, who: seen}.items())))

    def _tell(self, state: State, number: int, thread: int, answer: Answer) -> State:
        """Let an actor have an answer, and go on to its next call."""
        moved = (number, state.positions[number], thread, answer)
        if moved not in self._moves:
            self._moves[moved] = self._move(*moved)
        place, done = self._moves[moved]
        return state._replace(
            positions=_with(state.positions, number, place),
            acked=state.acked if done is None else state.acked | {(number, done)},
        )

    def _move(self, number: int, place: int, thread: int, answer: Answer) -> tuple[int, int | None]:
        """Where an answer brings an actor, and which of its operations is done by that."""
        places = self._places[number]
        position = places.values[place]
        histories = [*position.histories, *[()] * (thread + 1 - len(position.histories))]
        histories[thread] = (*histories[thread], answer)
        position = position._replace(histories=tuple(histories))
        session = Session(self.model, self.actors[number], number, position)
        outcome = session.run()
        if outcome is None:
            place = places.number(position)
            self._pending[number, place] = session.pending
            return place, None
        record = Record(*outcome, begun=position.begun or frozenset())
        done = len(position.memory) if record.kind == "done" else None
        return places.number(Position((*position.memory, record))), done


class Search:
    """Goes through every state that can be reached, and checks those where all is over."""

    def __init__(self, world: World, check: Callable[[State], None]) -> None:
        self._world = world
        self._check = check
        self._counts: dict[State, int] = {}
        self._path: list[tuple[Any, ...]] = []

    def run(self, state: State) -> tuple[int, int]:
        """How many interleavings there are from a state, and of how many states."""
        gc.disable()  # a search makes no cycles, and millions of tuples
        try:
            return self._count(state), len(self._counts)
        finally:
            gc.enable()

    def _count(self, state: State) -> int:
        if state in self._counts:
            return self._counts[state]
        count = 0
        if self._world.is_over(state):
            self._checked(state)
            count = 1
        if not count or state.base.late:
            for label, after in self._world.steps(state):
                self._path.append(label)
                count += self._count(after)
                self._path.pop()
        self._counts[state] = count
        return count

    def _checked(self, state: State) -> None:
        try:
            self._check(state)
        except AssertionError as error:
            error.add_note("\n".join(map(str, self._path)))
            raise


def walk(world: World, state: State, check: Callable[[State], None], seed: int) -> int:
    """One interleaving by chance, checked at its end; how many steps it took."""
    chance = random.Random(seed)  # noqa: S311 - decides nothing secret
    for taken in itertools.count():
        if world.is_over(state):
            check(state)
            return taken
        _, state = chance.choice([*world.steps(state)])
    raise AssertionError


def _with[Value](values: tuple[Value, ...], place: int, value: Value) -> tuple[Value, ...]:
    return (*values[:place], value, *values[place + 1 :])
