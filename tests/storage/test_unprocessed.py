"""Rows that DynamoDB does not process are read or deleted again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from conversations.errors import OverloadedError
from conversations.storage import backoff, rows
from conversations.storage.purge import delete_rows
from conversations.storage.reads import read_rows, transact_get
from conversations.storage.transactions import Table
from tests.support.fault_injection import CANCELED, error_response

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "conversations"
PK = "owner/conv_1"
SKS = ["C", "b#0", "b#1"]
KEYS = [rows.primary_key(PK, sk) for sk in SKS]


class Throttled:
    """Client that processes only the first row of each of its first calls."""

    def __init__(self, throttled_calls: int) -> None:
        self.sizes: list[int] = []
        """The number of rows of each call."""
        self._throttled_calls = throttled_calls

    def _split(self, sent: list[Any]) -> tuple[list[Any], list[Any]]:
        self.sizes.append(len(sent))
        count = 1 if len(self.sizes) <= self._throttled_calls else len(sent)
        return sent[:count], sent[count:]

    def batch_get_item(self, **arguments: Any) -> Any:
        request = arguments["RequestItems"][NAME]
        assert request["ConsistentRead"]
        done, left = self._split(request["Keys"])
        unprocessed = {NAME: {"Keys": left, "ConsistentRead": True}} if left else {}
        return {"Responses": {NAME: done}, "UnprocessedKeys": unprocessed}

    def batch_write_item(self, **arguments: Any) -> Any:
        _, left = self._split(arguments["RequestItems"][NAME])
        return {"UnprocessedItems": {NAME: left} if left else {}}

    def transact_get_items(self, **arguments: Any) -> Any:
        found, left = self._split(arguments["TransactItems"])
        if left:
            error: Any = error_response(CANCELED, "TransactionConflict")
            raise ClientError(error, "TransactGetItems")
        return {"Responses": [{"Item": action["Get"]["Key"]} for action in found]}


@pytest.fixture
def throttled() -> Table:
    return Table(Throttled(2), NAME)  # type: ignore[arg-type] # has what is called


def sizes_of(table: Table) -> list[int]:
    client: Any = table.dynamodb
    sizes: list[int] = client.sizes
    return sizes


def test_unprocessed_keys_are_read_again(throttled: Table) -> None:
    found = read_rows(throttled, PK, SKS)

    assert [*found.values()] == KEYS
    assert sizes_of(throttled) == [3, 2, 1]
    assert (throttled.stats.retries, throttled.stats.metrics) == (2, {"Throttles": 2})


def test_unprocessed_rows_are_deleted_again(throttled: Table) -> None:
    delete_rows(throttled, KEYS)

    assert sizes_of(throttled) == [3, 2, 1]
    assert throttled.stats.retries == 2
    assert throttled.stats.metrics == {"Throttles": 2, "PurgedRows": 3}


@pytest.mark.parametrize("read", [read_rows, transact_get])
def test_a_read_that_stays_unprocessed_is_an_error(
    read: Callable[[Table, str, list[str]], Any], throttled: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)

    with pytest.raises(OverloadedError):
        read(throttled, PK, SKS)

    assert sizes_of(throttled) == [3]


def test_a_deletion_that_stays_unprocessed_is_an_error(
    throttled: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)

    with pytest.raises(OverloadedError, match="throttled the deletion of 2 rows"):
        delete_rows(throttled, KEYS)

    assert sizes_of(throttled) == [3]


def test_rows_in_conflict_are_read_again(throttled: Table) -> None:
    assert [*transact_get(throttled, PK, SKS).values()] == KEYS
    assert sizes_of(throttled) == [3, 3, 3]
    assert (throttled.stats.retries, throttled.stats.metrics) == (2, {})
