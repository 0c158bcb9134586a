"""Shorter ways to moto's results, without which most of a test's time would be moto's.

To undo a transaction that fails, moto makes a deep copy of the whole table before each action. For
a query, it sorts the rows of all partitions. For each member of a response, it looks for the value
under up to ten names. It counts the clauses of an update expression again in each of its parts.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections import defaultdict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from moto.core.serialize import AttributePickerContext, XFormedAttributePicker
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing import ast_nodes
from moto.dynamodb.parsing.validators import ActionCountValidator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pytest

type Actions = Sequence[Mapping[str, Mapping[str, Any]]]

_count_clauses: Any = ActionCountValidator.verify_action_counts
_names_of_member: Any = XFormedAttributePicker.get_possible_keys
_query_table: Any = Table.query
_transact: Any = DynamoDBBackend.transact_write_items
_value_of: Any = DynamoType.__dict__["cast_value"].fget

_QUERY = inspect.signature(_query_table)
_actions: ContextVar[Actions] = ContextVar("actions")
"""The actions of the transaction that moto executes."""


def shorten_moto() -> None:
    """Replace the parts of moto that take the most time by cheaper ones with equal results."""
    replaced: Mapping[Any, Mapping[str, Any]] = {
        ActionCountValidator: {"verify_action_counts": _count_once},
        DynamoDBBackend: {"transact_write_items": _transact_actions},
        DynamoType: {"cast_value": property(_cast)},
        Table: {"__deepcopy__": _copy_of_table, "query": _query_partition},
        XFormedAttributePicker: {"get_possible_keys": _names_in},
    }
    for owner, functions in replaced.items():
        for name, function in functions.items():
            setattr(owner, name, function)


def restore_moto(patch: pytest.MonkeyPatch) -> None:
    """Use moto's own functions until *patch* is undone."""
    patch.setattr(ActionCountValidator, "verify_action_counts", _count_clauses)
    patch.setattr(DynamoDBBackend, "transact_write_items", _transact)
    patch.setattr(DynamoType, "cast_value", property(_value_of))
    patch.delattr(Table, "__deepcopy__")
    patch.setattr(Table, "query", _query_table)
    patch.setattr(XFormedAttributePicker, "get_possible_keys", _names_of_member)


def _transact_actions(backend: DynamoDBBackend, actions: Actions) -> None:
    token = _actions.set(actions)
    try:
        _transact(backend, actions)
    finally:
        _actions.reset(token)


def _copy_of_table(table: Table, _: dict[int, Any]) -> Table:
    """Return a copy that shares what the current transaction does not change in place.

    It changes only the rows in the partitions of its keys.
    """
    changed = {
        DynamoType(key[table.hash_key_attr])
        for named in _actions.get()
        for action in named.values()
        if action["TableName"] == table.name
        if table.hash_key_attr in (key := action.get("Item") or action["Key"])
    }
    twin = copy.copy(table)
    twin.items = defaultdict(dict, table.items)
    twin.items |= {key: _copies(table.items[key]) for key in changed & table.items.keys()}
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
    # `dict.update` is without the check of sizes, which the row passed.
    dict.update(twin.attrs, {name: _copy_of_value(value) for name, value in row.attrs.items()})
    return twin


def _copy_of_value(value: DynamoType) -> DynamoType:
    """Copy maps, lists and sets, which an update can change in place."""
    return copy.deepcopy(value) if isinstance(value.value, dict | list) else value


def _query_partition(table: Table, *args: Any, **options: Any) -> Any:
    """Query a table that has only the rows of the partition, except through an index."""
    arguments = _QUERY.bind(table, *args, **options).arguments
    if not arguments.get("index_name"):
        key = arguments["hash_key"]
        twin = copy.copy(table)
        twin.items = defaultdict(dict, {key: table.items[key]} if key in table.items else {})
        table = twin
    return _query_table(table, *args, **options)


def _names_in(picker: XFormedAttributePicker, context: AttributePickerContext) -> Iterable[str]:
    """Return the names to look for a member's value under; of a dict, only names that it has."""
    given = context.obj
    if type(given) is not dict:
        return _names_of_member(picker, context)  # type: ignore[no-any-return]
    return [name for name in _names_in_dict(context.shape, context.key) if name in given]


@functools.cache
def _names_in_dict(shape: Any, key: str) -> Sequence[str]:
    context = AttributePickerContext({}, key, shape)
    return tuple(_names_of_member(XFormedAttributePicker(), context))


def _count_once(validator: ActionCountValidator, node: Any) -> Any:
    """Count the clauses of a whole expression, which include those of its parts."""
    is_part = isinstance(node.parent, ast_nodes.UpdateExpression)  # type: ignore[attr-defined]
    return node if is_part else _count_clauses(validator, node)


def _cast(value: DynamoType) -> Any:
    return value.value if value.type == "S" else _value_of(value)
