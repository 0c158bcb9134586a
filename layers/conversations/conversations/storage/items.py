"""Stored form of items: one line of JSON each, without a generated id.

A line begins with the `id` that the client gave, if any, then `type`. It does not depend on the
item's sequence key, so a batch can move to other keys without being encoded again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conversations.contract.items import PLACEHOLDER_ID, generated_id
from conversations.json_text import compact_json
from conversations.model import ReturnedItem

if TYPE_CHECKING:
    from conversations.contract.items import Item


def encode_item(item: Item) -> str:
    """Return the line of a valid *item*, which must have a `type`."""
    fields: dict[str, object] = {"type": item["type"], **item}
    client_id = fields.pop("id", None)
    if client_id is None or (client_id == PLACEHOLDER_ID and item["type"] != "item_reference"):
        return compact_json(fields)
    return compact_json({"id": client_id, **fields})


def decode_item(line: str, key: str) -> ReturnedItem:
    """Return the item of a *line* at the sequence *key*, from which its generated id follows."""
    client_id, item_type = _client_id_and_type(line)
    if client_id is None:
        cursor = generated_id(item_type, key)
        return ReturnedItem(cursor, f'{{"id":"{cursor}",{line[1:]}')
    is_reference = item_type == "item_reference"
    return ReturnedItem(generated_id(item_type, key) if is_reference else client_id, line)


def unique_id(line: str) -> str | None:
    """Return the client's id of an item, which must be unique in the conversation, or None."""
    client_id, item_type = _client_id_and_type(line)
    return None if item_type == "item_reference" else client_id


def _client_id_and_type(line: str) -> tuple[str | None, str]:
    _, name, _, value, rest = line.split('"', 4)
    return (None, value) if name == "type" else (value, rest.split('"', 4)[3])
