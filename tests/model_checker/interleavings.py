"""Actors on one table: every step that their calls, DynamoDB and faults can take from a state.

An actor is real store code. It is not suspended in a thread: what it does next depends on nothing
but the answers it had, so it is run again from the start of its operation with these, up to the
first call without one.

Of orders that nobody can tell apart, one is gone through. A row that is under way becomes visible
when somebody reads it, or meets it with a transaction, or at the end of its transaction; and a
call that reads several rows reads them at once, except for what is about to change.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.model_checker.actors import Actor, Position, Record, Session
from tests.model_checker.dynamodb_model import (
    CONFLICT,
    NONE,
    SCANS,
    SINGLE_WRITES,
    Answer,
    Database,
    Interned,
    Model,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from tests.model_checker.dynamodb_model import Key

    type Step = tuple[tuple[Any, ...], State]
    """What happens, for people, and where it leads."""
    type Reading = tuple[State, tuple[int, ...], bool]
    """Where reading leads, the rows that were read so far, and whether that is all."""


class State(NamedTuple):
    """Where everything is."""

    base: Database
    positions: tuple[int, ...]
    progress: tuple[tuple[tuple[int, int], tuple[int, ...]], ...] = ()
    """What calls that read several rows have read so far, by actor and thread."""
    faults: int = 0
    acked: frozenset[tuple[str, Any]] = frozenset()
    """What was acknowledged so far, by the actor's name."""


class World:
    """Actors on one table: which steps there are from a state, and where each leads."""

    def __init__(self, model: Model, actors: list[Actor], head: tuple[str, str]) -> None:
        self.model = model
        self.actors = actors
        self._head = head
        self._places = [Interned(Position(), key=_alike) for _ in actors]
        self._pending: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._moves: dict[tuple[int, int, int, Answer], tuple[int, Any]] = {}

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
            keys = [key for key, _ in flight.rest]
            yield (flight.token, "is there"), self._show(state, keys)
        for late in dict.fromkeys(base.late):
            rest = [*base.late]
            rest.remove(late)
            for label, shown in self._meet(
                state._replace(base=base._replace(late=tuple(rest))), late
            ):
                if not self.model.is_held_up(shown.base):
                    arrived, _ = self.model.commit(shown.base, late, None)
                    yield (late, "arrives late", *label), shown._replace(base=arrived)
        yield from self.calls(state)

    def calls(self, state: State) -> Iterator[Step]:
        """Every step of the actors themselves."""
        flying = {flight.caller for flight in state.base.flights}
        for number, actor in enumerate(self.actors):
            for thread, request in self._waiting(state, number):
                if (number, thread) not in flying:
                    operation = self.model.requests.values[request].operation
                    for label, after in self._call(state, number, thread, request):
                        yield (actor.name, operation, *label), after

    def calls_apart(self, state: State, changing: frozenset[Key]) -> Iterator[Step]:
        """The steps of a call that reads nothing of what is *changing*."""
        for number, _ in enumerate(self.actors):
            for thread, request in self._waiting(state, number):
                if not any(self.model.touches(request, key) for key in changing):
                    yield from self._call(state, number, thread, request)
                    return

    def _show(self, state: State, keys: Iterable[Key]) -> State:
        """Make rows visible that are under way, and tell the writer of the last that all are."""
        for key in keys:
            base, ended = self.model.show(state.base, key)
            state = State(base, *state[1:])
            if ended and ended.caller:
                state = self._tell(state, *ended.caller, Answer("rows"))
        return state

    def _meet(self, state: State, request: int) -> Iterator[Step]:
        """How far what is under way to a request's rows may be when it arrives."""
        locked = state.base.locked().intersection(self.model.keys_of(request))
        for count in range(len(locked) + 1):
            for keys in itertools.combinations(sorted(locked), count):
                yield tuple(f"{sk} is there" for _, sk in keys), self._show(state, keys)

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
        actor = self.actors[number]
        if position.begun is None and (actor.is_reader or actor.pairs):
            begun = places.number(position._replace(begun=state.acked))
            state = state._replace(positions=_with(state.positions, number, begun))
        operation = self.model.requests.values[request].operation
        keys = [] if operation in SCANS else self.model.keys_of(request)
        if operation == "batch_get_item" and len({*keys}) < len(keys):
            refused = Answer("error", ("ValidationException",))
            yield ("a key twice",), self._tell(state, number, thread, refused)
            return
        if not operation.startswith("transact"):
            yield from self._step(state, number, thread, request)
            return
        for label, met in self._meet(state, request):
            if operation == "transact_get_items":
                answers = self._read_settled(met, number, request)
            else:
                if self.model.is_held_up(met.base):
                    continue
                base, answers = self.model.commit(met.base, request, (number, thread))
                if not answers:
                    yield (*label, "commits"), State(base, *met[1:])
            for answer in answers:
                yield (*label, answer), self._tell(met, number, thread, answer)
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

    def _read_settled(self, state: State, number: int, request: int) -> list[Answer]:
        keys = self.model.keys_of(request)
        locked = state.base.locked()
        if locked.isdisjoint(keys):
            return [Answer("rows", tuple(self.model.row(state.base.table, key) for key in keys))]
        told = tuple((CONFLICT if key in locked else NONE, 0) for key in keys)
        return [] if self.actors[number].waits else [Answer("cancelled", told)]

    def _step(self, state: State, number: int, thread: int, request: int) -> Iterator[Step]:
        """Some or all of the rows of a call that touches several, each at a moment of its own."""
        operation = self.model.requests.values[request].operation
        progress = dict(state.progress)
        so_far = progress.pop((number, thread), ())
        state = state._replace(progress=tuple(sorted(progress.items())))
        steps = self._read
        if operation in SCANS | SINGLE_WRITES:
            steps = self._scan if operation in SCANS else self._write
        if "IndexName" in self.model.requests.values[request].arguments:
            steps = self._scan_index
        for after, seen, is_last in steps(state, request, so_far):
            if is_last:
                yield (seen,), self._tell(after, number, thread, Answer("rows", seen))
            else:
                others = (*after.progress, ((number, thread), seen))
                yield (seen,), after._replace(progress=tuple(sorted(others)))

    def _scan(self, state: State, request: int, seen: tuple[int, ...]) -> Iterator[Reading]:
        """A query: to its end, or as far as it sees what is about to change."""
        limit = self.model.requests.values[request].arguments.get("Limit")
        for after, row, is_passing in self._next_rows(state, request, seen[-1] if seen else 0):
            found = (*seen, row) if row else seen
            if not row or len(found) == limit:
                yield after, found, True
            else:
                if is_passing:
                    yield after, found, False
                yield from self._scan(after, request, found)

    def _scan_index(self, state: State, request: int, seen: tuple[int, ...]) -> Iterator[Reading]:
        """A query of the index, at one moment: what it may find only grows while others write."""
        yield from (
            (state, (*seen, *found), True) for found in self.model.index_pages(state.base, request)
        )

    def _next_rows(
        self, state: State, request: int, last: int
    ) -> Iterator[tuple[State, int, bool]]:
        """The rows with which a query may go on behind its *last* one, 0 for none."""
        passing = self._passing(state)
        is_passing = False
        for key in self.model.behind(state.base, request, last):
            is_passing |= key in passing
            moments = self._moments(state, key)
            found = [self.model.row(moment.base.table, key) for moment in moments]
            for after, row in zip(moments, found, strict=True):
                if row:
                    yield after, row, is_passing
            if 0 not in found:
                return
            state = moments[found.index(0)]
        yield state, 0, False

    def _read(self, state: State, request: int, seen: tuple[int, ...]) -> Iterator[Reading]:
        """A read by keys: all that are left, or one that is about to change."""
        keys = self.model.keys_of(request)
        seen = seen or (-1,) * len(keys)
        left = [place for place, row in enumerate(seen) if row == -1]
        for place in left if len(left) > 1 else []:
            if keys[place] in self._passing(state):
                row = self.model.row(state.base.table, keys[place])
                yield state, _with(seen, place, row), False
        ends = [(state, seen)]
        for place in left:
            ends = [
                (after, _with(so_far, place, self.model.row(after.base.table, keys[place])))
                for before, so_far in ends
                for after in self._moments(before, keys[place])
            ]
        yield from ((after, found, True) for after, found in ends)

    def _write(self, state: State, request: int, seen: tuple[int, ...]) -> Iterator[Reading]:
        """The next row of a write by keys, when no transaction is under way on it."""
        keys = self.model.keys_of(request)
        key = keys[len(seen)]
        [*_, after] = self._moments(state, key)
        row = self.model.put_row(request)
        base = after.base._replace(table=self.model.written(after.base.table, key, row))
        yield after._replace(base=base), (*seen, 0), len(seen) + 1 == len(keys)

    def _moments(self, state: State, key: Key) -> list[State]:
        """Before and, if a change of a row is under way, after it."""
        return [state, *([self._show(state, [key])] if key in state.base.locked() else [])]

    def _passing(self, state: State) -> set[Key]:
        """The rows that the next step of another may change: what a read must not be late for."""
        passing = state.base.locked()
        for number in range(len(self.actors)):
            for _, request in self._waiting(state, number):
                if self.model.requests.values[request].operation in SINGLE_WRITES:
                    passing.update(self.model.keys_of(request))
        return passing

    def _tell(self, state: State, number: int, thread: int, answer: Answer) -> State:
        """Let an actor have an answer, and go on to its next call."""
        moved = (number, state.positions[number], thread, answer)
        if moved not in self._moves:
            self._moves[moved] = self._move(*moved)
        place, done = self._moves[moved]
        acked = state.acked if done is None else state.acked | {(self.actors[number].name, done)}
        positions = _with(state.positions, number, place)
        return State(state.base, positions, state.progress, state.faults, acked)

    def _move(self, number: int, place: int, thread: int, answer: Answer) -> tuple[int, Any]:
        """Where an answer brings an actor, and what is acknowledged by that."""
        places = self._places[number]
        position = places.values[place]
        histories = [*position.histories, *[()] * (thread + 1 - len(position.histories))]
        histories[thread] = (*histories[thread], answer)
        position = position._replace(histories=tuple(histories))
        session = Session(self.model, self.actors[number], number, position)
        outcome = session.run()
        if outcome is None:
            place = places.number(position._replace(fingerprint=session.fingerprint))
            self._pending[number, place] = session.pending
            return place, None
        record = Record(*outcome, begun=position.begun or frozenset())
        memory = (*position.memory, record)
        done = record.value if record.kind == "done" and not self.actors[number].is_reader else None
        return places.number(Position(memory)), done


def _alike(position: Position) -> Hashable:
    return position.memory, position.begun, position.fingerprint


def _with[Value](values: tuple[Value, ...], place: int, value: Value) -> tuple[Value, ...]:
    return (*values[:place], value, *values[place + 1 :])
