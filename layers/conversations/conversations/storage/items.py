"""Items as the store keeps them: one line of JSON each, without an id that the service made.

A line begins with `id` if the client gave one, then `type`. It does not depend on the item's place,
so a batch can move to other keys without a new encoding.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conversations import ids
from conversations.contract.items import PLACEHOLDER_ID
from conversations.model import StoredItem

if TYPE_CHECKING:
    from conversations.contract.items import Item

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode_item(item: Item) -> str:
    """Return the line of a valid *item* that has its `type`."""
    fields: dict[str, object] = {"type": item["type"], **item}
    given_id = fields.pop("id", None)
    if given_id is None or (given_id == PLACEHOLDER_ID and item["type"] != "item_reference"):
        return _ENCODER.encode(fields)
    return _ENCODER.encode({"id": given_id, **fields})


def read_item(line: str, key: str) -> StoredItem:
    """Return the item of a *line* as it reads at the sequence *key*."""
    given_id, item_type = _given_id_and_type(line)
    if given_id is None:
        cursor = ids.generated_id(item_type, key)
        return StoredItem(cursor, f'{{"id":"{cursor}",{line[1:]}')
    is_reference = item_type == "item_reference"
    return StoredItem(ids.generated_id(item_type, key) if is_reference else given_id, line)


def unique_id(line: str) -> str | None:
    """Return the id that the client gave and that no other item of the conversation may have."""
    given_id, item_type = _given_id_and_type(line)
    return None if item_type == "item_reference" else given_id


def _given_id_and_type(line: str) -> tuple[str | None, str]:
    _, name, _, value, rest = line.split('"', 4)
    return (None, value) if name == "type" else (value, rest.split('"', 4)[3])
