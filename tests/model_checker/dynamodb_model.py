"""Model of DynamoDB with exactly its documented guarantees, for one table.

It guarantees conditions, atomicity, one transaction at a time on a row, and idempotent
`ClientRequestToken`s. What DynamoDB does not guarantee may happen in any way:

- the rows of a committed transaction become visible one by one, in any order, to GetItem,
  BatchGetItem and Query;
- BatchGetItem reads each key, and Query each row, at a different time;
- until all its rows are visible, other transactions on them are cancelled with TransactionConflict,
  and a request with the same token fails with TransactionInProgress;
- a request whose response is lost arrives at any later time, or never;
- a Query of an index may or may not see a written or removed entry: see `index_model`.

S3 is part of the model: an object is a row whose partition is the bucket, and each call is atomic.

The model assumes one thing that is not documented: a transaction is fully visible before the
twelfth transaction after it commits. The conversation row names only the latest twelve batches.

A state is small, immutable and hashable: rows, requests and tables are numbers of interned values.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.model_checker import index_model
from tests.model_checker.expressions import holds, updated

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tests.model_checker.index_model import Index

type Row = dict[str, Any]
type Key = tuple[str, str]

MAX_IN_FLIGHT = 12
"""Maximum number of transactions in flight, counted from the newest."""
SCANS = {"query", "list_objects_v2"}
"""Operations that read all rows between two keys."""
SINGLE_WRITES = {"batch_write_item", "delete_objects", "put_object"}
"""Operations that change rows without a transaction, each row at a different time."""
NONE, FAILED, CONFLICT = "None", "ConditionalCheckFailed", "TransactionConflict"


class Request(NamedTuple):
    """Call of a client method."""

    operation: str
    arguments: Row


class Response(NamedTuple):
    """Response to a call, before it is converted to boto3's format."""

    kind: str
    """`rows`, `cancelled`, `error` or `lost`."""
    details: tuple[Any, ...] = ()


class InFlightTransaction(NamedTuple):
    """Transaction that is committed and not yet fully visible."""

    rest: tuple[tuple[Key, int], ...]
    """Rows that are not visible yet, by number; 0 is a deletion."""
    token: str
    request: int
    caller: tuple[int, int] | None
    """Actor and thread that wait for the response, if any."""
    younger: int = 0
    """Number of transactions committed since."""


_token = operator.attrgetter("token")


class Database(NamedTuple):
    """State of DynamoDB, and the requests on their way to it."""

    table: int = 0
    flights: tuple[InFlightTransaction, ...] = ()
    tokens: frozenset[tuple[str, int]] = frozenset()
    late: tuple[int, ...] = ()
    """Transactions whose response was lost, and which have not arrived yet."""
    entries: Index = ()

    def locked(self) -> set[Key]:
        return {key for flight in self.flights for key, _ in flight.rest}


class Interned[Value]:
    """Table of values, with equal numbers for equal values."""

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
    """Behavior of DynamoDB; its only state are the interned values."""

    def __init__(self, *, remembers_tokens: bool = True) -> None:
        self.rows = Interned[Row]({})
        self.requests = Interned(Request("", {}))
        self.tables = Interned[dict[Key, int]]({})
        self._remembers_tokens = remembers_tokens
        self.keys_of = functools.cache(self._keys_of)
        self.written = functools.cache(self._written)
        self.show = functools.cache(self._shown)
        self._is_behind = functools.cache(self._lies_behind)
        self._prepared = functools.cache(self._prepare)

    def row(self, table: int, key: Key) -> int:
        """Return the number of the row at a key, 0 if there is none."""
        return self.tables.values[table].get(key, 0)

    def must_wait(self, base: Database) -> bool:
        """Return whether a new transaction must wait until an older one is fully visible."""
        return any(flight.younger == MAX_IN_FLIGHT - 1 for flight in base.flights)

    def commit(
        self, base: Database, number: int, caller: tuple[int, int] | None
    ) -> tuple[Database, list[Response]]:
        """Process a transaction: return its possible responses, or none if it is now in flight."""
        token = self.requests.values[number].arguments["ClientRequestToken"]
        if any(flight.token == token for flight in base.flights):
            return base, [Response("error", ("TransactionInProgressException",))]
        known = dict(base.tokens)
        if token in known:
            same = known[token] == number
            return base, [
                Response("rows") if same else Response("error", ("IdempotentParameterMismatch",))
            ]
        locked = base.locked()
        reasons, writes = self._prepared(number, base.table)
        if locked.isdisjoint(self.keys_of(number)):
            if writes is None:
                return base, [Response("cancelled", reasons)]
            older = (flight._replace(younger=flight.younger + 1) for flight in base.flights)
            flights = (*older, InFlightTransaction(writes, token, number, caller))
            return base._replace(flights=tuple(sorted(flights, key=_token))), []
        return base, _conflicts([key in locked for key in self.keys_of(number)], reasons)

    def _shown(self, base: Database, key: Key) -> tuple[Database, InFlightTransaction | None]:
        """Make an in-flight row visible; return its transaction if that was the last row."""
        [flight] = [flight for flight in base.flights if key in dict(flight.rest)]
        rest = tuple((other, row) for other, row in flight.rest if other != key)
        others = tuple(other for other in base.flights if other is not flight)
        row = dict(flight.rest)[key]
        entries = self._indexed(base.entries, self.row(base.table, key), row)
        base = base._replace(table=self.written(base.table, key, row), entries=entries)
        if rest:
            flights = (*others, flight._replace(rest=rest))
            return base._replace(flights=tuple(sorted(flights, key=_token))), None
        tokens = base.tokens
        if self._remembers_tokens:
            tokens |= {(flight.token, flight.request)}
        return self._drop_dead_requests(base._replace(flights=others, tokens=tokens)), flight

    def entry(self, row: int) -> int:
        """Return the index entry of a row, 0 if it has none."""
        return self.rows.number(index_model.entry_of(self.rows.values[row]))

    def _indexed(self, index: Index, before: int, after: int) -> Index:
        entries = {self.entry(before), self.entry(after)}
        return index_model.with_change(index, entries - {0}) if len(entries) > 1 else index

    def index_pages(self, base: Database, number: int) -> list[tuple[int, ...]]:
        """Return every result that a query of the index may have."""
        rows = ((self.rows.values[entry], entry, is_sure) for entry, is_sure in base.entries)
        return index_model.pages(self.requests.values[number].arguments, rows)

    def _drop_dead_requests(self, base: Database) -> Database:
        """Drop late requests that can have no effect any more.

        A conversation's `last_key` and `rev` only grow, and its deletion is final, so a failed
        condition on its row fails forever, except one on its metadata. A request with a known
        token took effect before.
        """
        if not base.late:
            return base
        known = dict(base.tokens)
        tokens = [self.requests.values[late].arguments["ClientRequestToken"] for late in base.late]
        late = tuple(
            late
            for late, token in zip(base.late, tokens, strict=True)
            if token not in known
            and (self._prepared(late, base.table)[0][0][0] != FAILED or self._may_hold_again(late))
        )
        return base._replace(late=late)

    def _may_hold_again(self, late: int) -> bool:
        [action] = self.requests.values[late].arguments["TransactItems"][0].values()
        return "metadata = " in action["ConditionExpression"]

    def settled(self, base: Database) -> Database:
        """Return the state with all committed rows visible."""
        while base.flights:
            base, _ = self.show(base, base.flights[0].rest[0][0])
        return base

    def behind(self, base: Database, number: int, last: int) -> list[Key]:
        """Return the keys that a query may read after its *last* row, in its order."""
        keys = base.locked().union(self.tables.values[base.table])
        ascending = self.requests.values[number].arguments.get("ScanIndexForward", True)
        return sorted(
            (key for key in keys if self._is_behind(number, last, key)), reverse=not ascending
        )

    def touches(self, number: int, key: Key) -> bool:
        """Return whether a request reads or changes a row."""
        if self.requests.values[number].operation in SCANS:
            return self._is_behind(number, 0, key)
        return key in self.keys_of(number)

    def put_row(self, number: int) -> int:
        """Return the row of the object that a request puts, 0 for a deletion."""
        operation, arguments = self.requests.values[number]
        if operation != "put_object":
            return 0
        [(bucket, key)] = self._keys_of(number)
        row = {"pk": {"S": bucket}, "sk": {"S": key}, "body": {"B": arguments["Body"]}}
        return self.rows.number(row)

    def _lies_behind(self, number: int, last: int, key: Key) -> bool:
        operation, arguments = self.requests.values[number]
        start = self.rows.values[last] if last else arguments.get("ExclusiveStartKey")
        if operation == "list_objects_v2":
            is_in = key[0] == arguments["Bucket"] and key[1].startswith(arguments["Prefix"])
            return is_in and (start is None or key[1] > start["sk"]["S"])
        place = {"pk": {"S": key[0]}, "sk": {"S": key[1]}}
        if not holds(arguments["KeyConditionExpression"], place, arguments):
            return False
        if start is None or key[1] == start["sk"]["S"]:
            return start is None
        return bool((key[1] > start["sk"]["S"]) == arguments.get("ScanIndexForward", True))

    def _keys_of(self, number: int) -> list[Key]:
        """Return the keys that a request names, in its order."""
        operation, arguments = self.requests.values[number]
        match operation:
            case "get_item" | "update_item":
                keys = [arguments["Key"]]
            case "batch_get_item":
                [requested] = arguments["RequestItems"].values()
                keys = requested["Keys"]
            case "batch_write_item":
                [requests] = arguments["RequestItems"].values()
                keys = [request["DeleteRequest"]["Key"] for request in requests]
            case "put_object" | "get_object":
                return [(arguments["Bucket"], arguments["Key"])]
            case "delete_objects":
                found = arguments["Delete"]["Objects"]
                return [(arguments["Bucket"], each["Key"]) for each in found]
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
        """Return the cancellation reasons of a transaction, or its writes if no condition fails."""
        reasons: list[tuple[str, int]] = []
        writes: list[tuple[Key, int]] = []
        arguments = self.requests.values[number].arguments
        for action, key in zip(arguments["TransactItems"], self.keys_of(number), strict=True):
            [(kind, request)] = action.items()
            before = self.row(table, key)
            row = self.rows.values[before]
            returns_row = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            fails = not holds(request.get("ConditionExpression"), row, request)
            reasons.append((FAILED, before if returns_row else 0) if fails else (NONE, 0))
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


def _conflicts(is_locked: list[bool], reasons: tuple[tuple[str, int], ...]) -> list[Response]:
    """Return the responses to a conflict: with or without failed conditions on other rows."""
    alone = tuple((CONFLICT if locked else NONE, 0) for locked in is_locked)
    beside = tuple(
        (CONFLICT, 0) if locked else reason
        for locked, reason in zip(is_locked, reasons, strict=True)
    )
    return [Response("cancelled", details) for details in dict.fromkeys((alone, beside))]
