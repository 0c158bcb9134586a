"""Items as the store keeps them: one line of JSON each, without an id that the service made."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from conversations import ids
from conversations.contract.items import PLACEHOLDER_ID
from conversations.model import StoredItem

if TYPE_CHECKING:
    from conversations.contract.items import Item

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_LINE_START = re.compile(r'^\{(?:"id":"([^"]*)",)?"type":"([^"]*)"')


class ItemBody(NamedTuple):
    """An item without its place, so that a batch can move to other keys without a new encoding."""

    item_type: str
    given_id: str | None
    """The id that the client sent, or None."""
    line: str
    """The item's JSON: `id` first if the client gave one, then `type`, then the other fields."""

    @classmethod
    def of(cls, item: Item) -> ItemBody:
        """Return the body of a valid *item* that has its `type`."""
        fields: dict[str, object] = {"type": item["type"], **item}
        item_type, given_id = str(fields["type"]), fields.pop("id", None)
        if given_id is None or (given_id == PLACEHOLDER_ID and item_type != "item_reference"):
            return cls(item_type, None, _ENCODER.encode(fields))
        return cls(item_type, str(given_id), _ENCODER.encode({"id": given_id, **fields}))

    @classmethod
    def parse(cls, line: str) -> ItemBody:
        """Return the body that was written as *line*."""
        given_id, item_type = _LINE_START.findall(line)[0]
        return cls(item_type, given_id or None, line)

    @property
    def unique_id(self) -> str | None:
        """The id that the client gave and that no other item of the conversation may have."""
        return None if self.item_type == "item_reference" else self.given_id

    def cursor_for(self, key: str) -> str:
        """Return the cursor of this item at the sequence *key*."""
        if self.given_id is not None and self.item_type != "item_reference":
            return self.given_id
        return ids.generated_id(self.item_type, key)

    def with_key(self, key: str) -> StoredItem:
        """Return the item as it reads at the sequence *key*."""
        cursor = self.cursor_for(key)
        if self.given_id is not None:
            return StoredItem(cursor, self.line)
        return StoredItem(cursor, f'{{"id":"{cursor}",{self.line[1:]}')
