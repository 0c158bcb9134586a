"""The list of conversations under every order of events that DynamoDB's index allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conversations.model import Conversation
from conversations.storage import conversation_pages, rows
from conversations.storage.conversation_pages import OwnerIndex
from tests.model_checker.actors import patch
from tests.model_checker.list_scenarios import RED, ListScenario, changer, list_reader
from tests.model_checker.scenarios import appender, ender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from conversations.model import Order
    from conversations.storage.rows import Row

APPENDER = appender("appender A", None)
CHANGER = changer("A", place="home")
OTHER = changer("B", topic="weather")


@pytest.fixture(autouse=True)
def _time_and_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    patch(monkeypatch)
    # A filtered page then takes several queries.
    monkeypatch.setattr(conversation_pages, "BATCH_GET_MAX", 2)


@pytest.mark.parametrize("wanted", [(), RED], ids=["all", "filtered"])
@pytest.mark.parametrize("limit", [1, 2, 4])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    "movers",
    [(APPENDER,), (CHANGER, OTHER), (APPENDER, CHANGER), (CHANGER, ender())],
    ids=["an append", "two changes", "an append and a change", "a change and an end"],
)
def test_a_list_during_changes_keeps_the_invariants(
    movers: Any,
    order: Order,
    limit: int,
    wanted: Any,
    record_property: Callable[[str, object], None],
) -> None:
    scenario = ListScenario(*movers, reader=list_reader(order, limit, wanted), wanted=wanted)

    count, states = scenario.explore()  # checks the invariants at each end

    assert count > 1 < states
    record_property("interleavings", count)
    record_property("states", states)


def with_repeated_keys(index: OwnerIndex, entries: Sequence[Row]) -> Iterator[Row]:
    """Read the row of each entry, even if several entries name one conversation."""
    table = index._table  # noqa: SLF001
    keys = [rows.primary_key(entry["pk"]["S"], entry["sk"]["S"]) for entry in entries]
    requested: Any = {table.name: {"Keys": keys, "ConsistentRead": True}}
    found = table.dynamodb.batch_get_item(RequestItems=requested)["Responses"][table.name]
    yield from (row for row in found if rows.is_live(row))


def of_the_entries_alone(_: OwnerIndex, entries: Sequence[Row]) -> Iterator[Row]:
    """List the index's entries without reading the rows."""
    for entry in entries:
        name = entry["pk"]["S"].partition("/")[2]
        yield rows.conversation_row(Conversation.new(name, entry["owner"]["S"], "acme", 0, {}))


@pytest.mark.parametrize(
    ("replacement", "broken"),
    [
        (with_repeated_keys, "not there for lister asc 4: ClientError"),
        (of_the_entries_alone, "acknowledged, and not shown"),
    ],
)
def test_the_search_finds(
    replacement: object, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OwnerIndex, "matching", replacement)

    with pytest.raises(AssertionError, match=f"^{broken}"):
        ListScenario(CHANGER, reader=list_reader("asc", 4)).explore()
