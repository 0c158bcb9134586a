"""Model of the index by owner, which is eventually consistent with the table.

An update of an index key deletes one entry and puts another. For an unlimited time, each query may
see both, one or neither of them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tests.model_checker.expressions import holds

if TYPE_CHECKING:
    from collections.abc import Iterable

    type Row = dict[str, Any]
    type Index = tuple[tuple[int, bool], ...]
    """Entries by number, and whether every query finds them: false once written or removed."""

KEYS = ("owner", "updated_at", "pk", "sk")
"""Attributes of an entry; a row that lacks one of them has no entry."""


def entry_of(row: Row) -> Row:
    return {name: row[name] for name in KEYS} if row.keys() >= {*KEYS} else {}


def with_change(index: Index, entries: Iterable[int]) -> Index:
    """Return the index after these entries were written or removed."""
    return tuple(sorted({**dict(index), **dict.fromkeys(entries, False)}.items()))


def pages(query: Row, entries: Iterable[tuple[Row, int, bool]]) -> list[tuple[int, ...]]:
    """Return every result of a query; *entries* have a number and whether each query finds them."""
    start, is_ascending = query.get("ExclusiveStartKey"), query["ScanIndexForward"]
    choices = {
        _place(row): [(number,)] if is_sure else [(), (number,)]
        for row, number, is_sure in entries
        if holds(query["KeyConditionExpression"], row, query)
    }
    places = sorted(choices, reverse=not is_ascending)
    if start:
        behind = places.index(_place(start)) + 1
        places = places[behind:]
    chosen = itertools.product(*(choices[place] for place in places))
    found = (tuple(itertools.chain(*each))[: query["Limit"]] for each in chosen)
    return [*dict.fromkeys(found)]


def _place(entry: Row) -> tuple[int, str]:
    return int(entry["updated_at"]["N"]), entry["pk"]["S"]
