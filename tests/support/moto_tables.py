"""Cheaper copies of moto's tables.

Before each action of a transaction, moto makes a deep copy of the table and its stream, to restore
them if the transaction fails. A test would spend most of a write's time on that.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping


def copy_tables_cheaply() -> None:
    """Let a copy of a table share what no transaction of ours changes in place.

    That is all but the attributes of rows: an update replaces their values.
    """
    Table.__deepcopy__ = _copy_of_table  # type: ignore[attr-defined] # `copy.deepcopy` looks for it


def _copy_of_table(table: Table, _: dict[int, Any]) -> Table:
    twin = copy.copy(table)
    twin.items = defaultdict(dict, {key: _copies(rows) for key, rows in table.items.items()})
    if table.stream_shard:
        twin.stream_shard = copy.copy(table.stream_shard)
        twin.stream_shard.table = twin
        twin.stream_shard.items = [*table.stream_shard.items]
    return twin


def _copies(rows: Item | Mapping[Any, Item]) -> Any:
    """Copy a row, or in a table with sort keys all rows of a partition."""
    if isinstance(rows, Item):
        return _copy_of_row(rows)
    return {key: _copy_of_row(row) for key, row in rows.items()}


def _copy_of_row(row: Item) -> Item:
    twin = copy.copy(row)
    twin.attrs = type(row.attrs)()
    dict.update(twin.attrs, row.attrs)  # without the check of sizes, which the row passed
    return twin
