"""Actors: store code, rerun with its recorded responses up to the first call without one."""

from __future__ import annotations

import io
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.exceptions import ClientError, ConnectionClosedError

from conversations import ids
from conversations.storage import (
    backoff,
    delete,
    payloads,
    purge,
    reads,
    rows,
    store,
    transactions,
)
from conversations.storage.payloads import PayloadStore
from conversations.storage.transactions import Table
from conversations.telemetry import RequestStats
from tests.model_checker import index_model
from tests.model_checker.dynamodb_model import Model, Request, Response
from tests.model_checker.frame_fingerprint import UnknownValueError, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from types import GeneratorType

    import pytest

    type Loop = GeneratorType[None, None, None]
    type Row = dict[str, Any]
    type Histories = tuple[tuple[Response, ...], ...]
    """Responses so far in an operation, by thread."""

MOMENT = 1_800_000_000


class Record(NamedTuple):
    """Outcome of an operation."""

    kind: str
    """`done`, or the name of the error."""
    value: Any
    begun: frozenset[tuple[str, Any]]
    """Results acknowledged before the operation began, by the actor's name."""


class Actor(NamedTuple):
    """Client that performs one operation after another, and records their outcomes."""

    name: str
    act: Callable[[Session, tuple[Record, ...]], tuple[str, Any]]
    is_done: Callable[[tuple[Record, ...]], bool] = bool
    clock: int = MOMENT
    is_reader: bool = False
    """Whether the actor only reads, and must see what was acknowledged before it began."""
    waits: bool = False
    """Whether its reads wait instead of failing with a conflict. A read that retries after a
    conflict equals a later read, except that it may give up."""
    attempts: int = 3
    """Number of attempts at a call."""
    may_begin: Callable[[Row], bool] = bool
    """Predicate of the conversation row that holds when the actor may begin."""
    deletes: tuple[str, ...] = ()
    """Ids of the items that the actor deletes."""
    adds: str = ""
    """Id of a deleted item that the actor adds again."""
    pairs: tuple[tuple[str, str | None], ...] = ()
    """Metadata pairs that the actor sets, or removes."""
    resends: bool = False
    """Whether its operations are one request and its marked retries, a second apart."""
    spill_bytes: int = payloads.SPILL_BYTES


class Position(NamedTuple):
    """Progress of an actor."""

    records: tuple[Record, ...] = ()
    begun: frozenset[tuple[str, Any]] | None = None
    histories: Histories = ((),)
    fingerprint: Hashable = None
    """Fingerprint of the responses that its future depends on."""


class SuspendedError(BaseException):
    """Call whose response is not known yet."""


class Session:
    """Run of an operation with its recorded responses; it is also the AWS client of its store."""

    def __init__(self, model: Model, actor: Actor, number: int, position: Position) -> None:
        self._model = model
        self._number = number
        self._position = position
        self._actor = actor
        self._thread = 0
        self._read: dict[int, int] = defaultdict(int)
        self._threads = 1
        self._slept = 0.0
        self._drawn: dict[int, int] = defaultdict(int)
        self._sent: dict[str, Any] = {}
        self.loops: list[Loop] = []
        """Active retry loops, which no frame holds in a variable."""
        self.pending: list[tuple[int, int]] = []
        self.fingerprint: Hashable = None
        self.table = Table(self, "conversations")  # type: ignore[arg-type] # has what is called
        self.payloads = PayloadStore("payloads", lambda: self, self, actor.spill_bytes)  # type: ignore[arg-type, return-value]
        self.store = store.Store(self.table, self.payloads)

    def run(self) -> tuple[str, Any] | None:
        """Run the operation, and return its outcome, or None while it waits for `pending` calls."""
        global _current  # noqa: PLW0603 - `patch` makes clock and randomness use it
        _current = self
        try:
            return self._actor.act(self, self._position.records)
        except SuspendedError as error:
            try:
                frames = [loop.gi_frame for loop in self.loops]
                deadlines = [frame.f_locals["deadline"] for frame in frames if frame]
                drawn = tuple(self._drawn.items())
                dice = (drawn, self._slept, self._threads, *deadlines)
                self.fingerprint = (dice, fingerprint(error, __file__, IGNORED_TYPES))
            except UnknownValueError:
                self.fingerprint = self._position.histories
            return None

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Promise:
        """Run *work* as another thread, which waits for its own responses."""
        outer, self._thread = self._thread, self._threads
        self._threads += 1
        try:
            return Promise(work(*arguments), None)
        except (SuspendedError, Exception) as error:  # noqa: BLE001 - as an executor does
            return Promise(None, error)
        finally:
            self._thread = outer

    def map(self, work: Callable[[Any], Any], values: Iterable[Any]) -> Iterator[Any]:
        """Run *work* with each value, each as a thread."""
        promises = [self.submit(work, value) for value in values]
        return (promise.result() for promise in promises)

    def __getattr__(self, operation: str) -> Callable[..., Row]:
        return lambda **arguments: self._call(Request(operation, arguments))

    def get_paginator(self, operation: str) -> Pages:
        return Pages(lambda arguments: self._call(Request(operation, arguments)))

    def _call(self, request: Request) -> Row:
        if token := request.arguments.get("ClientRequestToken"):
            actions = request.arguments["TransactItems"]
            assert self._sent.setdefault(token, actions) == actions, "one token, other actions"
        histories, thread = self._position.histories, self._thread
        place = self._read[thread]
        if thread < len(histories) and place < len(histories[thread]):
            self._read[thread] += 1
            return self._replay(request, histories[thread][place])
        self.pending.append((thread, self._model.requests.number(request)))
        raise SuspendedError

    def _replay(self, request: Request, response: Response) -> Row:
        match response.kind:
            case "lost":
                raise ConnectionClosedError(endpoint_url="https://aws.invalid")
            case "error":
                raise ClientError(_error_response(response.details[0]), request.operation)
            case "cancelled":
                reasons = [
                    {"Code": code} | ({"Item": self._model.rows.values[row]} if row else {})
                    for code, row in response.details
                ]
                error = _error_response("TransactionCanceledException")
                raise ClientError(error | {"CancellationReasons": reasons}, request.operation)
        return self._read_rows(request, [self._model.rows.values[row] for row in response.details])

    def _read_rows(self, request: Request, found: list[Row]) -> Row:
        there = [row for row in found if row]
        response: Row = {"UnprocessedItems": {}}
        match request.operation:
            case "get_item":
                response = {"Item": found[0]} if there else {}
            case "batch_get_item":
                [name] = request.arguments["RequestItems"]
                response = {"Responses": {name: there}, "UnprocessedKeys": {}}
            case "transact_get_items":
                response = {"Responses": [{"Item": row} if row else {} for row in found]}
            case "get_object":
                response = _object(there)
            case "list_objects_v2":
                response = {"Contents": [{"Key": row["sk"]["S"]} for row in found]}
            case "query":
                response = {"Items": found}
                if len(found) == request.arguments.get("Limit"):
                    names = index_model.KEYS if "IndexName" in request.arguments else ("pk", "sk")
                    response["LastEvaluatedKey"] = {name: found[-1][name] for name in names}
        return response

    def sleep(self, _seconds: float) -> None:
        self._slept += backoff.RETRY_SECONDS / (self._actor.attempts - 1)

    def monotonic(self) -> float:
        return self._slept

    def uniform(self, _low: float, _high: float) -> float:
        """Return no jitter, because the search decides how long an actor sleeps."""
        return 0.0

    def time(self) -> float:
        passed = len(self._position.records) if self._actor.resends else 0
        return float(self._actor.clock + passed)

    def time_ns(self) -> int:
        return int(self.time()) * 10**9

    def randbits(self, bits: int) -> int:
        """Return a number that is unique for each actor, operation, thread and draw."""
        self._drawn[self._thread] += 1
        drawn = f"{self._thread} {self._drawn[self._thread]}"
        seed = f"{self._actor.name} {len(self._position.records)} {drawn}"
        return random.Random(seed).getrandbits(bits)  # noqa: S311 - decides nothing secret

    def uuid4(self) -> str:
        return f"{self._number}-{len(self._position.records)}-{self.randbits(64)}"


class Promise(NamedTuple):
    """Result of `submit`."""

    value: Any
    error: BaseException | None

    def result(self) -> Any:
        if self.error:
            raise self.error
        return self.value

    def exception(self) -> BaseException | None:
        return self.error


class Pages(NamedTuple):
    """Paginator of one page, because no paginated read has a limit."""

    read: Callable[[Row], Row]

    def paginate(self, **arguments: Any) -> Iterator[Row]:
        yield self.read(arguments)


IGNORED_TYPES = (Session, Model, Actor, RequestStats, PayloadStore)
"""Types whose values do not influence what an actor does next."""
_current: Session


class _CurrentSession:
    """Replacement of `time`, `uuid` and random numbers by the running session's own."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_current, name)


def patch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the store use the running actor's clock and random numbers."""
    for module in (backoff, purge, rows, store, transactions):
        monkeypatch.setattr(module, "time", _CurrentSession())
    for module in (delete, payloads, purge, reads, transactions):
        monkeypatch.setattr(module, "attempts", _attempts)
    monkeypatch.setattr(backoff, "_RANDOM", _CurrentSession())
    monkeypatch.setattr(delete, "wait", _wait)
    monkeypatch.setattr(ids, "secrets", _CurrentSession())
    monkeypatch.setattr(payloads, "uuid", _CurrentSession())
    monkeypatch.setattr(transactions, "uuid", _CurrentSession())


def _attempts(stats: RequestStats) -> Iterator[None]:
    """Register a retry loop with the running session while it lasts."""
    session, loop = _current, cast("Loop", backoff.attempts(stats))
    session.loops.append(loop)
    try:
        yield from loop
    finally:
        session.loops.remove(loop)


def _wait(promises: Sequence[Promise]) -> None:
    """Suspend until every thread has its responses."""
    for promise in promises:
        if isinstance(promise.error, SuspendedError):
            promise.result()


def _error_response(code: str) -> Any:
    return {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}


def _object(found: list[Row]) -> Row:
    if not found:
        raise ClientError(_error_response("NoSuchKey"), "get_object")
    return {"Body": io.BytesIO(found[0]["body"]["B"])}
