"""DynamoDB as it is documented, and no more: one table, stepped by whoever explores it.

What is guaranteed is there: conditions, all or nothing, one transaction at a time on a row, a
`ClientRequestToken` that is remembered. What is not guaranteed may happen:

- the rows of a committed transaction become visible one by one, in any order, to GetItem,
  BatchGetItem and Query, and go on doing so after the coordinator died;
- BatchGetItem reads each key, and Query each row, at a moment of its own;
- until all its rows are there, other transactions on them are cancelled with TransactionConflict,
  and the same token is answered TransactionInProgress;
- a request whose answer is lost arrives at any later moment, or never.

A state is small, immutable and hashable: rows, requests and tables are numbers of interned values.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from expressions import holds, updated

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

type Row = dict[str, Any]
type Key = tuple[str, str]

NONE, FAILED, CONFLICT = "None", "ConditionalCheckFailed", "TransactionConflict"


class Request(NamedTuple):
    """What a client method was called with."""

    operation: str
    arguments: Row


class Answer(NamedTuple):
    """What a call ends with, but for the words of boto3."""

    kind: str
    """Rows, cancelled, error or lost."""
    details: tuple[Any, ...] = ()


class Flight(NamedTuple):
    """A transaction that is committed and not yet visible as a whole."""

    rest: tuple[tuple[Key, int], ...]
    """What is still to be written: rows by number, 0 for a deletion."""
    token: str
    request: int
    caller: tuple[int, int] | None
    """Who waits for the answer, if anybody still does."""


class Database(NamedTuple):
    """All that DynamoDB knows, and what is on its way there."""

    table: int = 0
    flights: tuple[Flight, ...] = ()
    tokens: frozenset[tuple[str, int]] = frozenset()
    late: tuple[int, ...] = ()
    """Transactions whose answer was lost, and which have not arrived so far."""

    def locked(self) -> set[Key]:
        return {key for flight in self.flights for key, _ in flight.rest}


class Interned[Value]:
    """Values by small numbers, the same for equal ones."""

    def __init__(self, first: Value, key: Callable[[Value], Hashable] = repr) -> None:
        self._key = key
        self._numbers = {key(first): 0}
        self.values = [first]

    def number(self, value: Value) -> int:
        number = self._numbers.setdefault(self._key(value), len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


class Model:
    """What DynamoDB does with requests; it holds no state but the interned values."""

    def __init__(self, *, remembers_tokens: bool = True) -> None:
        self.rows = Interned[Row]({})
        self.requests = Interned(Request("", {}))
        self.tables = Interned[dict[Key, int]]({})
        self._remembers_tokens = remembers_tokens
        self.keys_of = functools.cache(self._keys_of)
        self.written = functools.cache(self._written)
        self.next_row = functools.cache(self._next_row)
        self._prepared = functools.cache(self._prepare)

    def row(self, table: int, key: Key) -> int:
        """The number of the row at a key, 0 if there is none."""
        return self.tables.values[table].get(key, 0)

    def commit(
        self, base: Database, number: int, caller: tuple[int, int] | None
    ) -> tuple[Database, list[Answer]]:
        """Let a transaction arrive: either it is answered, in one of these ways, or it flies."""
        token = self.requests.values[number].arguments["ClientRequestToken"]
        if any(flight.token == token for flight in base.flights):
            return base, [Answer("error", ("TransactionInProgressException",))]
        known = dict(base.tokens)
        if token in known:
            same = known[token] == number
            return base, [
                Answer("rows") if same else Answer("error", ("IdempotentParameterMismatch",))
            ]
        locked = base.locked()
        reasons, writes = self._prepared(number, base.table)
        if locked.isdisjoint(self.keys_of(number)):
            if writes is None:
                return base, [Answer("cancelled", reasons)]
            return base._replace(flights=(*base.flights, Flight(writes, token, number, caller))), []
        return base, _conflicts([key in locked for key in self.keys_of(number)], reasons)

    def apply(self, base: Database, flight: Flight, place: int) -> tuple[Database, bool]:
        """Make one more row of a transaction visible; whether it was the last."""
        key, row = flight.rest[place]
        rest = (*flight.rest[:place], *flight.rest[place + 1 :])
        others = tuple(other for other in base.flights if other is not flight)
        table = self.written(base.table, key, row)
        if rest:
            flights = (*others, flight._replace(rest=rest))
            return base._replace(table=table, flights=flights), False
        tokens = base.tokens
        if self._remembers_tokens:
            tokens |= {(flight.token, flight.request)}
        return base._replace(table=table, flights=others, tokens=tokens), True

    def settled(self, base: Database) -> Database:
        """The state when all that is committed is visible."""
        while base.flights:
            base, _ = self.apply(base, base.flights[0], 0)
        return base

    def _next_row(self, table: int, number: int, last: int) -> int:
        """The row with which a query goes on behind its *last* one, 0 if there is none."""
        arguments = self.requests.values[number].arguments
        key = self.rows.values[last] if last else arguments.get("ExclusiveStartKey")
        start = key["sk"]["S"] if key else None
        ascending = arguments.get("ScanIndexForward", True)
        found = {
            sk: row
            for (pk, sk), row in self.tables.values[table].items()
            if (start is None or (sk > start if ascending else sk < start))
            and holds(
                arguments["KeyConditionExpression"], {"pk": {"S": pk}, "sk": {"S": sk}}, arguments
            )
        }
        return found[(min if ascending else max)(found)] if found else 0

    def _keys_of(self, number: int) -> list[Key]:
        """The keys that a request is about, in its order."""
        operation, arguments = self.requests.values[number]
        match operation:
            case "get_item" | "update_item":
                keys = [arguments["Key"]]
            case "batch_get_item":
                [asked] = arguments["RequestItems"].values()
                keys = asked["Keys"]
            case "batch_write_item":
                [requests] = arguments["RequestItems"].values()
                keys = [request["DeleteRequest"]["Key"] for request in requests]
            case _:
                actions = [action for [action] in map(dict.values, arguments["TransactItems"])]
                keys = [action.get("Key") or action["Item"] for action in actions]
        return [(key["pk"]["S"], key["sk"]["S"]) for key in keys]

    def _written(self, table: int, key: Key, row: int) -> int:
        rest = {
            other: number for other, number in self.tables.values[table].items() if other != key
        }
        return self.tables.number(dict(sorted({**rest, **({key: row} if row else {})}.items())))

    def _prepare(
        self, number: int, table: int
    ) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[Key, int], ...] | None]:
        """The reasons not to do a transaction, and, where there is none, what it writes."""
        reasons: list[tuple[str, int]] = []
        writes: list[tuple[Key, int]] = []
        arguments = self.requests.values[number].arguments
        for action, key in zip(arguments["TransactItems"], self.keys_of(number), strict=True):
            [(kind, request)] = action.items()
            before = self.row(table, key)
            row = self.rows.values[before]
            is_told = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            fails = not holds(request.get("ConditionExpression"), row, request)
            reasons.append((FAILED, before if is_told else 0) if fails else (NONE, 0))
            if kind != "ConditionCheck" and not fails:
                writes.append((key, self._outcome(kind, key, row, request)))
        has_failed = any(code == FAILED for code, _ in reasons)
        return tuple(reasons), None if has_failed else tuple(writes)

    def _outcome(self, kind: str, key: Key, row: Row, request: Row) -> int:
        match kind:
            case "Put":
                return self.rows.number(request["Item"])
            case "Update":
                old = row or {"pk": {"S": key[0]}, "sk": {"S": key[1]}}
                return self.rows.number(updated(request["UpdateExpression"], old, request))
            case _:
                assert kind == "Delete"
                return 0


def _conflicts(is_locked: list[bool], reasons: tuple[tuple[str, int], ...]) -> list[Answer]:
    """A conflict is told beside the conditions that failed on other rows, or without them."""
    alone = tuple((CONFLICT if locked else NONE, 0) for locked in is_locked)
    beside = tuple(
        (CONFLICT, 0) if locked else reason
        for locked, reason in zip(is_locked, reasons, strict=True)
    )
    return [Answer("cancelled", told) for told in dict.fromkeys((alone, beside))]
