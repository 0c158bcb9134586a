"""Request units of DynamoDB for recorded requests, by its documented rules.

A write takes one unit per started 1 KB of the larger of a row's old and new version; a read takes
one per started 4 KB, or half of that if eventually consistent. Both count twice in a transaction. A
change of an index takes one unit for the removed entry and one for the new entry.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from botocore.model import OperationModel

    from local.resources import Resources

    type Row = dict[str, Any]
    type Rows = dict[tuple[str, str], Row]

WRITE_BYTES = 1024
READ_BYTES = 4096
INDEX_KEYS = (("owner", "updated_at"), ("account",))
"""Key attributes of the indexes by-owner and by-account."""
INDEX_BYTES = 100
"""Bytes that DynamoDB adds to each row for storage."""


class Cost(NamedTuple):
    """Usage of AWS by one operation."""

    calls: tuple[str, ...]
    """DynamoDB operations, in order."""
    request_bytes: int
    """Bytes of the DynamoDB requests' bodies."""
    write_units: float
    read_units: float
    s3_calls: tuple[str, ...]
    row_bytes: int
    """Growth of the table, with DynamoDB's 100 bytes for each row."""
    object_bytes: int
    """Bytes written to the bucket."""
    fetched_bytes: int = 0
    """Bytes read from the bucket."""


class Meter:
    """Recorder of a store's requests to DynamoDB and S3."""

    def __init__(self, resources: Resources, table: str) -> None:
        self._resources = resources
        self._table = table
        self._is_on = False
        self._before: Rows = {}
        self._write_units = self._read_units = 0.0
        self._calls: list[tuple[str, int]] = []
        self._s3_calls: list[str] = []
        self._object_bytes = self._fetched_bytes = 0
        events = resources.dynamodb.meta.events
        events.register("provide-client-params.dynamodb", self._note)
        events.register("before-call.dynamodb", self._measure)
        events.register("after-call.dynamodb", self._charge)
        resources.s3.meta.events.register("provide-client-params.s3.PutObject", self._weigh)
        resources.s3.meta.events.register("before-call.s3", self._count)
        resources.s3.meta.events.register("after-call.s3.GetObject", self._weigh_fetched)

    def cost_of(self, operation: Callable[[], object]) -> Cost:
        """Run an operation, and return its cost."""
        self._write_units = self._read_units = 0
        self._object_bytes = self._fetched_bytes = 0
        self._calls, self._s3_calls = [], []
        self._before = self._rows()
        kept = _stored(self._before)
        self._is_on = True
        operation()
        self._is_on = False
        names = tuple(name for name, _ in self._calls)
        total = sum(size for _, size in self._calls)
        return Cost(
            names,
            total,
            self._write_units,
            self._read_units,
            tuple(self._s3_calls),
            _stored(self._rows()) - kept,
            self._object_bytes,
            self._fetched_bytes,
        )

    def _note(self, params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        context["params"] = params

    def _weigh(self, params: dict[str, Any], **_: object) -> None:
        self._object_bytes += len(params["Body"]) * self._is_on

    def _weigh_fetched(self, parsed: dict[str, Any], **_: object) -> None:
        self._fetched_bytes += parsed["ContentLength"] * self._is_on

    def _count(self, model: OperationModel, **_: object) -> None:
        self._s3_calls += [model.name] * self._is_on

    def _measure(self, model: OperationModel, params: dict[str, Any], **_: object) -> None:
        if self._is_on:
            self._calls.append((model.name, len(params["body"])))

    def _charge(
        self,
        model: OperationModel,
        parsed: dict[str, Any],
        context: dict[str, Any],
        **_: object,
    ) -> None:
        if not self._is_on:
            return
        params = context["params"]
        twice = 2 if model.name.startswith("Transact") else 1
        if model.name == "Query":
            self._read_units += self._units_of_query(params, parsed["Items"])
        elif model.name in {"TransactWriteItems", "BatchWriteItem", "UpdateItem"}:
            self._write_units += self._units_of_writes([*_written(model.name, params)], twice)
        else:
            sizes = [self._size(self._before, key) for key in _read(model.name, params)]
            self._read_units += sum(twice * _units(size, READ_BYTES) for size in sizes)

    def _units_of_query(self, params: dict[str, Any], found: list[Row]) -> float:
        """Return the units of a query: of whole rows, even if it projects a part of them."""
        if "IndexName" in params:
            return _units(sum(map(row_bytes, found)), READ_BYTES) / 2
        size = sum(self._size(self._before, _key(row)) for row in found)
        return _units(size, READ_BYTES)

    def _units_of_writes(self, keys: list[tuple[str, str]], twice: int) -> int:
        self._is_on = False
        before, after = self._before, self._rows()
        self._is_on, self._before = True, after
        return sum(
            twice * _units(max(self._size(before, key), self._size(after, key)))
            + _index_units(before.get(key, {}), after.get(key, {}))
            for key in keys
        )

    def _rows(self) -> Rows:
        pages = self._resources.dynamodb.get_paginator("scan").paginate(TableName=self._table)
        found = cast("Iterable[Row]", (row for page in pages for row in page["Items"]))
        return {_key(row): row for row in found}

    @staticmethod
    def _size(present: Rows, key: tuple[str, str]) -> int:
        return row_bytes(present.get(key, {}))


def row_bytes(row: Mapping[str, Any]) -> int:
    """Return the size of a row as DynamoDB counts it: names and values."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in row.items())


def _stored(present: Rows) -> int:
    return sum(row_bytes(row) + INDEX_BYTES for row in present.values())


def _value_bytes(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return len(content) // 2 + 2
        case "B":
            return len(bytes(content))
        case _:
            return 3 + len(content) + row_bytes(content)


def _units(size: int, step: int = WRITE_BYTES) -> int:
    return max(1, math.ceil(size / step))


def _index_units(before: Row, after: Row) -> int:
    """Return the units of the indexes, whose entries are keys alone, well under 1 KB."""
    units = 0
    for names in INDEX_KEYS:
        entries = [
            tuple(str(row[name]) for name in names) if names[0] in row else None
            for row in (before, after)
        ]
        if entries[0] != entries[1]:
            units += sum(entry is not None for entry in entries)
    return units


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["pk"]["S"], row["sk"]["S"]


def _written(name: str, params: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield the keys of the rows that a request writes."""
    match name:
        case "TransactWriteItems":
            bodies = (next(iter(action.values())) for action in params["TransactItems"])
            return (_key(body.get("Item") or body["Key"]) for body in bodies)
        case "BatchWriteItem":
            [requests] = params["RequestItems"].values()
            return (_key(request["DeleteRequest"]["Key"]) for request in requests)
        case _:
            return [_key(params["Key"])]


def _read(name: str, params: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield the keys of the rows that a request reads; a missing row takes a unit, too."""
    match name:
        case "TransactGetItems":
            return (_key(action["Get"]["Key"]) for action in params["TransactItems"])
        case "BatchGetItem":
            [request] = params["RequestItems"].values()
            return map(_key, request["Keys"])
        case _:
            return [_key(params["Key"])]
