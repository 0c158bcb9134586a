"""The store under every order of events that DynamoDB allows, and random ones: see README.md."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from conversations import ids
from conversations.storage import (
    append,
    archive,
    claims,
    delete,
    pages,
    purge,
    reads,
    rows,
    scan,
    transactions,
)
from conversations.storage.append import Append
from conversations.storage.claims import IdClaims
from conversations.storage.delete import Rewrite
from conversations.storage.metadata import UpdateMetadata
from conversations.storage.pages import ItemPageReader, PageRange
from conversations.storage.reads import read_again_settled, read_rows, transact_get
from conversations.storage.transactions import Failure, NextStep, Table, condition_failed
from tests.model_checker import actors, dynamodb_model
from tests.model_checker.actors import patch
from tests.model_checker.frame_fingerprint import UnknownValueError
from tests.model_checker.scenarios import (
    DELETED,
    FIRST,
    FOURTH,
    SECOND,
    SIXTH,
    Scenario,
    adder,
    appender,
    deleter,
    ender,
    exporter,
    getter,
    lister,
    merger,
    purger,
    resender,
    updater,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from conversations.storage.rows import Row

SCHEDULES = int(os.environ.get("SCHEDULES", "15"))
FAULTS = 3 if "SCHEDULES" in os.environ else 2
ONE = appender("appender A", "a", None)
OTHER = appender("appender B", None, None)
THIRD = appender("appender C", None, None)
FOUR = appender("appender A", None, None, None, times=4)
KEYED = appender("appender A", None, None, key="k")
KEYED_WITH_ID = appender("appender A", "a", key="k")
MERGER = merger("merger A", "merged")
DELETER = deleter(FIRST)
RIVAL = deleter(FIRST, name="deleter B")
NEIGHBOUR = deleter(SECOND, name="deleter B")
EMPTIER = deleter(FIRST, SECOND)
RESENDER = resender("appender A")
TOPIC, TEAM = updater("updater A", topic="a"), updater("updater B", team="b")
RENAMER, CLEARER = updater("updater B", topic="b"), updater("updater C", topic=None, team=None)
IMPATIENT = [actor._replace(attempts=2, waits=True) for actor in (ONE, OTHER, DELETER, NEIGHBOUR)]
"""Actors with fewer attempts, whose reads wait for conflicts, because waiting multiplies states."""
LISTERS = (lister("asc", 3), lister("desc", 3))
ONE_BY_ONE = (lister("asc", 1), lister("desc", 1))
"""Readers whose every second page begins within a batch."""
SCENARIOS: dict[str, Callable[[], Scenario]] = {
    "three updaters, one undoes what the others did, a fault": lambda: Scenario(
        TOPIC, TEAM, CLEARER, faults=1
    ),
    "a deleter, more batches than the row names, a lister": lambda: Scenario(
        DELETER, readers=[lister("asc", 3)], batches=15
    ),
    "a batch that is seen late, a lister": lambda: Scenario(
        OTHER, readers=[lister("asc", 3)], batches=12, is_late=True
    ),
    "two appenders, two faults": lambda: Scenario(OTHER, THIRD, faults=2),
    "two appenders, a token forgotten": lambda: Scenario(
        ONE, OTHER, faults=1, remembers_tokens=False
    ),
    "two appenders, a lister of long pages": lambda: Scenario(
        ONE, OTHER, readers=[lister("asc", 20), lister("asc", 40)], faults=1
    ),
    "an emptier, an appender, an end, a lister of long pages": lambda: Scenario(
        EMPTIER, OTHER, ender(), readers=[lister("asc", 20), lister("asc", 40)], faults=1
    ),
    "two appenders, a lister": lambda: Scenario(ONE, OTHER, lister("asc", 2)),
    "three appenders": lambda: Scenario(ONE, OTHER, THIRD),
    "an appender, a lister back": lambda: Scenario(ONE, lister("desc", 1), faults=1),
    "an appender, a lister, two faults": lambda: Scenario(OTHER, lister("asc", 2), faults=2),
    "an appender, a lister, a deleter": lambda: Scenario(OTHER, lister("desc", 2), DELETER),
    "a lister, a deleter, two faults": lambda: Scenario(lister("asc", 1), DELETER, faults=2),
    "four batches while a lister reads": lambda: Scenario(FOUR, readers=[lister("asc", 3)]),
    "two deleters of neighbours, a token forgotten": lambda: Scenario(
        DELETER, NEIGHBOUR, faults=1, remembers_tokens=False
    ),
    "two deleters of one item": lambda: Scenario(DELETER, RIVAL, lister("asc", 1)),
    "two deleters, one of them an emptier": lambda: Scenario(
        EMPTIER, NEIGHBOUR, readers=ONE_BY_ONE, faults=1
    ),
    "an emptier, a lister, two faults": lambda: Scenario(EMPTIER, lister("asc", 1), faults=2),
    "an emptier, a lister back, a fault": lambda: Scenario(EMPTIER, lister("desc", 1), faults=1),
    "a client's id comes back, listers": lambda: Scenario(
        DELETER, adder("adder A", FIRST), readers=(*LISTERS, *ONE_BY_ONE)
    ),
    "a client's id comes back, a fault": lambda: Scenario(
        DELETER, adder("adder A", FIRST), faults=1
    ),
    "a generated id comes back, listers": lambda: Scenario(
        NEIGHBOUR, adder("adder A", SECOND), readers=(*LISTERS, *ONE_BY_ONE)
    ),
    "a generated id comes back, a fault": lambda: Scenario(
        NEIGHBOUR, adder("adder A", SECOND), faults=1
    ),
    "a generated id comes back, two adders": lambda: Scenario(
        NEIGHBOUR, adder("adder A", SECOND), adder("adder B", SECOND)
    ),
    "a generated id comes back while its batch is emptied, a fault": lambda: Scenario(
        adder("adder A", DELETED), deleter(FOURTH), batches=2, faults=1
    ),
    "one request with a key, twice at once": lambda: Scenario(KEYED_WITH_ID, KEYED_WITH_ID),
    "a merge, an appender, a fault": lambda: Scenario(MERGER, OTHER, faults=1),
    "one merge, twice at once": lambda: Scenario(MERGER, MERGER),
    "an item is read while it is appended": lambda: Scenario(ONE, getter("a0"), faults=1),
    "an item is read while its neighbour is deleted, two faults": lambda: Scenario(
        DELETER, getter(SECOND), faults=2
    ),
    "an item is read while its batch is emptied": lambda: Scenario(
        EMPTIER, OTHER, readers=(getter(SECOND), getter(FIRST)), faults=1
    ),
    "a batch that is seen ten batches late, an appender": lambda: Scenario(
        OTHER, lister("desc", 3), readers=LISTERS, batches=11, is_late=True
    ),
    "more batches than the row names, a deleter": lambda: Scenario(
        DELETER, readers=LISTERS, batches=14
    ),
    "two updaters of other pairs, two faults": lambda: Scenario(TOPIC, TEAM, faults=2),
    "an updater, an end, a fault": lambda: Scenario(TOPIC, ender(), faults=1),
    "a marked retry, two faults": lambda: Scenario(RESENDER, faults=2),
    "a marked retry, a token forgotten": lambda: Scenario(
        RESENDER, faults=2, remembers_tokens=False
    ),
    "a marked retry, an end, a lister, a fault": lambda: Scenario(
        RESENDER, ender(), lister("asc", 3), faults=1
    ),
    "an appender, an end, a purge, a fault": lambda: Scenario(ONE, ender(), purger(), faults=1),
    "an end, a purge, a key": lambda: Scenario(KEYED, ender(), purger(), may_stay=["k#"]),
    "a key, a token forgotten": lambda: Scenario(KEYED, OTHER, faults=1, remembers_tokens=False),
    "an end and a purge, a token forgotten": lambda: Scenario(
        OTHER, ender(), purger(), faults=2, remembers_tokens=False
    ),
    "an end, a purge, a deleter, a fault": lambda: Scenario(NEIGHBOUR, ender(), purger(), faults=1),
    "an end, a purge, an emptier, a fault": lambda: Scenario(
        EMPTIER, ender(), purger(), faults=1, may_stay=["t#"]
    ),
    "an export while a batch is emptied": lambda: Scenario(EMPTIER, readers=[exporter()]),
    "an export while items of two batches are deleted": lambda: Scenario(
        deleter(FIRST, FOURTH), readers=[exporter()], batches=2
    ),
    "an export while items of three batches are deleted": lambda: Scenario(
        deleter(FIRST, FOURTH, SIXTH), readers=[exporter()], batches=3
    ),
    "an export of more batches than the row names": lambda: Scenario(
        deleter(FIRST, FOURTH, SIXTH), readers=[exporter()], batches=14
    ),
    "an export while two requests delete": lambda: Scenario(
        deleter(FIRST, SIXTH), NEIGHBOUR, readers=[exporter()], batches=3
    ),
    "an export while others append and delete": lambda: Scenario(
        EMPTIER, OTHER, readers=[exporter()]
    ),
    "an export of a batch that is seen late": lambda: Scenario(
        OTHER, readers=[exporter()], batches=12, is_late=True
    ),
    "an export, a deleter, an end, a purge": lambda: Scenario(
        DELETER, ender(), purger(), readers=[exporter()]
    ),
    "an export while a client's id comes back": lambda: Scenario(
        DELETER, adder("adder A", FIRST), readers=[exporter()]
    ),
    "objects: an export while a batch is emptied": lambda: Scenario(
        EMPTIER, readers=[exporter()], spills=True
    ),
    "objects: an export while two batches are changed": lambda: Scenario(
        deleter(FIRST, SECOND, SIXTH), readers=[exporter()], batches=3, spills=True
    ),
    "objects: two deleters, one of them of two batches": lambda: Scenario(
        deleter(FIRST, SIXTH), NEIGHBOUR, batches=3, spills=True
    ),
    "objects: an appender, a deleter": lambda: Scenario(OTHER, DELETER, spills=True),
    "objects: a deleter, a lister": lambda: Scenario(DELETER, lister("asc", 1), spills=True),
    "objects: an emptier, a lister": lambda: Scenario(EMPTIER, lister("asc", 2), spills=True),
    "objects: two deleters, a reader of a third item": lambda: Scenario(
        DELETER, deleter(FOURTH, name="deleter B"), getter(SECOND), batches=2, spills=True
    ),
    "objects: a generated id comes back while its batch is emptied, a fault": lambda: Scenario(
        adder("adder A", DELETED), deleter(FOURTH), batches=2, faults=1, spills=True
    ),
    "objects: a merge of a deleted id while its batch is emptied, a fault": lambda: Scenario(
        merger("merger A", DELETED), deleter(FOURTH), batches=2, faults=1, spills=True
    ),
    "objects: one merge, twice at once, a fault": lambda: Scenario(
        MERGER, MERGER, faults=1, spills=True
    ),
    "objects: an appender, an end, a purge, a fault": lambda: Scenario(
        OTHER, ender(), purger(), spills=True, faults=1
    ),
    "objects: a deleter, an end, a purge, a fault": lambda: Scenario(
        DELETER, ender(), purger(), spills=True, faults=1
    ),
}
LONG: dict[str, Callable[[], Scenario]] = {
    "a client's id comes back, two faults": lambda: Scenario(
        DELETER, adder("adder A", FIRST), faults=2
    ),
    "a client's id comes back, two adders": lambda: Scenario(
        DELETER, adder("adder A", FIRST), adder("adder B", FIRST), readers=ONE_BY_ONE
    ),
    "a generated id comes back, two faults": lambda: Scenario(
        NEIGHBOUR, adder("adder A", SECOND), faults=2
    ),
    "two deleters of one item, a token forgotten": lambda: Scenario(
        DELETER, RIVAL, faults=1, remembers_tokens=False
    ),
    "an emptier, a token forgotten": lambda: Scenario(
        EMPTIER, OTHER, faults=2, remembers_tokens=False
    ),
    "an end and a purge, two faults": lambda: Scenario(OTHER, ender(), purger(), faults=2),
    "two appenders, a deleter, listers, a fault": lambda: Scenario(
        *IMPATIENT[:3], readers=LISTERS, faults=1
    ),
    "three appenders, a lister": lambda: Scenario(ONE, OTHER, THIRD, readers=[lister("asc", 2)]),
    "an appender, a deleter, two faults": lambda: Scenario(ONE, DELETER, faults=2),
    "an appender, an emptier, listers": lambda: Scenario(
        ONE, EMPTIER, readers=(*LISTERS, *ONE_BY_ONE), faults=1
    ),
    "two deleters of neighbours, two faults": lambda: Scenario(DELETER, NEIGHBOUR, faults=2),
    "two deleters of neighbours, listers": lambda: Scenario(
        DELETER, NEIGHBOUR, readers=ONE_BY_ONE, faults=1, batches=2
    ),
    "two deleters of neighbours, an appender, listers": lambda: Scenario(
        *IMPATIENT[1:], readers=ONE_BY_ONE
    ),
    "two deleters of one item, two faults": lambda: Scenario(DELETER, RIVAL, faults=2),
    "an id of an emptied batch comes back, two faults": lambda: Scenario(
        EMPTIER, adder("adder A", SECOND), faults=2
    ),
    "an id that comes back is deleted again": lambda: Scenario(
        NEIGHBOUR,
        adder("adder A", SECOND),
        deleter(SECOND, name="deleter C"),
        readers=(getter(SECOND), getter(FIRST), lister("asc", 1)),
    ),
    "a batch that is seen eleven batches late": lambda: Scenario(
        EMPTIER, readers=(*LISTERS, *ONE_BY_ONE), batches=12, is_late=True
    ),
    "two updaters of one pair, an appender, a fault": lambda: Scenario(
        TOPIC, RENAMER, OTHER, faults=1
    ),
    "a marked retry, a deleter, an updater, a fault": lambda: Scenario(
        RESENDER, DELETER, TOPIC, faults=1
    ),
    "objects: two deleters, a fault": lambda: Scenario(DELETER, NEIGHBOUR, spills=True, faults=1),
    "more batches than the row names, a deleter, an appender": lambda: Scenario(
        OTHER, DELETER, readers=LISTERS, batches=14
    ),
    "an item is read while it is appended beside another": lambda: Scenario(
        ONE, OTHER, getter("a0"), faults=1
    ),
    "a generated id comes back, two adders, a fault": lambda: Scenario(
        NEIGHBOUR, adder("adder A", SECOND), adder("adder B", SECOND), faults=1
    ),
    "two deleters of neighbours, an appender, listers, a fault": lambda: Scenario(
        *IMPATIENT[1:], readers=ONE_BY_ONE, faults=1
    ),
    "two deleters of neighbours, three faults": lambda: Scenario(DELETER, NEIGHBOUR, faults=3),
    "three appenders, a fault": lambda: Scenario(ONE, OTHER, THIRD, faults=1),
    "two appenders, a deleter, listers, two faults": lambda: Scenario(
        *IMPATIENT[:3], readers=LISTERS, faults=2
    ),
    "two appenders, a deleter, listers, three faults": lambda: Scenario(
        *IMPATIENT[:3], readers=LISTERS, faults=3
    ),
    "three appenders, listers one by one": lambda: Scenario(ONE, OTHER, THIRD, readers=ONE_BY_ONE),
    "three appenders, a deleter, a lister": lambda: Scenario(
        ONE, OTHER, THIRD, DELETER, readers=[lister("asc", 3)]
    ),
    "two deleters of neighbours, an appender, listers, two faults": lambda: Scenario(
        *IMPATIENT[1:], readers=ONE_BY_ONE, faults=2
    ),
    "a client's id comes back, two adders, a fault": lambda: Scenario(
        DELETER, adder("adder A", FIRST), adder("adder B", FIRST), faults=1
    ),
    "a client's id comes back twice": lambda: Scenario(
        DELETER, RIVAL, adder("adder A", FIRST), adder("adder B", FIRST)
    ),
    "more batches than the row names, a deleter, all listers": lambda: Scenario(
        OTHER, DELETER, readers=(*LISTERS, *ONE_BY_ONE), batches=15
    ),
    "objects: two deleters, a lister": lambda: Scenario(
        DELETER, NEIGHBOUR, lister("asc", 1), spills=True
    ),
}
if "SCHEDULES" in os.environ:
    SCENARIOS |= LONG


@pytest.fixture(autouse=True)
def _time_and_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    patch(monkeypatch)


@pytest.mark.parametrize("make_scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_interleaving_keeps_the_invariants(
    make_scenario: Callable[[], Scenario], record_property: Callable[[str, object], None]
) -> None:
    count, states = make_scenario().explore()  # checks the invariants at each end

    assert count > 1 < states
    record_property("interleavings", count)
    record_property("states", states)


def test_a_deletion_in_several_transactions_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delete, "MAX_ACTIONS", 3)  # not enough for both batches
    scenario = Scenario(
        deleter(FIRST, FOURTH, times=2), readers=ONE_BY_ONE, batches=2, faults=FAULTS
    )

    count, states = scenario.explore()

    assert count > 1 < states


@pytest.mark.prove
def test_no_mark_is_left_when_others_delete_the_rest_of_a_deletion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delete, "MAX_ACTIONS", 3)  # not enough for both batches
    rival = deleter(FOURTH, name="deleter B")
    both = deleter(FIRST, FOURTH, times=2)
    scenario = Scenario(both, rival, batches=2, faults=1, is_atomic=False)

    count, states = scenario.explore()

    assert count > 1 < states


def test_random_schedules_of_many_writers_keep_the_invariants(
    record_property: Callable[[str, object], None],
) -> None:
    writers = [appender(f"appender {name}", None, name, times=2) for name in "ABCD"]
    deleters = [DELETER, deleter(SECOND, name="deleter B")]
    for seed in range(SCHEDULES):
        Scenario(*writers, lister("asc", 2), lister("desc", 3), *deleters, faults=4).walk(seed)
    record_property("random schedules", SCHEDULES)


def ends_of(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return every result of a scenario's lister, with the items that are stored then."""
    ends: set[str] = set()
    monkeypatch.setattr(
        scenario,
        "_check_pages",
        lambda records, final, **_: ends.add(repr([final, *(record[:2] for record in records)])),
    )
    scenario.explore()
    return ends


def test_a_separate_reader_sees_all_that_a_concurrent_one_may_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    among = ends_of(Scenario(ONE, DELETER, lister("asc", 2)), monkeypatch)
    apart = ends_of(Scenario(ONE, DELETER, readers=[lister("asc", 2)]), monkeypatch)

    assert {end for end in among if "OverloadedError" not in end} <= apart


@pytest.mark.parametrize(
    "make_scenario",
    [
        lambda: Scenario(OTHER, DELETER, lister("asc", 2)),
        lambda: Scenario(EMPTIER, NEIGHBOUR, lister("asc", 1)),
        lambda: Scenario(DELETER, adder("adder A", FIRST), lister("desc", 1)),
        lambda: Scenario(EMPTIER, lister("asc", 1), faults=1),
    ],
)
def test_runs_with_one_fingerprint_have_one_future(
    make_scenario: Callable[[], Scenario], monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = ends_of(make_scenario(), monkeypatch)
    monkeypatch.setattr(actors, "fingerprint", fail_to_fingerprint)
    apart = ends_of(make_scenario(), monkeypatch)

    assert merged == apart


def fail_to_fingerprint(error: BaseException, *_: object) -> None:
    raise UnknownValueError(error)


_conversation_action = Append._conversation_action  # noqa: SLF001
_actions, _rewritten, _query = Rewrite.actions, rows.rewritten, ItemPageReader._query  # noqa: SLF001
_first_batches = ItemPageReader._first_batches  # noqa: SLF001
_classify, _next_step = transactions.classify, IdClaims.next_step


def without_condition(rewrite: Rewrite, table_name: str) -> Iterator[Any]:
    """Rewrite a batch without a condition on its revision."""
    actions: Iterator[Any] = _actions(rewrite, table_name)
    for action in actions:
        [(kind, request)] = action.items()
        kept = {"TableName", "Key", "Item"} & request.keys()
        yield {kind: {name: request[name] for name in sorted(kept)}}


def without_tombstone(rewrite: Rewrite, table_name: str) -> Iterator[Any]:
    """Leave nothing of a batch without items."""
    yield next(_actions(rewrite, table_name))


def moved_up(row: Row, payload: Any, slots: Any) -> Row:
    """Let the items behind a deleted one move up."""
    return _rewritten(row, payload, range(len(slots)))


def one_query(reader: ItemPageReader, *arguments: Any) -> None:
    """Stop at the first page of a query."""
    table = reader._table  # noqa: SLF001
    reader._table = Table(FirstPage(table.dynamodb), table.name)  # type: ignore[arg-type]  # noqa: SLF001
    _query(reader, *arguments)
    reader._table = table  # noqa: SLF001


def oldest_batches_alone(reader: ItemPageReader, count: int) -> PageRange:
    """Take the batches that were read together with the conversation row for all there are."""
    return _first_batches(reader, count)._replace(is_complete=True)


class FirstPage:
    """Client whose queries have no second page."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def query(self, **arguments: Any) -> Row:
        return {"Items": self._client.query(**arguments)["Items"]}


def new_keys(append: Append, reasons: Any) -> NextStep:
    """Take new keys after a lost response, without a look at the table."""
    [conversation, *_] = reasons
    last = conversation["Item"]["last_key"]["S"]
    append._keys = ids.sequence_keys(ids.batch_number_after(last), 2)  # noqa: SLF001
    return NextStep.RESTART


def new_keys_for_the_old_token(append: Append, rejected: Any) -> NextStep:
    """Take new keys, but no new token."""
    new_keys(append, rejected)
    return NextStep.RESEND


def conditions_first(error: Exception) -> Failure:
    """Let a failed condition decide, although another action met a conflict."""
    failure = _classify(error)
    is_rejected = any(map(condition_failed, failure.reasons))
    return failure._replace(kind="condition failed") if is_rejected else failure


def forget_earlier_attempts(ids_claimed: IdClaims, reasons: Any, **options: Any) -> NextStep:
    """Claim the ids of deleted items as if no earlier attempt could still commit."""
    step = _next_step(ids_claimed, reasons, **options)
    return NextStep.RESTART if step is NextStep.REVISE else step


def unmarked(change: Append) -> Any:
    """Treat a marked retry as a new request."""
    idempotency = replace(change._idempotency, is_marked_retry=False)  # noqa: SLF001
    change._idempotency = idempotency  # noqa: SLF001
    return _conversation_action(change)


def compare_pairs(update: UpdateMetadata) -> list[Any]:
    """Compare the stored pairs, not the revision, with those that were read."""
    now = rows.number(update._now)  # noqa: SLF001
    old, new = rows.read_conversation(update._row), update.conversation  # noqa: SLF001
    values = {":old": old.metadata, ":new": new.metadata}
    condition = "metadata = :old"
    maps = {name: rows.text_map(pairs) for name, pairs in values.items()}
    change = "SET metadata = :new, updated_at = :now"
    return [update._update(change, condition, {**maps, ":now": now})]  # noqa: SLF001


def compare_nothing(update: UpdateMetadata) -> list[Any]:
    """Write over what others have changed since the read."""
    values = {
        ":new": rows.text_map(update.conversation.metadata),
        ":now": rows.number(update._now),  # noqa: SLF001
    }
    return [update._update("SET metadata = :new, updated_at = :now", "", values)]  # noqa: SLF001


def from_the_cursor_on(page: PageRange, row: Row) -> Any:
    """Show the cursor's own item again."""
    slots = [
        slot
        for slot in rows.live_slots(row)
        if page.after is None
        or rows.batch_key(row) != ids.first_key(page.after)
        or slot >= ids.slot_of(page.after)
    ]
    return slots if page.order == "asc" else slots[::-1]


def batches_again(table: Table, pk: str, found: Iterable[Row]) -> Iterator[Row]:
    """Read batches again while no transaction on them is in flight, but not pointers."""
    for row in found:
        is_pointer = row["sk"]["S"].startswith(rows.POINTER_PREFIX)
        yield from [row] if is_pointer else read_again_settled(table, pk, [row])


def no_tombstones(table: Table, pk: str, sks: Iterable[str]) -> dict[str, Row]:
    """Read rows without waiting for transactions on tombstones."""
    others = [sk for sk in sks if not sk.startswith(rows.TOMBSTONE_PREFIX)]
    return transact_get(table, pk, others)


class Flaw(NamedTuple):
    """Replacement of a part of the store by a wrong one, and the check that must fail."""

    target: object
    name: str
    replacement: object
    make_scenario: Callable[[], Scenario]
    broken: str


FLAWS = {
    "a rewrite that compares no revision": Flaw(
        Rewrite,
        "actions",
        without_condition,
        lambda: Scenario(DELETER, NEIGHBOUR),
        "deleted, and there",
    ),
    "slots that a deletion moves": Flaw(
        rows,
        "rewritten",
        moved_up,
        lambda: Scenario(DELETER),
        "torn, or slots moved",
    ),
    "no tombstone": Flaw(
        Rewrite,
        "actions",
        without_tombstone,
        lambda: Scenario(EMPTIER, readers=ONE_BY_ONE),
        "a batch is not there",
    ),
    "a page of the first query alone": Flaw(
        ItemPageReader,
        "_query",
        one_query,
        lambda: Scenario(deleter(SIXTH), readers=[lister("asc", 5)], batches=16),
        "an item was passed over",
    ),
    "a page of the oldest batches alone": Flaw(
        ItemPageReader,
        "_first_batches",
        oldest_batches_alone,
        lambda: Scenario(readers=[lister("asc", 3)], batches=15),
        "an item was passed over",
    ),
    "a page with batches that the row does not name": Flaw(
        pages,
        "_last_sk",
        lambda _conversation: rows.LAST_BATCH_SK,
        lambda: Scenario(ONE, OTHER, readers=[lister("asc", 20)]),
        "an item was passed over",
    ),
    "pages of what a query sees": Flaw(
        ItemPageReader,
        "_reconcile",
        lambda *_: None,
        lambda: Scenario(ONE, OTHER, readers=[lister("asc", 1)]),
        "an item was passed over",
    ),
    "a late batch that no page waits for": Flaw(
        ItemPageReader,
        "_reconcile",
        lambda *_: None,
        lambda: Scenario(readers=[lister("asc", 3)], batches=12, is_late=True),
        "an item was passed over",
    ),
    "a row that names a batch too few": Flaw(
        dynamodb_model,
        "MAX_IN_FLIGHT",
        len(rows.RECENT_BATCHES) + 1,
        lambda: Scenario(OTHER, readers=[lister("asc", 3)], batches=12, is_late=True),
        "an item was passed over",
    ),
    "an item that is looked for only in what is visible": Flaw(
        reads,
        "find_settled_items",
        lambda *_: {},
        lambda: Scenario(ONE, getter("a0"), faults=1),
        "acknowledged, and not there",
    ),
    "new keys after a lost response": Flaw(
        Append,
        "_next_step",
        new_keys,
        lambda: Scenario(ONE, OTHER, faults=1, remembers_tokens=False),
        "a batch is there twice",
    ),
    "new keys for the old token": Flaw(
        Append,
        "_next_step",
        new_keys_for_the_old_token,
        lambda: Scenario(OTHER, THIRD),
        "one token, other actions",
    ),
    "an append acknowledged before lists see it": Flaw(
        append,
        "transact_get",
        read_rows,
        lambda: Scenario(OTHER, lister("desc", 1), faults=2),
        "acknowledged before, and not shown",
    ),
    "a purge that does not wait": Flaw(
        purge,
        "_wait_for_appends",
        lambda _table, _pk, _row: None,
        lambda: Scenario(OTHER, ender(), purger()),
        "left by the purge",
    ),
    "pages that begin with their cursor": Flaw(
        PageRange,
        "slots",
        from_the_cursor_on,
        lambda: Scenario(readers=[lister("asc", 1)]),
        "there twice",
    ),
    "a marked retry that is taken for a new request": Flaw(
        Append,
        "_conversation_action",
        unmarked,
        lambda: Scenario(RESENDER, faults=2, remembers_tokens=False),
        "a batch is there twice",
    ),
    "metadata written over others'": Flaw(
        UpdateMetadata,
        "_actions",
        compare_nothing,
        lambda: Scenario(TOPIC, TEAM),
        "acknowledged last, and not there",
    ),
    "metadata compared by its pairs": Flaw(
        UpdateMetadata,
        "_actions",
        compare_pairs,
        lambda: Scenario(TOPIC, TEAM, CLEARER, faults=1),
        "acknowledged last, and not there",
    ),
    "an export whose last read can return a part of a transaction": Flaw(
        archive,
        "transact_get",
        read_rows,
        lambda: Scenario(deleter(FIRST, SIXTH), readers=[exporter()], batches=3),
        "an export of half a deletion",
    ),
    "an export that reads no batch again": Flaw(
        archive,
        "read_again_settled",
        lambda _table, _pk, found: iter(found),
        lambda: Scenario(deleter(FIRST, SIXTH), readers=[exporter()], batches=3),
        "an export of half a deletion",
    ),
    "an export that reads no pointer again": Flaw(
        archive,
        "read_again_settled",
        batches_again,
        lambda: Scenario(DELETER, adder("adder A", FIRST), readers=[exporter()]),
        "an id is there twice",
    ),
    "an export without the places of deleted items": Flaw(
        archive,
        "_read_pointers",
        lambda _table, _pk, _live: iter(()),
        lambda: Scenario(DELETER, readers=[exporter()]),
        "a deleted item has no place",
    ),
    "an export that waits for no tombstone": Flaw(
        archive,
        "transact_get",
        no_tombstones,
        lambda: Scenario(EMPTIER, readers=[exporter()]),
        "neither a batch nor its tombstone is exported",
    ),
    "an export of what a query sees": Flaw(
        scan,
        "transact_get",
        lambda _table, _pk, _sks: {},
        lambda: Scenario(readers=[exporter()], batches=12, is_late=True),
        "neither a batch nor its tombstone is exported",
    ),
    "an export that fails when an object is replaced": Flaw(
        scan,
        "read_again_if_deleted",
        lambda _stats, read: read(),
        lambda: Scenario(EMPTIER, readers=[exporter()], spills=True),
        "not there for exporter: ObjectMissingError",
    ),
    "an id that is added again while it is live": Flaw(
        IdClaims,
        "_live_keys",
        lambda _claims, _keys: set(),
        lambda: Scenario(DELETER, adder("adder A", FIRST)),
        "an id is there twice",
    ),
    "a failed condition beside a conflict": Flaw(
        transactions,
        "classify",
        conditions_first,
        lambda: Scenario(KEYED_WITH_ID, KEYED_WITH_ID),
        "not there for appender A: ItemAlreadyInConversationError",
    ),
    "a failed condition beside a conflict, in a merge": Flaw(
        transactions,
        "classify",
        conditions_first,
        lambda: Scenario(MERGER, MERGER),
        "not there for merger A: ItemAlreadyInConversationError",
    ),
    "an earlier attempt that is forgotten": Flaw(
        IdClaims,
        "next_step",
        forget_earlier_attempts,
        lambda: Scenario(adder("adder A", DELETED), deleter(FOURTH), batches=2, faults=1),
        "rejected, but stored",
    ),
    "an earlier attempt that is forgotten, in a merge": Flaw(
        IdClaims,
        "next_step",
        forget_earlier_attempts,
        lambda: Scenario(merger("merger A", DELETED), deleter(FOURTH), batches=2, faults=1),
        "rejected, but stored",
    ),
    "a generated id that is added again while it is live": Flaw(
        claims,
        "_is_id_of",
        lambda _item_id, _key, _row: False,
        lambda: Scenario(NEIGHBOUR, adder("adder A", SECOND)),
        "an id is there twice",
    ),
}


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
def test_the_search_finds(flaw: Flaw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flaw.target, flaw.name, flaw.replacement)

    with pytest.raises(AssertionError, match=f"^{flaw.broken}"):
        flaw.make_scenario().explore()
