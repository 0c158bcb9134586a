"""Actors on one table, and every step that is possible from a state: calls, DynamoDB, faults.

An actor is real store code. No thread holds its state: its next call depends only on its responses
so far, so each step reruns the operation from its start with these, up to the first call without a
response.

Of orders that no actor can distinguish, the search takes one. An in-flight row becomes visible when
an actor reads it, when a transaction touches it, or when its transaction ends. A call that reads
several rows reads them at once, except those that are about to change.
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
    Database,
    Interned,
    Model,
    Response,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from tests.model_checker.dynamodb_model import Key

    type Step = tuple[tuple[Any, ...], State]
    """Label of a step, for counterexamples, and the next state."""
    type Reading = tuple[State, tuple[int, ...], bool]
    """State after a read, the rows read so far, and whether the call is complete."""


class State(NamedTuple):
    """State of the database and of all actors."""

    base: Database
    positions: tuple[int, ...]
    progress: tuple[tuple[tuple[int, int], tuple[int, ...]], ...] = ()
    """Rows that incomplete calls have read so far, by actor and thread."""
    faults: int = 0
    acked: frozenset[tuple[str, Any]] = frozenset()
    """Results acknowledged so far, by the actor's name."""


class World:
    """Transition relation of actors on one table."""

    def __init__(self, model: Model, actors: list[Actor], head: tuple[str, str]) -> None:
        self.model = model
        self.actors = actors
        self._head = head
        self._places = [Interned(Position(), key=_alike) for _ in actors]
        self._pending: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._moves: dict[tuple[int, int, int, Response], tuple[int, Any]] = {}

    def start(self, base: Database, faults: int) -> State:
        return State(base, (0,) * len(self.actors), faults=faults)

    def records(self, state: State, number: int) -> tuple[Record, ...]:
        """Return the outcomes of an actor's operations."""
        return self._places[number].values[state.positions[number]].records

    def is_over(self, state: State) -> bool:
        """Return whether every actor is done."""
        return all(not self._waiting(state, number) for number in range(len(self.actors)))

    def steps(self, state: State) -> Iterator[Step]:
        """Yield every possible next step."""
        base = state.base
        for flight in base.flights:
            keys = [key for key, _ in flight.rest]
            yield (flight.token, "is there"), self._show(state, keys)
        for late in dict.fromkeys(base.late):
            rest = [*base.late]
            rest.remove(late)
            for label, shown in self._arrivals(
                state._replace(base=base._replace(late=tuple(rest))), late
            ):
                if not self.model.must_wait(shown.base):
                    arrived, _ = self.model.commit(shown.base, late, None)
                    yield (late, "arrives late", *label), shown._replace(base=arrived)
        yield from self.calls(state)

    def calls(self, state: State) -> Iterator[Step]:
        """Yield every possible step of the actors."""
        flying = {flight.caller for flight in state.base.flights}
        for number, actor in enumerate(self.actors):
            for thread, request in self._waiting(state, number):
                if (number, thread) not in flying:
                    operation = self.model.requests.values[request].operation
                    for label, after in self._call(state, number, thread, request):
                        yield (actor.name, operation, *label), after

    def calls_apart(self, state: State, changing: frozenset[Key]) -> Iterator[Step]:
        """Yield the steps of one call that touches no *changing* row."""
        for number, _ in enumerate(self.actors):
            for thread, request in self._waiting(state, number):
                if not any(self.model.touches(request, key) for key in changing):
                    yield from self._call(state, number, thread, request)
                    return

    def _show(self, state: State, keys: Iterable[Key]) -> State:
        """Make in-flight rows visible; the last one of a transaction responds to its writer."""
        for key in keys:
            base, ended = self.model.show(state.base, key)
            state = State(base, *state[1:])
            if ended and ended.caller:
                state = self._respond(state, *ended.caller, Response("rows"))
        return state

    def _arrivals(self, state: State, request: int) -> Iterator[Step]:
        """Yield the states in which a request may arrive: with in-flight rows visible or not."""
        locked = state.base.locked().intersection(self.model.keys_of(request))
        for count in range(len(locked) + 1):
            for keys in itertools.combinations(sorted(locked), count):
                yield tuple(f"{sk} is there" for _, sk in keys), self._show(state, keys)

    def _waiting(self, state: State, number: int) -> list[tuple[int, int]]:
        """Return the calls that an actor has sent or is about to send."""
        place = state.positions[number]
        if place == 0:
            head = self.model.rows.values[self.model.row(state.base.table, self._head)]
            if not self.actors[number].may_begin(head):
                return []
        if (number, place) not in self._pending:
            position = self._places[number].values[place]
            session = Session(self.model, self.actors[number], number, position)
            if not self.actors[number].is_done(position.records):
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
            rejected = Response("error", ("ValidationException",))
            yield ("a key twice",), self._respond(state, number, thread, rejected)
            return
        if not operation.startswith("transact"):
            yield from self._step(state, number, thread, request)
            return
        for label, met in self._arrivals(state, request):
            if operation == "transact_get_items":
                responses = self._read_settled(met, number, request)
            else:
                if self.model.must_wait(met.base):
                    continue
                base, responses = self.model.commit(met.base, request, (number, thread))
                if not responses:
                    yield (*label, "commits"), State(base, *met[1:])
            for response in responses:
                yield (*label, response), self._respond(met, number, thread, response)
        if state.faults:
            yield from self._fail(state._replace(faults=state.faults - 1), number, thread, request)

    def _fail(self, state: State, number: int, thread: int, request: int) -> Iterator[Step]:
        """Yield the faults of a call: a spurious conflict, throttling, a lost response."""
        others = ((NONE, 0),) * (len(self.model.keys_of(request)) - 1)
        for response in (
            Response("cancelled", ((CONFLICT, 0), *others)),
            Response("error", ("ThrottlingException",)),
        ):
            yield ("fault", response), self._respond(state, number, thread, response)
        if self.model.requests.values[request].operation == "transact_write_items":
            late = tuple(sorted((*state.base.late, request)))
            state = state._replace(base=state.base._replace(late=late))
        yield ("fault", "lost"), self._respond(state, number, thread, Response("lost"))

    def _read_settled(self, state: State, number: int, request: int) -> list[Response]:
        keys = self.model.keys_of(request)
        locked = state.base.locked()
        if locked.isdisjoint(keys):
            return [Response("rows", tuple(self.model.row(state.base.table, key) for key in keys))]
        reasons = tuple((CONFLICT if key in locked else NONE, 0) for key in keys)
        return [] if self.actors[number].waits else [Response("cancelled", reasons)]

    def _step(self, state: State, number: int, thread: int, request: int) -> Iterator[Step]:
        """Yield the next parts of a call that reads or writes rows at different times."""
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
                yield (seen,), self._respond(after, number, thread, Response("rows", seen))
            else:
                others = (*after.progress, ((number, thread), seen))
                yield (seen,), after._replace(progress=tuple(sorted(others)))

    def _scan(self, state: State, request: int, seen: tuple[int, ...]) -> Iterator[Reading]:
        """Yield continuations of a query: to its end, or up to a row that is about to change."""
        limit = self.model.requests.values[request].arguments.get("Limit")
        for after, row, is_about_to_change in self._next_rows(
            state, request, seen[-1] if seen else 0
        ):
            found = (*seen, row) if row else seen
            if not row or len(found) == limit:
                yield after, found, True
            else:
                if is_about_to_change:
                    yield after, found, False
                yield from self._scan(after, request, found)

    def _scan_index(self, state: State, request: int, seen: tuple[int, ...]) -> Iterator[Reading]:
        """Yield the results of an index query, at one time: later queries may see only more."""
        yield from (
            (state, (*seen, *found), True) for found in self.model.index_pages(state.base, request)
        )

    def _next_rows(
        self, state: State, request: int, last: int
    ) -> Iterator[tuple[State, int, bool]]:
        """Yield the rows that a query may read after its *last* one, 0 for none."""
        about_to_change = self._about_to_change(state)
        is_about_to_change = False
        for key in self.model.behind(state.base, request, last):
            is_about_to_change |= key in about_to_change
            moments = self._moments(state, key)
            found = [self.model.row(moment.base.table, key) for moment in moments]
            for after, row in zip(moments, found, strict=True):
                if row:
                    yield after, row, is_about_to_change
            if 0 not in found:
                return
            state = moments[found.index(0)]
        yield state, 0, False

    def _read(self, state: State, request: int, seen: tuple[int, ...]) -> Iterator[Reading]:
        """Yield continuations of a read by keys: all other rows, or one that is about to change."""
        keys = self.model.keys_of(request)
        seen = seen or (-1,) * len(keys)
        left = [place for place, row in enumerate(seen) if row == -1]
        for place in left if len(left) > 1 else []:
            if keys[place] in self._about_to_change(state):
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
        """Yield the next row of a write by keys, after any transaction on it."""
        keys = self.model.keys_of(request)
        key = keys[len(seen)]
        [*_, after] = self._moments(state, key)
        row = self.model.put_row(request)
        base = after.base._replace(table=self.model.written(after.base.table, key, row))
        yield after._replace(base=base), (*seen, 0), len(seen) + 1 == len(keys)

    def _moments(self, state: State, key: Key) -> list[State]:
        """Return the state and, if the row has a change in flight, the state after it."""
        return [state, *([self._show(state, [key])] if key in state.base.locked() else [])]

    def _about_to_change(self, state: State) -> set[Key]:
        """Return the rows that the next step of another actor may change."""
        about_to_change = state.base.locked()
        for number in range(len(self.actors)):
            for _, request in self._waiting(state, number):
                if self.model.requests.values[request].operation in SINGLE_WRITES:
                    about_to_change.update(self.model.keys_of(request))
        return about_to_change

    def _respond(self, state: State, number: int, thread: int, response: Response) -> State:
        """Give an actor a response, and advance it to its next call."""
        moved = (number, state.positions[number], thread, response)
        if moved not in self._moves:
            self._moves[moved] = self._move(*moved)
        place, done = self._moves[moved]
        acked = state.acked if done is None else state.acked | {(self.actors[number].name, done)}
        positions = _with(state.positions, number, place)
        return State(state.base, positions, state.progress, state.faults, acked)

    def _move(self, number: int, place: int, thread: int, response: Response) -> tuple[int, Any]:
        """Return an actor's position after a response, and the result that it acknowledges."""
        places = self._places[number]
        position = places.values[place]
        histories = [*position.histories, *[()] * (thread + 1 - len(position.histories))]
        histories[thread] = (*histories[thread], response)
        position = position._replace(histories=tuple(histories))
        session = Session(self.model, self.actors[number], number, position)
        outcome = session.run()
        if outcome is None:
            place = places.number(position._replace(fingerprint=session.fingerprint))
            self._pending[number, place] = session.pending
            return place, None
        record = Record(*outcome, begun=position.begun or frozenset())
        records = (*position.records, record)
        done = record.value if record.kind == "done" and not self.actors[number].is_reader else None
        return places.number(Position(records)), done


def _alike(position: Position) -> Hashable:
    return position.records, position.begun, position.fingerprint


def _with[Value](values: tuple[Value, ...], place: int, value: Value) -> tuple[Value, ...]:
    return (*values[:place], value, *values[place + 1 :])
